// Attention against its formulas in f64.

#include "runtime/cpu/AttentionKernels.h"
#include "runtime/cpu/Gemm.h"
#include "runtime/cpu/ThreadTeam.h"
#include "test/runtime/cpu/CpuTestDevice.h"

#include "gmock/gmock.h"

#include <cstring>
#include <functional>

using namespace dsc;
using namespace dsc::testing;
using ::testing::HasSubstr;

namespace {

enum class Mask { None, Float, Bool };

/// A case, drawn or written: sizes, layout and mask.
struct Case {
  int64_t batch = 1, heads = 1, kvHeads = 1, qLength = 1, kvLength = 1, width = 1;
  bool causal = false;
  Mask mask = Mask::None;
  bool maskPerQuery = true, maskPerHead = false;
  bool packed = false; ///< q, k, v are columns of one tensor
  bool hiddenRow = false;
  double hidden = -std::numeric_limits<double>::infinity(); ///< what hides in a float mask
};

struct Strides {
  int64_t q[3], k[3], v[3], o[3], mask[4];
};

Strides stridesOf(const Case &test) {
  int64_t w = test.width, q = test.heads * w, k = test.kvHeads * w;
  Strides s;
  if (test.packed) {
    int64_t row = q + 2 * k;
    int64_t all[3] = {test.qLength * row, row, w};
    std::copy_n(all, 3, s.q);
    std::copy_n(all, 3, s.k);
    std::copy_n(all, 3, s.v);
  } else {
    // [batch, heads, length, width] for q, [batch, length, heads, width] for the others.
    int64_t forQ[3] = {test.qLength * q, w, test.qLength * w};
    int64_t forK[3] = {test.kvLength * k, k, w};
    std::copy_n(forQ, 3, s.q);
    std::copy_n(forK, 3, s.k);
    std::copy_n(forK, 3, s.v);
  }
  int64_t forO[3] = {test.qLength * q, q, w};
  std::copy_n(forO, 3, s.o);
  int64_t rows = test.maskPerQuery ? test.qLength : 1, heads = test.maskPerHead ? test.heads : 1;
  int64_t forMask[4] = {heads * rows * test.kvLength, test.maskPerHead ? rows * test.kvLength : 0,
                        test.maskPerQuery ? test.kvLength : 0, 1};
  std::copy_n(forMask, 4, s.mask);
  return s;
}

/// All tensors of one case.
template <typename T> struct Tensors {
  std::vector<T> q, k, v, o, lse, dO, dq, dk, dv;
  std::vector<T> floatMask;
  std::vector<uint8_t> boolMask;
};

template <typename T> Tensors<T> draw(const Case &test, unsigned seed) {
  Random random(seed);
  Tensors<T> t;
  int64_t qCount = test.batch * test.qLength * test.heads * test.width;
  int64_t kCount = test.batch * test.kvLength * test.kvHeads * test.width;
  if (test.packed) {
    t.q = random.values<T>(qCount + 2 * kCount);
    t.dq.resize(t.q.size());
  } else {
    t.q = random.values<T>(qCount);
    t.k = random.values<T>(kCount);
    t.v = random.values<T>(kCount);
    t.dq.resize(t.q.size());
    t.dk.resize(t.k.size());
    t.dv.resize(t.v.size());
  }
  t.dO = random.values<T>(qCount);
  t.o.resize(size_t(qCount));
  t.lse.resize(size_t(test.batch * test.heads * test.qLength));
  int64_t rows = test.maskPerQuery ? test.qLength : 1, heads = test.maskPerHead ? test.heads : 1;
  int64_t maskCount = test.batch * heads * rows * test.kvLength;
  t.floatMask = random.values<T>(maskCount);
  for (int64_t i = 0; i < maskCount; ++i) {
    bool hidden = random.between(0, 4) == 0;
    if (test.hiddenRow && i < test.kvLength) {
      hidden = true;
    }
    t.boolMask.push_back(hidden ? 0 : 1);
    if (hidden && test.hiddenRow) {
      t.floatMask[size_t(i)] = T(test.hidden);
    }
  }
  return t;
}

template <typename T> struct Pointers {
  T *q, *k, *v, *dq, *dk, *dv;
  const void *mask;
};

template <typename T> Pointers<T> pointersOf(const Case &test, Tensors<T> &t) {
  int64_t kAt = test.heads * test.width, vAt = kAt + test.kvHeads * test.width;
  const void *mask = test.mask == Mask::None    ? nullptr
                     : test.mask == Mask::Float ? static_cast<void *>(t.floatMask.data())
                                                : static_cast<void *>(t.boolMask.data());
  if (test.packed) {
    return {t.q.data(),  t.q.data() + kAt,  t.q.data() + vAt,
            t.dq.data(), t.dq.data() + kAt, t.dq.data() + vAt,
            mask};
  }
  return {t.q.data(), t.k.data(), t.v.data(), t.dq.data(), t.dk.data(), t.dv.data(), mask};
}

template <typename T> void run(const Case &test, Tensors<T> &t, int threads, bool gradient) {
  CpuTestDevice device(threads);
  Strides s = stridesOf(test);
  int32_t dtype = sizeof(T) == 4 ? DSC_F32 : DSC_F64;
  int32_t maskType = test.mask == Mask::Bool ? int32_t(DSC_BOOL) : dtype;
  int64_t workspace = dsc_attention_grad_workspace(test.batch, test.heads, test.qLength, sizeof(T));
  std::vector<char> memory(size_t(workspace) + 64);
  void *scratch = memory.data() + 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
  ASSERT_EQ(0, dsc_rt_attention_plan(&device.ctx, 0, 0, dtype, test.batch, test.heads, test.kvHeads,
                                     test.qLength, test.kvLength, test.width,
                                     1 / std::sqrt(double(test.width)), test.causal, maskType,
                                     test.mask == Mask::None ? nullptr : s.mask, s.q, s.k, s.v, s.o,
                                     workspace))
      << device.ctx.status.message();
  Pointers<T> p = pointersOf(test, t);
  ASSERT_EQ(0, dsc_rt_attention(&device.ctx, 0, 0, p.q, p.k, p.v, p.mask, t.o.data(), t.lse.data(),
                                scratch))
      << device.ctx.status.message();
  if (gradient) {
    ASSERT_EQ(0, dsc_rt_attention_grad(&device.ctx, 0, 0, p.q, p.k, p.v, p.mask, t.o.data(),
                                       t.lse.data(), t.dO.data(), p.dq, p.dk, p.dv, scratch))
        << device.ctx.status.message();
  }
}

template <typename To, typename From> std::vector<To> converted(const std::vector<From> &values) {
  return {values.begin(), values.end()};
}

Tensors<double> inF64(const Tensors<float> &t) {
  Tensors<double> r;
  r.q = converted<double>(t.q);
  r.k = converted<double>(t.k);
  r.v = converted<double>(t.v);
  r.dO = converted<double>(t.dO);
  r.floatMask = converted<double>(t.floatMask);
  r.boolMask = t.boolMask;
  r.o.resize(t.o.size());
  r.lse.resize(t.lse.size());
  r.dq.resize(t.dq.size());
  r.dk.resize(t.dk.size());
  r.dv.resize(t.dv.size());
  return r;
}

void expectNear(const std::vector<double> &expected, const std::vector<float> &found,
                double tolerance, const char *what) {
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isinf(expected[i])) {
      ASSERT_EQ(expected[i], double(found[i])) << what << " at " << i;
      continue;
    }
    ASSERT_NEAR(expected[i], double(found[i]), tolerance) << what << " at " << i;
  }
}

