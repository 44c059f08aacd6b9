// The half types: conversions against scalar arithmetic, and library calls against the f32 call on
// the same numbers, whose results are rounded once.

#include "runtime/Tensor.h"
#include "runtime/cpu/Gemm.h"
#include "runtime/cpu/HalfKernels.h"
#include "test/runtime/cpu/CpuTestDevice.h"

#include "gmock/gmock.h"

#include <cstring>
#include <numeric>

using namespace dsc;
using namespace dsc::testing;

namespace {

constexpr int32_t halfTypes[] = {DSC_F16, DSC_BF16};

std::vector<const HalfKernels *> tables() {
  std::vector<const HalfKernels *> result = {&halfKernelsAvx2};
  if (gemmKernels() == &gemmKernelsAvx512) {
    result.push_back(&halfKernelsAvx512);
  }
  return result;
}

/// Memory for a workspace, aligned.
struct Workspace {
  std::vector<char> memory;
  explicit Workspace(int64_t bytes) : memory(size_t(bytes) + 64, 1) {}
  void *data() { return memory.data() + 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64; }
};

/// Numbers that are halves, in both forms.
struct Numbers {
  std::vector<uint16_t> half;
  std::vector<float> wide;

  Numbers(Random &random, int32_t dtype, int64_t count) : half(size_t(count)), wide(size_t(count)) {
    std::vector<float> drawn = random.values<float>(count);
    halfKernels().narrow(dtype, count, drawn.data(), half.data());
    halfKernels().widen(dtype, count, half.data(), wide.data());
  }
};

void expectRounded(int32_t dtype, const std::vector<float> &wide,
                   const std::vector<uint16_t> &half) {
  std::vector<uint16_t> rounded(wide.size());
  halfKernels().narrow(dtype, int64_t(wide.size()), wide.data(), rounded.data());
  EXPECT_EQ(rounded, half);
}

} // namespace

/// Every half value widens to what it is; NaN stays NaN.
TEST(Half, WidensEveryValue) {
  std::vector<uint16_t> bits(65536);
  std::iota(bits.begin(), bits.end(), uint16_t(0));
  for (int32_t dtype : halfTypes) {
    for (const HalfKernels *table : tables()) {
      std::vector<float> wide(bits.size());
      table->widen(dtype, int64_t(bits.size()), bits.data(), wide.data());
      for (size_t i = 0; i < bits.size(); ++i) {
        double expected = loadAsDouble(
            Dtype(dtype), reinterpret_cast<const std::byte *>(bits.data()), int64_t(i));
        if (std::isnan(expected)) {
          EXPECT_TRUE(std::isnan(wide[i])) << i;
        } else {
          EXPECT_EQ(double(wide[i]), expected) << i;
        }
      }
    }
  }
}

/// Narrowing rounds to nearest even in every table: ties, the largest numbers, denormals, NaN; and
/// runs of any length leave their neighbours alone.
TEST(Half, NarrowsToNearestEven) {
  std::vector<float> values = {0.0f,      -0.0f,     1.0f,     0x1.004p0f, 0x1.00cp0f, 0x1.01p0f,
                               0x1.03p0f, 65504.0f,  65519.0f, 65520.0f,   3.4e38f,    -3.4e38f,
                               INFINITY,  -INFINITY, NAN,      0x1p-24f,   0x1p-25f,   0x1.8p-25f,
                               0x1p-133f, 0x1p-134f, 1e-40f,   0x1p-149f,  -1e-40f};
  Random random(7);
  for (float value : random.values<float>(5000)) {
    values.push_back(std::ldexp(value, int(random.between(-140, 120))));
  }
  for (int32_t dtype : halfTypes) {
    for (const HalfKernels *table : tables()) {
      for (size_t count : {values.size(), size_t(1), size_t(15), size_t(17)}) {
        std::vector<uint16_t> half(values.size() + 1, 0xabcd);
        table->narrow(dtype, int64_t(count), values.data(), half.data());
        EXPECT_EQ(half[count], 0xabcd);
        for (size_t i = 0; i < count; ++i) {
          uint16_t expected;
          storeFromDouble(Dtype(dtype), reinterpret_cast<std::byte *>(&expected), 0, values[i]);
          if (std::isnan(values[i])) {
            float back;
            table->widen(dtype, 1, &half[i], &back);
            EXPECT_TRUE(std::isnan(back));
          } else {
            EXPECT_EQ(half[i], expected) << values[i];
          }
        }
      }
    }
  }
}

