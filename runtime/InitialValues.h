// Random weights to start from (--init=random).
// Element i of a parameter is a function of the seed, the parameter's name and i alone: the number
// of threads, the order of parameters and what else the model has do not change it.

#ifndef DSC_RUNTIME_INITIALVALUES_H
#define DSC_RUNTIME_INITIALVALUES_H

#include "runtime/Session.h"

namespace dsc {

/// Elements [first, first + count) of a parameter that starts at random, into `out`. Words of
/// Philox with the counter (element / 4 in 64 bits, hash of the name in 64 bits) and the seed as
/// key. uniform: (2 u - 1) scale with u in [0, 1) of 24 bits; normal: Box-Muller of pairs of such
/// u, times scale, by the operations of abi.h (DSC_NORMAL_LOG). The program's kernels for the start
/// make the same bits.
void randomValues(const GlobalSpec &spec, int64_t seed, int64_t first, int64_t count, float *out);

/// Fills every parameter of `session` that starts at random, of what is sharded this rank's part:
/// on the device where the program has kernels for it, else on the host's threads.
Status fillRandomWeights(Session &session, int64_t seed);

} // namespace dsc

#endif // DSC_RUNTIME_INITIALVALUES_H
