// ZeRO's flat order of parameters cut into buckets. Plain C++; knows nothing of IR.
//
// A chunk is DSC_CHUNK_ELEMENTS elements. Each parameter starts on a chunk; what its last chunk has
// beyond it is padding. Slices of ranks are whole chunks, by dsc_slice_begin (runtime/abi.h).

#ifndef DSC_PASSES_PARALLEL_SHARDPLAN_H
#define DSC_PASSES_PARALLEL_SHARDPLAN_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dsc {

/// Consecutive parameters of the flat order that are reduced, gathered and updated as one.
struct ShardBucket {
  struct Member {
    size_t parameter;   // index in the flat order
    int64_t firstChunk; // within the bucket
    int64_t chunks;
  };
  std::vector<Member> members;
  int64_t chunks = 0;

  /// Chunks of a buffer that holds the bucket's slices on any number of ranks up to `maxRanks`:
  /// slices are ceil(chunks / ranks) long, so the last ones may reach beyond the bucket.
  int64_t room(int64_t maxRanks) const { return chunks + maxRanks - 1; }
};

/// Cuts the parameters of `elements` elements each (at least 1), in this order, into buckets of at
/// most `bucketChunks` chunks. A parameter is never cut: a larger one is a bucket by itself. A
/// parameter of one element joins others whatever their size: alone in its bucket, its value could
/// not be told from the numbers that a step computes.
std::vector<ShardBucket> cutBuckets(const std::vector<int64_t> &elements, int64_t bucketChunks);

/// The size of buckets where nothing else is asked for, in chunks of `elementBytes` a number:
/// 32 MiB, which collectives need to reach their bandwidth, but at most an eighth of the
/// `totalChunks`, since a bucket's whole buffer is alive from its first gradient on; and 256 KiB in
/// any case, below which launches cost more than memory.
int64_t defaultBucketChunks(int64_t totalChunks, int64_t elementBytes);

} // namespace dsc

#endif // DSC_PASSES_PARALLEL_SHARDPLAN_H