/// Shapes of both ways of multiplying, transposes and bias, on 1 and 2 threads.
TEST(Half, MatmulRoundsTheSumOnce) {
  Random random(3);
  const int64_t shapes[][3] = {{5, 7, 3},      {64, 65, 33},    {130, 1700, 40}, {300, 48, 1200},
                               {2, 2000, 600}, {700, 100, 513}, {3, 4, 0},       {1, 5, 9}};
  for (int32_t dtype : halfTypes) {
    for (auto [m, n, k] : shapes) {
      for (int transposed = 0; transposed < 4; ++transposed) {
        bool hasBias = transposed % 2 == 0;
        Numbers a(random, dtype, m * k), b(random, dtype, k * n), bias(random, dtype, n);
        int64_t aDims[] = {m, k}, bDims[] = {k, n}, cDims[] = {m, n}, cStrides[] = {n, 1};
        int64_t aStrides[] = {transposed & 1 ? 1 : k, transposed & 1 ? m : 1};
        int64_t bStrides[] = {transposed & 2 ? 1 : n, transposed & 2 ? k : 1};
        std::vector<uint16_t> first;
        std::vector<float> wide(size_t(m * n));
        for (int threads : {1, 2}) {
          CpuTestDevice device(threads);
          int64_t bytes = dsc_matmul_workspace(dtype, m, n, k);
          Workspace workspace(bytes), wideWorkspace(dsc_matmul_workspace(DSC_F32, m, n, k));
          ASSERT_EQ(0, dsc_rt_matmul_plan(&device.ctx, 0, 0, dtype, 2, aDims, aStrides, bDims,
                                          bStrides, cDims, cStrides, hasBias, 0, 0, bytes))
              << device.ctx.status.message();
          std::vector<uint16_t> c(size_t(m * n));
          ASSERT_EQ(0, dsc_rt_matmul(&device.ctx, 0, 0, a.half.data(), b.half.data(),
                                     hasBias ? bias.half.data() : nullptr, c.data(),
                                     workspace.data()));
          ASSERT_EQ(0, dsc_rt_matmul_plan(&device.ctx, 0, 1, DSC_F32, 2, aDims, aStrides, bDims,
                                          bStrides, cDims, cStrides, hasBias, 0, 0,
                                          dsc_matmul_workspace(DSC_F32, m, n, k)));
          ASSERT_EQ(0, dsc_rt_matmul(&device.ctx, 0, 1, a.wide.data(), b.wide.data(),
                                     hasBias ? bias.wide.data() : nullptr, wide.data(),
                                     wideWorkspace.data()));
          first = first.empty() ? c : first;
          EXPECT_EQ(first, c) << "the bits depend on threads";
        }
        SCOPED_TRACE(::testing::Message() << m << " " << n << " " << k << " " << transposed);
        if (m > 1) { // a single row is summed in another order in f32
          expectRounded(dtype, wide, first);
        }
      }
    }
  }
}

TEST(Half, MatmulRefusesATooSmallWorkspace) {
  CpuTestDevice device(1);
  int64_t dims[] = {64, 64}, strides[] = {64, 1};
  EXPECT_NE(0, dsc_rt_matmul_plan(&device.ctx, 0, 0, DSC_BF16, 2, dims, strides, dims, strides,
                                  dims, strides, 0, 0, 0, 64));
  EXPECT_THAT(device.ctx.status.message(), ::testing::HasSubstr("has a workspace of 64 bytes"));
}

