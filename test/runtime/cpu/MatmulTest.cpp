// Matrix products against triple loops in f64.

#include "runtime/cpu/Gemm.h"
#include "runtime/cpu/ThreadTeam.h"
#include "test/runtime/cpu/CpuTestDevice.h"

#include "gmock/gmock.h"

#include <cstring>

using namespace dsc;
using namespace dsc::testing;
using ::testing::HasSubstr;

namespace {

/// One tensor: dims, strides in elements, and the elements that they span.
struct Operand {
  std::vector<int64_t> dims, strides;

  int64_t span() const {
    int64_t last = 0;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] == 0) {
        return 0;
      }
      last += (dims[i] - 1) * strides[i];
    }
    return last + 1;
  }
};

/// Dense strides with the last two dims exchanged or not, and `gap` elements after each row.
Operand makeOperand(std::vector<int64_t> dims, bool transposed, int64_t gap) {
  size_t rank = dims.size();
  std::vector<int64_t> strides(rank);
  size_t inner = transposed ? rank - 2 : rank - 1, outer = transposed ? rank - 1 : rank - 2;
  strides[inner] = 1;
  strides[outer] = dims[inner] + gap;
  int64_t stride = strides[outer] * dims[outer];
  for (size_t i = rank - 2; i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return {std::move(dims), std::move(strides)};
}

struct Case {
  Operand a, b, c;
  bool bias = false, accumulate = false;
  int32_t epilogue = DSC_EPILOGUE_NONE;
};

double activation(double x, int32_t epilogue) {
  switch (epilogue) {
  case DSC_EPILOGUE_RELU:
    return std::max(x, 0.0);
  case DSC_EPILOGUE_GELU_ERF:
    return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5)));
  case DSC_EPILOGUE_GELU_TANH:
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  default:
    return x;
  }
}

int64_t offsetAt(const Operand &operand, const std::vector<int64_t> &index) {
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i) {
    offset += (operand.dims[i] == 1 ? 0 : index[i]) * operand.strides[i];
  }
  return offset;
}

template <typename T>
std::vector<double> reference(const Case &test, const std::vector<T> &a, const std::vector<T> &b,
                              const std::vector<T> &bias, const std::vector<T> &before) {
  std::vector<double> c(before.begin(), before.end());
  size_t rank = test.c.dims.size();
  std::vector<int64_t> index(rank, 0);
  int64_t k = test.a.dims[rank - 1], total = 1;
  for (int64_t dim : test.c.dims) {
    total *= dim;
  }
  for (int64_t linear = 0; linear < total; ++linear) {
    int64_t rest = linear;
    for (size_t i = rank; i-- > 0;) {
      index[i] = rest % test.c.dims[i];
      rest /= test.c.dims[i];
    }
    double sum = 0;
    std::vector<int64_t> left = index, right = index;
    for (int64_t p = 0; p < k; ++p) {
      left[rank - 1] = p;
      right[rank - 2] = p;
      sum += double(a[size_t(offsetAt(test.a, left))]) * double(b[size_t(offsetAt(test.b, right))]);
    }
    double &to = c[size_t(offsetAt(test.c, index))];
    to = activation(sum + (test.accumulate ? to : 0.0) +
                        (test.bias ? double(bias[size_t(index[rank - 1])]) : 0.0),
                    test.epilogue);
  }
  return c;
}

int planMatmul(dsc_context *ctx, int plan, int32_t dtype, const Case &test, int64_t workspace) {
  return dsc_rt_matmul_plan(ctx, 0, plan, dtype, int32_t(test.a.dims.size()), test.a.dims.data(),
                            test.a.strides.data(), test.b.dims.data(), test.b.strides.data(),
                            test.c.dims.data(), test.c.strides.data(), test.bias, test.epilogue,
                            test.accumulate, workspace);
}

