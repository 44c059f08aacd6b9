// Cutting the flat order.

#include "passes/parallel/ShardPlan.h"

#include "ir/Chunks.h"

#include <algorithm>

using namespace dsc;

static constexpr int64_t kBucketBytes = int64_t(32) << 20;
static constexpr int64_t kSmallBucketBytes = int64_t(256) << 10;
static constexpr int64_t kLeastBuckets = 8;

std::vector<ShardBucket> dsc::cutBuckets(const std::vector<int64_t> &elements,
                                         int64_t bucketChunks) {
  std::vector<ShardBucket> buckets;
  for (size_t i = 0; i < elements.size(); ++i) {
    int64_t chunks = dsc_chunks(elements[i]);
    bool isLoneNumber = !buckets.empty() && buckets.back().members.size() == 1 &&
                        elements[buckets.back().members[0].parameter] == 1;
    bool isFull = !buckets.empty() && buckets.back().chunks + chunks > bucketChunks;
    if (buckets.empty() || (isFull && elements[i] != 1 && !isLoneNumber)) {
      buckets.emplace_back();
    }
    ShardBucket &bucket = buckets.back();
    bucket.members.push_back({i, bucket.chunks, chunks});
    bucket.chunks += chunks;
  }
  return buckets;
}

int64_t dsc::defaultBucketChunks(int64_t totalChunks, int64_t elementBytes) {
  int64_t chunkBytes = DSC_CHUNK_ELEMENTS * elementBytes;
  return std::clamp((totalChunks + kLeastBuckets - 1) / kLeastBuckets,
                    kSmallBucketBytes / chunkBytes, kBucketBytes / chunkBytes);
}
