// Samples into a session's inputs.
// Fills the io space for one micro-batch: positions of the training stream, or a range of samples
// for evaluation whose last batch is padded with samples of weight zero.

#ifndef DSC_RUNTIME_BATCH_H
#define DSC_RUNTIME_BATCH_H

#include "runtime/Dataset.h"
#include "runtime/Sampler.h"
#include "runtime/Session.h"

namespace dsc {

/// The batch at `position` of the stream; also sets rt.sample_base.
Status loadStreamBatch(Session &session, const Dataset &data, const Sampler &sampler,
                       int64_t position);

/// Samples [begin, begin + micro-batch) as far as there are any; returns how many there were.
Result<int64_t> loadRangeBatch(Session &session, const Dataset &data, int64_t begin);

/// Made-up values within the declared ranges, for `bench`.
Status loadMadeUpBatch(Session &session, uint64_t seed);

} // namespace dsc

#endif // DSC_RUNTIME_BATCH_H