/// Runs `test` on 1 and 2 threads and twice, wants equal bits, and compares with the reference.
template <typename T> void check(const Case &test, unsigned seed, int64_t workspace = -1) {
  int32_t dtype = sizeof(T) == 4 ? DSC_F32 : DSC_F64;
  Random random(seed);
  size_t rank = test.c.dims.size();
  int64_t m = test.c.dims[rank - 2], n = test.c.dims[rank - 1], k = test.a.dims[rank - 1];
  auto a = random.values<T>(test.a.span()), b = random.values<T>(test.b.span()),
       bias = random.values<T>(n + 1), before = random.values<T>(test.c.span());
  std::vector<double> expected = reference(test, a, b, bias, before);
  std::vector<T> first;
  if (workspace < 0) {
    workspace = dsc_matmul_workspace(dtype, m, n, k);
  }
  for (int threads : {1, 2, 2}) {
    CpuTestDevice device(threads);
    std::vector<char> memory(size_t(workspace) + 64, 1);
    void *scratch = memory.data() + 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
    ASSERT_EQ(0, planMatmul(&device.ctx, 0, dtype, test, workspace)) << device.ctx.status.message();
    std::vector<T> c = before;
    ASSERT_EQ(0, dsc_rt_matmul(&device.ctx, 0, 0, a.data(), b.data(),
                               test.bias ? bias.data() : nullptr, c.data(), scratch))
        << device.ctx.status.message();
    if (first.empty()) {
      first = c;
    }
    ASSERT_TRUE(c.empty() || std::memcmp(first.data(), c.data(), c.size() * sizeof(T)) == 0)
        << "the bits depend on the run or on the " << threads << " threads";
  }
  double tolerance = bound(sizeof(T) == 4 ? f32Roundoff : f64Roundoff, double(k), 2, 2);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(expected[i], double(first[i]), tolerance) << "m " << m << " n " << n << " k " << k;
  }
}

Case drawCase(Random &random, int64_t largest) {
  int64_t m = random.between(1, largest), n = random.between(1, largest),
          k = random.between(1, largest);
  std::vector<int64_t> a, b, c;
  for (int64_t i = random.between(0, 2); i-- > 0;) {
    int64_t dim = random.between(1, 3);
    c.push_back(dim);
    int64_t which = random.between(0, 3);
    a.push_back(which == 1 ? 1 : dim);
    b.push_back(which == 2 ? 1 : dim);
  }
  a.insert(a.end(), {m, k});
  b.insert(b.end(), {k, n});
  c.insert(c.end(), {m, n});
  Case test;
  test.a = makeOperand(a, random.coin(), random.between(0, 2));
  test.b = makeOperand(b, random.coin(), random.between(0, 2));
  test.c = makeOperand(c, random.between(0, 3) == 0, random.between(0, 2));
  test.bias = random.coin();
  test.accumulate = random.coin();
  test.epilogue = int32_t(random.between(0, 3));
  return test;
}

TEST(Matmul, AgreesWithLoopsOnRandomShapesStridesAndBroadcasts) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    check<float>(drawCase(random, seed % 3 ? 40 : 150), seed);
  }
}

TEST(Matmul, AgreesWithLoopsInF64) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    check<double>(drawCase(random, 50), seed);
  }
}

TEST(Matmul, SumsOverSeveralPiecesOfTheInnerDim) {
  for (bool transposed : {false, true}) {
    Case test{makeOperand({37, 1300}, transposed, 0),
              makeOperand({1300, 70}, !transposed, 3),
              makeOperand({37, 70}, false, 0),
              true,
              true,
              DSC_EPILOGUE_RELU};
    check<float>(test, 1);
  }
}

TEST(Matmul, CutsWideResultsIntoBlocksOfColumns) {
  Case test{makeOperand({20, 33}, false, 0),
            makeOperand({33, 3500}, true, 0),
            makeOperand({20, 3500}, false, 0),
            true,
            false,
            DSC_EPILOGUE_NONE};
  check<float>(test, 2);
}

TEST(Matmul, NeedsNoWorkspaceToBeRight) {
  Case test{makeOperand({150, 600}, false, 0),
            makeOperand({600, 400}, false, 0),
            makeOperand({150, 400}, false, 0),
            true,
            false,
            DSC_EPILOGUE_NONE};
  check<float>(test, 3, 0);
  check<float>(test, 3, 96000);
}

TEST(Matmul, MultipliesOneRowByATransposedMatrix) {
  for (int64_t k : {1, 16, 100, 700}) {
    Case test{makeOperand({1, k}, false, 0),
              makeOperand({k, 333}, true, 0),
              makeOperand({1, 333}, false, 0),
              true,
              false,
              DSC_EPILOGUE_GELU_ERF};
    check<float>(test, 4);
  }
}

TEST(Matmul, TakesStridesWithoutAnyContiguousDim) {
  Case test{makeOperand({9, 17}, false, 0),
            makeOperand({17, 21}, false, 0),
            makeOperand({9, 21}, false, 0),
            true,
            true,
            DSC_EPILOGUE_GELU_TANH};
  for (Operand *operand : {&test.a, &test.b, &test.c}) {
    for (int64_t &stride : operand->strides) {
      stride *= 2;
    }
  }
  check<float>(test, 5);
  check<double>(test, 5);
}

