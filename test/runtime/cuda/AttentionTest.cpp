// cuDNN's attention against the CPU's plain loops in f64: packed projections,
// shared heads, causal, masked, forward and backward, and the bits of two
// backward passes.

#include "test/runtime/cuda/CudaTestDevice.h"

#include "gmock/gmock.h"

using namespace dsc;
using namespace dsc::testing;
using ::testing::HasSubstr;

namespace {

struct Case {
  int32_t dtype = DSC_BF16;
  int64_t batch = 2, heads = 4, kvHeads = 4, qLength = 128, kvLength = 128, width = 64;
  bool causal = false, packed = false;
  int mask = 0; ///< 1: [1, 1, q, k]; 2: [batch, heads, q, k]; in the type of q
};

/// Where everything lies, in elements.
struct Layout {
  int64_t qStrides[3], kStrides[3], oStrides[3], maskStrides[4] = {};
  int64_t qElements, kElements, oElements, kAt = 0, vAt = 0, maskElements = 0;

  explicit Layout(const Case &t) {
    int64_t qRow = t.packed ? (t.heads + 2 * t.kvHeads) * t.width : t.heads * t.width;
    int64_t kRow = t.packed ? qRow : t.kvHeads * t.width;
    auto fill = [&](int64_t *strides, int64_t length, int64_t row) {
      strides[0] = length * row;
      strides[1] = row;
      strides[2] = t.width;
    };
    fill(qStrides, t.qLength, qRow);
    fill(kStrides, t.kvLength, kRow);
    fill(oStrides, t.qLength, t.heads * t.width);
    qElements = t.batch * t.qLength * qRow;
    kElements = t.packed ? 0 : t.batch * t.kvLength * kRow;
    oElements = t.batch * t.qLength * t.heads * t.width;
    if (t.packed) {
      kAt = t.heads * t.width;
      vAt = (t.heads + t.kvHeads) * t.width;
    }
    if (t.mask) {
      maskStrides[3] = 1;
      maskStrides[2] = t.kvLength;
      maskElements = t.qLength * t.kvLength;
      if (t.mask == 2) {
        maskStrides[1] = maskElements;
        maskStrides[0] = t.heads * maskElements;
        maskElements *= t.batch * t.heads;
      }
    }
  }
};

int32_t makePlan(dsc_context *ctx, const Case &t, const Layout &l, int32_t dtype,
                 int64_t workspace) {
  return dsc_rt_attention_plan(ctx, 0, 0, dtype, t.batch, t.heads, t.kvHeads, t.qLength, t.kvLength,
                               t.width, 1 / std::sqrt(static_cast<double>(t.width)), t.causal,
                               t.mask ? dtype : 0, t.mask ? l.maskStrides : nullptr, l.qStrides,
                               l.kStrides, l.kStrides, l.oStrides, workspace);
}

void expectNear(const char *name, const std::vector<double> &found,
                const std::vector<double> &expected, double limit) {
  ASSERT_EQ(expected.size(), found.size());
  double worst = 0, squares = 0, differences = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    worst = std::fmax(worst, std::fabs(found[i] - expected[i]));
    squares += expected[i] * expected[i];
    differences += (found[i] - expected[i]) * (found[i] - expected[i]);
  }
  EXPECT_TRUE(worst <= limit) << name << ": " << worst << " apart, the bound is " << limit
                              << "; relative " << std::sqrt(differences / squares);
}