/// Batches: many small products one thread each, and a matrix that all share.
TEST(Half, MatmulOfBatches) {
  Random random(4);
  for (int32_t dtype : halfTypes) {
    for (bool shared : {false, true}) {
      const int64_t batch = 6, m = 9, n = 20, k = 17;
      Numbers a(random, dtype, batch * m * k), b(random, dtype, (shared ? 1 : batch) * k * n);
      int64_t aDims[] = {batch, m, k}, aStrides[] = {m * k, k, 1};
      int64_t bDims[] = {shared ? 1 : batch, k, n}, bStrides[] = {shared ? 0 : k * n, n, 1};
      int64_t cDims[] = {batch, m, n}, cStrides[] = {m * n, n, 1};
      CpuTestDevice device(2);
      int64_t bytes = dsc_matmul_workspace(dtype, batch * m, n, k);
      Workspace workspace(bytes);
      std::vector<uint16_t> c(size_t(batch * m * n));
      std::vector<float> wide(c.size());
      int32_t types[] = {dtype, DSC_F32};
      for (int plan = 0; plan < 2; ++plan) {
        ASSERT_EQ(0, dsc_rt_matmul_plan(&device.ctx, 0, plan, types[plan], 3, aDims, aStrides,
                                        bDims, bStrides, cDims, cStrides, 0, 0, 0, bytes));
      }
      ASSERT_EQ(0, dsc_rt_matmul(&device.ctx, 0, 0, a.half.data(), b.half.data(), nullptr, c.data(),
                                 workspace.data()));
      ASSERT_EQ(0, dsc_rt_matmul(&device.ctx, 0, 1, a.wide.data(), b.wide.data(), nullptr,
                                 wide.data(), workspace.data()));
      expectRounded(dtype, wide, c);
    }
  }
}

/// Forward and both gradients, with groups, strides and a bias.
TEST(Half, ConvolutionRoundsOnce) {
  Random random(5);
  const int64_t groups = 1;
  int64_t x[] = {2, 6, 9, 8}, w[] = {5, 6, 3, 3}, y[] = {2, 5, 5, 4}, strides[] = {2, 2};
  int64_t ones[] = {1, 1}, pads[] = {1, 1};
  auto dense = [](const int64_t(&dims)[4]) {
    std::vector<int64_t> s(4, 1);
    for (int i = 2; i >= 0; --i) {
      s[size_t(i)] = s[size_t(i) + 1] * dims[i + 1];
    }
    return s;
  };
  auto count = [](const int64_t(&dims)[4]) { return dims[0] * dims[1] * dims[2] * dims[3]; };
  std::vector<int64_t> xs = dense(x), ws = dense(w), ys = dense(y);
  for (int32_t dtype : halfTypes) {
    for (int32_t kind : {DSC_CONV_FORWARD, DSC_CONV_GRAD_INPUT, DSC_CONV_GRAD_WEIGHT}) {
      bool forward = kind == DSC_CONV_FORWARD;
      Numbers a(random, dtype, kind == DSC_CONV_GRAD_INPUT ? count(y) : count(x));
      Numbers b(random, dtype, kind == DSC_CONV_GRAD_WEIGHT ? count(y) : count(w));
      Numbers bias(random, dtype, w[0]);
      size_t results = size_t(forward                       ? count(y)
                              : kind == DSC_CONV_GRAD_INPUT ? count(x)
                                                            : count(w));
      std::vector<uint16_t> c(results);
      std::vector<float> wide(results);
      CpuTestDevice device(2);
      int32_t types[] = {dtype, DSC_F32};
      int64_t bytes = 0;
      for (int plan = 0; plan < 2; ++plan) {
        int64_t needed = dsc_conv_workspace(kind, types[plan], 4, x, xs.data(), w, ws.data(), y,
                                            ys.data(), strides, groups);
        bytes = std::max(bytes, needed);
        ASSERT_EQ(0, dsc_rt_conv_plan(&device.ctx, 0, plan, kind, types[plan], 4, x, xs.data(), w,
                                      ws.data(), y, ys.data(), strides, ones, pads, pads, groups,
                                      forward, 0, needed))
            << device.ctx.status.message();
      }
      Workspace workspace(bytes);
      ASSERT_EQ(0, dsc_rt_conv(&device.ctx, 0, 0, a.half.data(), b.half.data(),
                               forward ? bias.half.data() : nullptr, c.data(), workspace.data()));
      ASSERT_EQ(0,
                dsc_rt_conv(&device.ctx, 0, 1, a.wide.data(), b.wide.data(),
                            forward ? bias.wide.data() : nullptr, wide.data(), workspace.data()));
      SCOPED_TRACE(kind);
      expectRounded(dtype, wide, c);
    }
  }
}