TEST(Matmul, MergesRowsAcrossBatchDimsThatBroadcastTheSecondOperand) {
  Case test{makeOperand({3, 4, 20, 30}, false, 0),
            makeOperand({1, 1, 30, 40}, true, 0),
            makeOperand({3, 4, 20, 40}, false, 0),
            true,
            false,
            DSC_EPILOGUE_RELU};
  check<float>(test, 6);
}

TEST(Matmul, HandlesEmptyDims) {
  for (auto [m, n, k] : {std::array<int64_t, 3>{0, 5, 6}, {5, 0, 6}, {5, 6, 0}}) {
    Case test{makeOperand({m, k}, false, 0),
              makeOperand({k, n}, false, 0),
              makeOperand({m, n}, false, 0),
              true,
              false,
              DSC_EPILOGUE_GELU_ERF};
    check<float>(test, 7);
  }
}

TEST(Matmul, KeepsNaN) {
  CpuTestDevice device(1);
  Case test{makeOperand({2, 3}, false, 0),
            makeOperand({3, 4}, false, 0),
            makeOperand({2, 4}, false, 0),
            false,
            false,
            DSC_EPILOGUE_RELU};
  std::vector<float> a(6, 1.0f), b(12, 1.0f), c(8);
  a[0] = std::nanf("");
  std::vector<char> workspace(size_t(dsc_matmul_workspace(DSC_F32, 2, 4, 3)));
  for (int32_t epilogue : {DSC_EPILOGUE_RELU, DSC_EPILOGUE_GELU_ERF, DSC_EPILOGUE_GELU_TANH}) {
    test.epilogue = epilogue;
    ASSERT_EQ(0, planMatmul(&device.ctx, 0, DSC_F32, test, int64_t(workspace.size())));
    ASSERT_EQ(0, dsc_rt_matmul(&device.ctx, 0, 0, a.data(), b.data(), nullptr, c.data(),
                               workspace.data()));
    EXPECT_TRUE(std::isnan(c[0]) && std::isnan(c[3]) && !std::isnan(c[4]));
  }
}

TEST(Matmul, GivesTheSameBitsOnEveryInstructionSet) {
  if (gemmKernels() != &gemmKernelsAvx512) {
    GTEST_SKIP() << "this CPU has only one of the instruction sets";
  }
  ThreadTeam team;
  ASSERT_TRUE(team.start(2).ok());
  Random random(8);
  for (int32_t epilogue = 0; epilogue < 4; ++epilogue) {
    Gemm gemm;
    gemm.m = 61;
    gemm.n = 77;
    gemm.k = 900;
    auto a = random.values<float>(gemm.m * gemm.k), b = random.values<float>(gemm.n * gemm.k),
         bias = random.values<float>(gemm.n);
    gemm.a = a.data();
    gemm.aRow = gemm.k;
    gemm.aK = 1;
    gemm.b = b.data();
    gemm.bK = 1;
    gemm.bColumn = gemm.k;
    gemm.cRow = gemm.n;
    gemm.bias = bias.data();
    gemm.epilogue = epilogue;
    std::vector<float> wide(size_t(gemm.m * gemm.n)), narrow(wide.size());
    gemm.c = wide.data();
    multiply(team, gemmKernelsAvx512, gemm, nullptr, 0);
    gemm.c = narrow.data();
    multiply(team, gemmKernelsAvx2, gemm, nullptr, 0);
    EXPECT_EQ(0, std::memcmp(wide.data(), narrow.data(), wide.size() * sizeof(float)))
        << "epilogue " << epilogue;
  }
}

TEST(Matmul, RefusesPlansAndCallsThatDisagree) {
  Case test{makeOperand({2, 3}, false, 0), makeOperand({4, 5}, false, 0),
            makeOperand({2, 5}, false, 0)};
  {
    CpuTestDevice device(1);
    EXPECT_NE(0, planMatmul(&device.ctx, 0, DSC_F32, test, 0));
    EXPECT_THAT(device.ctx.status.message(),
                HasSubstr("the_op: matrix product of [2, 3] and [4, 5]"));
  }
  {
    CpuTestDevice device(1);
    EXPECT_NE(0, planMatmul(&device.ctx, 0, DSC_I32, test, 0));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("element type 6"));
  }
  {
    CpuTestDevice device(1);
    test.b = makeOperand({3, 5}, false, 0);
    EXPECT_NE(0, planMatmul(&device.ctx, 1, DSC_F32, test, 0));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("plan 1 after 0 plans"));
  }
  CpuTestDevice device(1);
  float x = 0;
  EXPECT_NE(0, dsc_rt_matmul(&device.ctx, 0, 0, &x, &x, nullptr, &x, nullptr));
  EXPECT_THAT(device.ctx.status.message(), HasSubstr("calls plan 0 without having made it"));
}

} // namespace
