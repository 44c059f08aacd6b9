// The order of samples.
// Training is one endless stream of positions; position p is in epoch p / samples, and each epoch
// is a permutation keyed by (seed, epoch) that is computed for one position at a time. Ranks, batch
// sizes and the number of micro-batches do not change the stream.

#ifndef DSC_RUNTIME_SAMPLER_H
#define DSC_RUNTIME_SAMPLER_H

#include <cstdint>

namespace dsc {

class Sampler {
public:
  Sampler(int64_t samples, uint64_t seed, bool shuffle);

  int64_t epoch(int64_t position) const { return position / samples; }
  /// The sample at a position of the stream.
  int64_t at(int64_t position) const;

private:
  uint64_t scramble(uint64_t value, uint64_t key) const;

  int64_t samples;
  uint64_t seed;
  bool shuffle;
  int halfBits = 1;
};

/// First position of a micro-batch: a step takes all ranks' first micro-batches in rank order,
/// then the second ones.
inline int64_t microBatchPosition(int64_t stepBegin, int64_t micro, int64_t ranks, int64_t rank,
                                  int64_t microBatch) {
  return stepBegin + (micro * ranks + rank) * microBatch;
}

} // namespace dsc

#endif // DSC_RUNTIME_SAMPLER_H