bool sameBits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// f32 on 1 and 2 threads and twice with equal bits, and near the plain loops in f64.
void check(const Case &test, unsigned seed) {
  Tensors<float> t = draw<float>(test, seed);
  Tensors<double> reference = inF64(t);
  run(test, reference, 1, true);
  Tensors<float> first;
  for (int threads : {1, 2, 2}) {
    Tensors<float> again = t;
    run(test, again, threads, true);
    if (first.o.empty()) {
      first = again;
    }
    EXPECT_TRUE(sameBits(first.o, again.o) && sameBits(first.lse, again.lse) &&
                sameBits(first.dq, again.dq) && sameBits(first.dk, again.dk) &&
                sameBits(first.dv, again.dv))
        << "the bits depend on the run or on the " << threads << " threads";
  }
  // Scores up to sqrt(width) in magnitude enter an exponential: their error is relative there.
  double scores = bound(f32Roundoff, double(test.width), std::sqrt(double(test.width)));
  double tolerance = scores + bound(f32Roundoff, double(test.kvLength), 1, 3);
  expectNear(reference.o, first.o, tolerance, "o");
  expectNear(reference.lse, first.lse, tolerance, "lse");
  // dP is a sum over width; dq, dk and dv are sums over keys and queries of p * (dP - delta).
  int64_t heads = test.heads / test.kvHeads;
  auto group = double(heads);
  double scale = std::sqrt(double(test.width));
  double length = group * double(std::max(test.qLength, test.kvLength));
  double gradient = (scores + bound(f32Roundoff, length, 1, 4)) * scale * 2;
  expectNear(reference.dq, first.dq, gradient, "dq");
  expectNear(reference.dk, first.dk, gradient * group, "dk");
  expectNear(reference.dv, first.dv, gradient * group, "dv");
}