/// Packed q, k, v with grouped heads, causal, with a float mask; the gradient too. The log-sum-exp
/// is f32 in both.
TEST(Half, AttentionRoundsOnce) {
  Random random(6);
  const int64_t batch = 2, heads = 4, kvHeads = 2, length = 70, width = 24;
  const int64_t row = (heads + 2 * kvHeads) * width, out = heads * width;
  int64_t strides[] = {length * row, row, width}, outStrides[] = {length * out, out, width};
  int64_t maskStrides[] = {0, 0, length, 1};
  for (int32_t dtype : halfTypes) {
    Numbers qkv(random, dtype, batch * length * row), mask(random, dtype, length * length),
        dO(random, dtype, batch * length * out);
    std::vector<uint16_t> o(size_t(batch * length * out)), dqkv(qkv.half.size());
    std::vector<float> wideO(o.size()), wideD(dqkv.size()), lse(size_t(batch * heads * length)),
        wideLse(lse.size());
    CpuTestDevice device(2);
    int64_t bytes = dsc_attention_half_workspace(dtype, 1, batch, heads, kvHeads, length, length,
                                                 width, length * length) +
                    dsc_attention_grad_workspace(batch, heads, length, 4);
    Workspace workspace(bytes);
    int32_t types[] = {dtype, DSC_F32};
    for (int plan = 0; plan < 2; ++plan) {
      ASSERT_EQ(0, dsc_rt_attention_plan(&device.ctx, 0, plan, types[plan], batch, heads, kvHeads,
                                         length, length, width, 0.2, 1, types[plan], maskStrides,
                                         strides, strides, strides, outStrides, bytes))
          << device.ctx.status.message();
    }
    auto run = [&](int plan, auto *in, auto *maskData, auto *to, float *sums, auto *dOut, auto *d) {
      const int64_t k = heads * width, v = k + kvHeads * width;
      ASSERT_EQ(0, dsc_rt_attention(&device.ctx, 0, plan, in, in + k, in + v, maskData, to, sums,
                                    workspace.data()))
          << device.ctx.status.message();
      ASSERT_EQ(0, dsc_rt_attention_grad(&device.ctx, 0, plan, in, in + k, in + v, maskData, to,
                                         sums, dOut, d, d + k, d + v, workspace.data()))
          << device.ctx.status.message();
    };
    run(0, qkv.half.data(), mask.half.data(), o.data(), lse.data(), dO.half.data(), dqkv.data());
    // The gradient reads the rounded result in both.
    run(1, qkv.wide.data(), mask.wide.data(), wideO.data(), wideLse.data(), dO.wide.data(),
        wideD.data());
    expectRounded(dtype, wideO, o);
    EXPECT_EQ(lse, wideLse);
    halfKernels().widen(dtype, int64_t(o.size()), o.data(), wideO.data());
    const int64_t k = heads * width, v = k + kvHeads * width;
    float *q = qkv.wide.data(), *d = wideD.data();
    ASSERT_EQ(0, dsc_rt_attention_grad(&device.ctx, 0, 1, q, q + k, q + v, mask.wide.data(),
                                       wideO.data(), wideLse.data(), dO.wide.data(), d, d + k,
                                       d + v, workspace.data()));
    expectRounded(dtype, wideD, dqkv);
  }
}