void check(const Case &t, unsigned seed) {
  Layout l(t);
  Random random(seed);
  Values q = Values::random(random, t.dtype, l.qElements);
  Values k = Values::random(random, t.dtype, l.kElements);
  Values v = Values::random(random, t.dtype, l.kElements);
  Values mask = Values::random(random, t.dtype, l.maskElements);
  Values dO = Values::random(random, t.dtype, l.oElements);
  const int64_t lseElements = t.batch * t.heads * t.qLength;

  DSC_CUDA_DEVICE(device);
  const int64_t workspace = dsc_cuda_attention_grad_workspace(t.batch, t.heads, t.kvHeads,
                                                              t.qLength, t.kvLength, t.width);
  ASSERT_EQ(0, makePlan(&device.ctx, t, l, t.dtype, workspace)) << device.ctx.status.message();
  device.allocate();
  const auto size = static_cast<int64_t>(dtypeSize(static_cast<Dtype>(t.dtype)));
  std::byte *qAt = device.put(q), *kAt = device.put(k), *vAt = device.put(v);
  std::byte *maskAt = t.mask ? device.put(mask) : nullptr, *dOAt = device.put(dO);
  std::byte *oAt = device.place(l.oElements * size), *lseAt = device.place(lseElements * 4);
  std::byte *gradients[2][3];
  for (auto &set : gradients) {
    set[0] = device.place(l.qElements * size);
    set[1] = device.place(l.kElements * size);
    set[2] = device.place(l.kElements * size);
  }
  std::byte *space = device.place(workspace, DSC_ALIGNMENT);
  auto part = [&](std::byte *base, std::byte *own, int64_t at) {
    return t.packed ? base + at * size : own;
  };
  ASSERT_EQ(0, dsc_rt_attention(&device.ctx, 0, 0, qAt, part(qAt, kAt, l.kAt),
                                part(qAt, vAt, l.vAt), maskAt, oAt, lseAt, space))
      << device.ctx.status.message();
  for (auto &set : gradients) {
    ASSERT_EQ(0, dsc_rt_attention_grad(&device.ctx, 0, 0, qAt, part(qAt, kAt, l.kAt),
                                       part(qAt, vAt, l.vAt), maskAt, oAt, lseAt, dOAt, set[0],
                                       part(set[0], set[1], l.kAt), part(set[0], set[2], l.vAt),
                                       space))
        << device.ctx.status.message();
  }
  std::vector<double> o = device.get(oAt, t.dtype, l.oElements);
  std::vector<double> lse = device.get(lseAt, DSC_F32, lseElements);
  std::vector<double> found[3], again[3];
  for (int i = 0; i < (t.packed ? 1 : 3); ++i) {
    int64_t count = i ? l.kElements : l.qElements;
    found[i] = device.get(gradients[0][i], t.dtype, count);
    again[i] = device.get(gradients[1][i], t.dtype, count);
    EXPECT_EQ(found[i], again[i]) << "two backward passes differ";
  }

  CpuTestDevice cpu(2);
  Case reference = t;
  const int64_t rows = dsc_attention_grad_workspace(t.batch, t.heads, t.qLength, sizeof(double));
  ASSERT_EQ(0, makePlan(&cpu.ctx, reference, l, DSC_F64, rows)) << cpu.ctx.status.message();
  std::vector<double> o64(o.size()), lse64(lse.size()), delta(static_cast<size_t>(rows));
  std::vector<double> dq(q.numbers.size()), dk(k.numbers.size()), dv(v.numbers.size());
  auto of = [&](std::vector<double> &base, std::vector<double> &own, int64_t at) {
    return t.packed ? base.data() + at : own.data();
  };
  const double *maskNumbers = t.mask ? mask.numbers.data() : nullptr;
  ASSERT_EQ(0, dsc_rt_attention(&cpu.ctx, 0, 0, q.numbers.data(), of(q.numbers, k.numbers, l.kAt),
                                of(q.numbers, v.numbers, l.vAt), maskNumbers, o64.data(),
                                lse64.data(), nullptr));
  ASSERT_EQ(0,
            dsc_rt_attention_grad(&cpu.ctx, 0, 0, q.numbers.data(), of(q.numbers, k.numbers, l.kAt),
                                  of(q.numbers, v.numbers, l.vAt), maskNumbers, o64.data(),
                                  lse64.data(), dO.numbers.data(), dq.data(), of(dq, dk, l.kAt),
                                  of(dq, dv, l.vAt), delta.data()))
      << cpu.ctx.status.message();
  // The probabilities are rounded to the type before the second product, so the
  // scale is that of what is added up: values up to 1 with weights that sum to
  // 1, and for gradients of keys and values as many rows as look at them.
  const double unit = roundoffOf(t.dtype);
  expectNear("o", o, o64, bound(unit, 1, 1));
  expectNear("lse", lse, lse64, bound(f32Roundoff, static_cast<double>(t.width), 8, 4));
  double largest = 0;
  for (const std::vector<double> *gradient : {&dq, &dk, &dv}) {
    for (double value : *gradient) {
      largest = std::fmax(largest, std::fabs(value));
    }
  }
  expectNear("dq", found[0], dq, bound(unit, 1, std::fmax(largest, 1), 2));
  if (!t.packed) {
    expectNear("dk", found[1], dk, bound(unit, 1, std::fmax(largest, 1), 2));
    expectNear("dv", found[2], dv, bound(unit, 1, std::fmax(largest, 1), 2));
  }
}

} // namespace

TEST(CudaAttention, AgreesWithPlainLoops) {
  std::vector<Case> cases(9);
  cases[1].causal = true;
  cases[2].packed = true;
  cases[2].causal = true;
  cases[3].dtype = DSC_F16;
  cases[3].packed = true;
  cases[4].kvHeads = 2;
  cases[4].causal = true;
  cases[5].qLength = 100;
  cases[5].kvLength = 77;
  cases[6].width = 128;
  cases[6].causal = true;
  cases[7].mask = 1;
  cases[8].mask = 2;
  cases[8].dtype = DSC_F16;
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(::testing::Message() << "case " << i);
    check(cases[i], static_cast<unsigned>(i));
    if (IsSkipped()) {
      return;
    }
  }
}

TEST(CudaAttention, OddWidthsAndLengths) {
  std::vector<Case> cases(4);
  cases[0].width = 40;
  cases[1].width = 8;
  cases[1].qLength = cases[1].kvLength = 5;
  cases[1].causal = true;
  cases[2].qLength = cases[2].kvLength = 2;
  cases[3].qLength = 33;
  cases[3].kvLength = 65;
  cases[3].causal = true;
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(::testing::Message() << "case " << i);
    check(cases[i], static_cast<unsigned>(i));
    if (IsSkipped()) {
      return;
    }
  }
}

TEST(CudaAttention, RefusesOtherTypesByName) {
  DSC_CUDA_DEVICE(device);
  Case test;
  Layout layout(test);
  EXPECT_NE(0, makePlan(&device.ctx, test, layout, DSC_F32, 1 << 20));
  EXPECT_THAT(device.ctx.status.message(),
              HasSubstr("the_op: attention in f32 of 2 x 4 heads (4 of keys), 128 queries"));
}