TEST(Attention, AgreesWithItsFormulasOnRandomCases) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(1000 + seed);
    Case test;
    test.batch = random.between(1, 2);
    test.kvHeads = random.between(1, 2);
    test.heads = test.kvHeads * random.between(1, 3);
    test.qLength = random.between(1, seed % 4 ? 40 : 200);
    test.kvLength = random.between(1, seed % 3 ? 40 : 200);
    test.width = random.between(1, seed % 2 ? 20 : 90);
    test.causal = random.coin();
    test.mask = Mask(random.between(0, 2));
    test.maskPerQuery = random.coin();
    test.maskPerHead = random.coin();
    test.packed = random.coin();
    if (test.packed) {
      test.kvLength = test.qLength;
    }
    check(test, seed);
  }
}

TEST(Attention, TakesGptAndBertShapes) {
  check({2, 3, 3, 256, 256, 64, true, Mask::None, true, false, true}, 1);
  check({2, 4, 4, 128, 128, 32, false, Mask::Float, false, false, true}, 2);
  check({1, 4, 2, 130, 130, 128, true, Mask::None, true, false, false}, 3);
}

TEST(Attention, KeepsWhatDoesNotFitTheScratchByDoingItAgain) {
  // Transposes of 3 heads x 9 blocks of 256 wide queries are more than a thread's scratch.
  check({1, 3, 1, 520, 70, 256, false, Mask::None, true, false, false}, 4);
}

TEST(Attention, CutsTheGradientsOfFewHeadsForManyThreadsWithTheSameBits) {
  for (bool causal : {false, true}) {
    Case test{1, 2, 1, 200, 190, 24, causal, Mask::Float};
    Tensors<float> one = draw<float>(test, 11), many = one;
    run(test, one, 1, true);
    run(test, many, 3, true);
    EXPECT_TRUE(sameBits(one.dq, many.dq));
    EXPECT_TRUE(sameBits(one.dk, many.dk));
    EXPECT_TRUE(sameBits(one.dv, many.dv));
  }
}

TEST(Attention, TakesHeadsWiderThanTheBlocks) { check({1, 2, 1, 9, 70, 300, true}, 5); }

TEST(Attention, GivesZeroToARowThatSeesNothing) {
  for (Mask mask : {Mask::Float, Mask::Bool}) {
    Case test{2, 2, 2, 70, 67, 16, false, mask};
    test.hiddenRow = true;
    check(test, 6);
    Tensors<float> t = draw<float>(test, 6);
    run(test, t, 2, true);
    for (int64_t d = 0; d < test.width; ++d) {
      EXPECT_EQ(0.0f, t.o[size_t(d)]);
      EXPECT_EQ(0.0f, t.dq[size_t(d)]);
    }
    EXPECT_EQ(-std::numeric_limits<float>::infinity(), t.lse[0]);
  }
}

