// Every element of a tensor has one writer, for any number of ranks and any layout.

#include "runtime/checkpoint/SlicePlan.h"

#include <gtest/gtest.h>

using namespace dsc;

namespace {
Manifest withShard(int64_t chunks) {
  Manifest manifest;
  manifest.shards = {{"bucket.0", chunks, DSC_CHUNK_ELEMENTS * 4}};
  return manifest;
}

PlannedTensor tensorOf(Shape shape, int shard, int64_t chunk, Shape strides = {}) {
  PlannedTensor tensor;
  tensor.shape = std::move(shape);
  tensor.strides = std::move(strides);
  tensor.shard = shard;
  tensor.offset = chunk * DSC_CHUNK_ELEMENTS * 4;
  int64_t last = 0;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    last += tensor.strides.empty() ? 0 : tensor.strides[i] * (tensor.shape[i] - 1);
  }
  tensor.bytes = tensor.strides.empty() ? *byteCount(DSC_F32, tensor.shape) : (last + 1) * 4;
  return tensor;
}

/// How often each dense element is written, and that slices name its right place.
std::vector<int> writers(const Manifest &manifest, const PlannedTensor &tensor, int ranks) {
  const auto total = static_cast<size_t>(*elementCount(tensor.shape));
  std::vector<int64_t> places(total);
  EXPECT_TRUE(forEachRun(tensor, [&](int64_t place, int64_t dense, int64_t count) {
                for (int64_t i = 0; i < count; ++i) {
                  places[static_cast<size_t>(dense + i)] = place + i;
                }
                return Status();
              }).ok());
  std::vector<int> counts(total, 0);
  for (int rank = 0; rank < ranks; ++rank) {
    const std::pair<int64_t, int64_t> own = manifest.ownBytes(tensor, ranks, rank);
    int64_t reached = -1;
    Status status = forEachSlice(manifest, tensor, ranks, rank, [&](const Slice &slice) {
      EXPECT_GT(slice.dense, reached);
      reached = slice.dense + slice.count - 1;
      for (int64_t i = 0; i < slice.count; ++i) {
        const auto dense = static_cast<size_t>(slice.dense + i);
        ++counts[dense];
        EXPECT_EQ(places[dense], slice.place + i);
        // What a rank writes without gathering, it has.
        EXPECT_TRUE(needsGathering(tensor) ||
                    (own.first <= (slice.place + i) * 4 && (slice.place + i) * 4 < own.second));
      }
      return Status();
    });
    EXPECT_TRUE(status.ok());
  }
  return counts;
}
} // namespace

TEST(SlicePlanTest, EveryElementHasOneWriter) {
  const Manifest manifest = withShard(13);
  const std::vector<PlannedTensor> tensors = {
      tensorOf({}, -1, 0),
      tensorOf({5000}, -1, 0),
      tensorOf({3, 1000}, 0, 0),
      tensorOf({1}, 0, 12),
      tensorOf({2000, 5}, 0, 3),
      tensorOf({0, 4}, -1, 0),
      tensorOf({4, 600}, 0, 0, {1800, 1}),      // a part of a merged product, in long runs
      tensorOf({6, 4, 100}, 0, 2, {400, 1, 4}), // channels last, in single elements
      tensorOf({3, 5, 7}, -1, 0, {35, 1, 5}),
  };
  for (const PlannedTensor &tensor : tensors) {
    for (int ranks : {1, 2, 3, 4, 7, 64}) {
      for (int count : writers(manifest, tensor, ranks)) {
        ASSERT_EQ(count, 1) << shapeText(tensor.shape) << " on " << ranks << " ranks";
      }
    }
  }
}

TEST(SlicePlanTest, OnlyScatteredElementsOfShardsAreGathered) {
  EXPECT_FALSE(needsGathering(tensorOf({2000, 5}, 0, 0)));
  EXPECT_FALSE(needsGathering(tensorOf({4, 600}, 0, 0, {1800, 1})));
  EXPECT_TRUE(needsGathering(tensorOf({6, 4, 100}, 0, 0, {400, 1, 4})));
  EXPECT_FALSE(needsGathering(tensorOf({6, 4, 100}, -1, 0, {400, 1, 4})));
}

TEST(SlicePlanTest, AFailureEndsTheWalk) {
  int visited = 0;
  Status status =
      forEachSlice(withShard(13), tensorOf({4, 600}, 0, 0, {1800, 1}), 1, 0, [&](const Slice &) {
        ++visited;
        return Status::machine("full");
      });
  EXPECT_EQ(status.message(), "full");
  EXPECT_EQ(visited, 1);
}
