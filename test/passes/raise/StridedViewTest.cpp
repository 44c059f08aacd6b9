// The algebra of strided views: shapes that merge and split, and those that have no strides.

#include "passes/raise/StridedView.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace dsc;
using testing::ElementsAre;

TEST(StridedView, HeadSplitAndTransposeKeepStrides) {
  StridedView view = StridedView::contiguous({2, 5, 12});
  ASSERT_TRUE(view.reshape({2, 5, 3, 4}));
  view.transpose({0, 2, 1, 3});
  EXPECT_THAT(view.shape(), ElementsAre(2, 3, 5, 4));
  EXPECT_EQ(view.dimension(0).front(), (StridedView::Factor{2, 60}));
  EXPECT_EQ(view.dimension(1).front(), (StridedView::Factor{3, 4}));
  EXPECT_EQ(view.dimension(2).front(), (StridedView::Factor{5, 12}));
  EXPECT_EQ(view.dimension(3).front(), (StridedView::Factor{4, 1}));
  EXPECT_FALSE(view.isContiguous());
}

TEST(StridedView, MergedDimensionsKeepTheirFactors) {
  StridedView view = StridedView::contiguous({2, 5, 3, 4});
  view.transpose({0, 2, 1, 3});
  ASSERT_TRUE(view.reshape({6, 5, 4}));
  EXPECT_THAT(view.dimension(0),
              ElementsAre(StridedView::Factor{2, 60}, StridedView::Factor{3, 4}));
  ASSERT_TRUE(view.reshape({2, 3, 5, 4}));
  view.transpose({0, 2, 1, 3});
  EXPECT_TRUE(view.isContiguous());
}

TEST(StridedView, AReshapeAcrossFactorsHasNoStrides) {
  StridedView view = StridedView::contiguous({4, 6});
  view.transpose({1, 0});
  EXPECT_FALSE(view.reshape({4, 6}));
}

TEST(StridedView, SlicesMoveTheStart) {
  StridedView view = StridedView::contiguous({2, 12});
  ASSERT_TRUE(view.slice({0, 4}, {2, 4}, {1, 2}));
  EXPECT_EQ(view.offset(), 4);
  EXPECT_THAT(view.dimension(1), ElementsAre(StridedView::Factor{4, 2}));
  ASSERT_TRUE(view.slice({1, 0}, {1, 4}, {1, 1}));
  EXPECT_EQ(view.offset(), 16);
  EXPECT_THAT(view.shape(), ElementsAre(1, 4));
}

TEST(StridedView, RepeatedDimensionsHaveStrideZero) {
  StridedView view = StridedView::contiguous({2, 1, 3});
  ASSERT_TRUE(view.broadcast({2, 4, 3}));
  ASSERT_TRUE(view.reshape({8, 3}));
  EXPECT_THAT(view.dimension(0), ElementsAre(StridedView::Factor{2, 3}, StridedView::Factor{4, 0}));
}

TEST(StridedView, EmptyTensorsHaveNoView) {
  StridedView view = StridedView::contiguous({2, 0, 3});
  EXPECT_FALSE(view.reshape({0, 6}));
}