TEST(Attention, AveragesOverARowThatIsHiddenByFiniteNumbers) {
  // What PyTorch's softmax gives where every score is the lowest number: equal probabilities. The
  // row's log-sum-exp cannot tell how many keys there are.
  for (bool causal : {false, true}) {
    Case test{1, 2, 1, 70, 67, 16, causal, Mask::Float};
    test.hiddenRow = true;
    test.hidden = std::numeric_limits<float>::lowest();
    check(test, 12);
    Tensors<float> t = draw<float>(test, 12);
    std::fill(t.floatMask.begin(), t.floatMask.end(), std::numeric_limits<float>::lowest());
    run(test, t, 2, true);
    auto visible = [&](int64_t query) { return causal ? std::min<int64_t>(query + 1, 67) : 67; };
    double tolerance = bound(f32Roundoff, 67, 1, 3);
    for (int64_t d = 0; d < test.width; ++d) {
      for (int64_t query = 0; query < test.qLength; ++query) {
        double sum = 0;
        for (int64_t key = 0; key < visible(query); ++key) {
          sum += double(t.v[size_t(key * test.width + d)]);
        }
        ASSERT_NEAR(sum / double(visible(query)), double(t.o[size_t(query * 2 * test.width + d)]),
                    tolerance);
      }
      // Both heads look at the last key: dv is the sum of their dO over as many keys as they see.
      double dv = 0;
      for (int64_t query = causal ? 66 : 0; query < test.qLength; ++query) {
        for (int64_t head = 0; head < 2; ++head) {
          dv += double(t.dO[size_t((query * 2 + head) * test.width + d)]) / 67;
        }
      }
      ASSERT_NEAR(dv, double(t.dv[size_t(66 * test.width + d)]), tolerance);
    }
  }
}

TEST(Attention, KeepsTheSumOfRowsOfVeryNegativeScores) {
  // Masks of -10^4: the scores still tell the keys apart, to three digits behind the point.
  Case test{1, 2, 2, 70, 67, 16, false, Mask::Float};
  Tensors<float> t = draw<float>(test, 13);
  std::fill(t.floatMask.begin(), t.floatMask.end(), -1e4f);
  run(test, t, 1, true);
  for (int64_t d = 0; d < test.width; ++d) {
    double sum = 0, expected = 0;
    for (int64_t key = 0; key < test.kvLength; ++key) {
      sum += double(t.dv[size_t(key * 2 * test.width + d)]);
    }
    for (int64_t query = 0; query < test.qLength; ++query) {
      expected += double(t.dO[size_t(query * 2 * test.width + d)]);
    }
    // Probabilities add up to 1 in every row, so that dv adds up to dO.
    EXPECT_NEAR(expected, sum, bound(f32Roundoff, double(test.qLength), 1, 4));
  }
}

TEST(Attention, SkipsKeysAfterTheLastQuery) {
  // Keys 10.. are hidden from all queries, with gradients of exactly 0.
  Case test{1, 1, 1, 10, 150, 8, true};
  check(test, 7);
  Tensors<float> t = draw<float>(test, 7);
  std::fill(t.dk.begin(), t.dk.end(), 5.0f);
  run(test, t, 2, true);
  for (size_t i = 80; i < t.dk.size(); ++i) {
    ASSERT_EQ(0.0f, t.dk[i]);
    ASSERT_EQ(0.0f, t.dv[i]);
  }
}

TEST(Attention, HasZeroGradientsWithoutKeysOrQueries) {
  for (auto [queries, keys] : {std::pair<int64_t, int64_t>{3, 0}, {0, 3}}) {
    Case test{1, 2, 1, queries, keys, 8};
    Tensors<float> t = draw<float>(test, 8);
    std::fill(t.dq.begin(), t.dq.end(), 5.0f);
    std::fill(t.dk.begin(), t.dk.end(), 5.0f);
    run(test, t, 1, true);
    for (const auto *values : {&t.o, &t.dq, &t.dk}) {
      for (float value : *values) {
        EXPECT_EQ(0.0f, value);
      }
    }
  }
}

TEST(Attention, GradientsAgreeWithFiniteDifferences) {
  for (Mask mask : {Mask::None, Mask::Float}) {
    for (bool causal : {false, true}) {
      Case test{2, 4, 2, 6, 5, 3, causal, mask, true, true};
      Tensors<double> t = draw<double>(test, 9);
      run(test, t, 1, true);
      auto loss = [&](Tensors<double> &at) {
        run(test, at, 1, false);
        double sum = 0;
        for (size_t i = 0; i < at.o.size(); ++i) {
          sum += at.o[i] * at.dO[i];
        }
        return sum;
      };
      auto compare = [&](std::vector<double> Tensors<double>::*operand,
                         const std::vector<double> &gradient, const char *what) {
        for (size_t i = 0; i < gradient.size(); i += 3) {
          Tensors<double> moved = t;
          double x = (t.*operand)[i], h = 0x1p-17 * std::max(1.0, std::abs(x));
          (moved.*operand)[i] = x + h;
          double up = loss(moved);
          (moved.*operand)[i] = x - h;
          double difference = (up - loss(moved)) / (2 * h);
          EXPECT_NEAR(difference, gradient[i],
                      1e-6 * std::max({1.0, std::abs(gradient[i]), std::abs(up)}))
              << what << " at " << i;
        }
      };
      compare(&Tensors<double>::q, t.dq, "dq");
      compare(&Tensors<double>::k, t.dk, "dk");
      compare(&Tensors<double>::v, t.dv, "dv");
    }
  }
}

TEST(Attention, GivesTheSameBitsOnEveryInstructionSet) {
  if (gemmKernels() != &gemmKernelsAvx512) {
    GTEST_SKIP() << "this CPU has only one of the instruction sets";
  }
  Case test{1, 2, 1, 150, 140, 40, true, Mask::Float};
  Strides s = stridesOf(test);
  AttentionShape shape = {1, 2, 1, 150, 140, 40, 0.3, true, DSC_F32, {}, {}, {}, {}, {}};
  std::copy_n(s.mask, 4, shape.maskStrides);
  std::copy_n(s.q, 3, shape.qStrides);
  std::copy_n(s.k, 3, shape.kStrides);
  std::copy_n(s.v, 3, shape.vStrides);
  std::copy_n(s.o, 3, shape.oStrides);
  ThreadTeam team;
  ASSERT_TRUE(team.start(1).ok());
  Tensors<float> results[2] = {draw<float>(test, 10), draw<float>(test, 10)};
  const AttentionKernels *kernels[2] = {&attentionKernelsAvx2, &attentionKernelsAvx512};
  for (int i = 0; i < 2; ++i) {
    Tensors<float> &t = results[i];
    std::vector<float> delta(t.lse.size()), share(t.lse.size());
    AttentionOperands<float> operands = {
        t.q.data(),  t.k.data(),  t.v.data(),  t.floatMask.data(), t.o.data(),   t.lse.data(),
        t.dO.data(), t.dq.data(), t.dk.data(), t.dv.data(),        delta.data(), share.data()};
    for (int64_t item = 0; item < 6; ++item) {
      kernels[i]->forward(shape, operands, item, team.scratch(0), ThreadTeam::scratchBytesEach);
    }
    for (int64_t item = 0; item < 2; ++item) {
      kernels[i]->rowSums(shape, operands, item, team.scratch(0));
    }
    kernels[i]->backward(shape, operands, {0, 0, 0, 2, 0, 3, 0, 3, true, true}, team.scratch(0),
                         ThreadTeam::scratchBytesEach);
  }
  EXPECT_TRUE(sameBits(results[0].o, results[1].o));
  EXPECT_TRUE(sameBits(results[0].lse, results[1].lse));
  EXPECT_TRUE(sameBits(results[0].dq, results[1].dq));
  EXPECT_TRUE(sameBits(results[0].dk, results[1].dk));
  EXPECT_TRUE(sameBits(results[0].dv, results[1].dv));
}

TEST(Attention, RefusesPlansAndCallsThatDisagree) {
  int64_t strides[3] = {1, 1, 1};
  auto plan = [&](dsc_context *ctx, int32_t dtype, int64_t heads, int64_t kvHeads) {
    return dsc_rt_attention_plan(ctx, 0, 0, dtype, 1, heads, kvHeads, 1, 1, 1, 1.0, 0, 0, nullptr,
                                 strides, strides, strides, strides, 0);
  };
  {
    CpuTestDevice device(1);
    EXPECT_NE(0, plan(&device.ctx, DSC_F32, 3, 2));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("the_op: attention of 3 heads over 2"));
  }
  {
    CpuTestDevice device(1);
    EXPECT_NE(0, plan(&device.ctx, DSC_I32, 1, 1));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("element type 6"));
  }
  CpuTestDevice device(1);
  float x[4] = {};
  EXPECT_EQ(0, plan(&device.ctx, DSC_F32, 1, 1));
  EXPECT_NE(0, dsc_rt_attention_grad(&device.ctx, 0, 0, x, x, x, nullptr, x, x, x, x, x, x, x));
  EXPECT_THAT(device.ctx.status.message(), HasSubstr("workspace of 0 bytes"));
}

} // namespace
