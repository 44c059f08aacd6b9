// Convolutions against their sum in f64.

#include "test/runtime/cpu/CpuTestDevice.h"

#include "gmock/gmock.h"

#include <cstring>

using namespace dsc;
using namespace dsc::testing;
using ::testing::HasSubstr;

namespace {

enum class Layout { ChannelsFirst, ChannelsLast, ChannelsLastWithGap };

struct Case {
  int64_t batch = 1, in = 1, out = 1, groups = 1;
  std::vector<int64_t> size, kernel, stride, dilation, padBegin, padEnd;
  Layout x = Layout::ChannelsLast, w = Layout::ChannelsLast, y = Layout::ChannelsLast;
  bool bias = false;
  int32_t epilogue = DSC_EPILOGUE_NONE;

  std::vector<int64_t> outSize() const {
    std::vector<int64_t> result;
    for (size_t i = 0; i < size.size(); ++i) {
      int64_t reach = dilation[i] * (kernel[i] - 1) + 1;
      result.push_back((size[i] + padBegin[i] + padEnd[i] - reach) / stride[i] + 1);
    }
    return result;
  }
};

/// Dims and strides of [outer, channels, spatial...].
struct Operand {
  std::vector<int64_t> dims, strides;
  int64_t span = 1;

  Operand(int64_t outer, int64_t channels, const std::vector<int64_t> &sizes, Layout layout) {
    dims = {outer, channels};
    dims.insert(dims.end(), sizes.begin(), sizes.end());
    strides.resize(dims.size());
    if (layout == Layout::ChannelsFirst) {
      for (size_t i = dims.size(); i-- > 0;) {
        strides[i] = span;
        span *= dims[i];
      }
      return;
    }
    strides[1] = 1;
    span = channels + (layout == Layout::ChannelsLastWithGap ? 3 : 0);
    for (size_t i = dims.size(); i-- > 0;) {
      if (i != 1) {
        strides[i] = span;
        span *= dims[i];
      }
    }
  }
  int64_t at(int64_t outer, int64_t channel, const std::vector<int64_t> &place) const {
    int64_t offset = outer * strides[0] + channel * strides[1];
    for (size_t i = 0; i < place.size(); ++i) {
      offset += place[i] * strides[i + 2];
    }
    return offset;
  }
};

/// Advances an index like an odometer; false after the last.
bool advance(std::vector<int64_t> &index, const std::vector<int64_t> &sizes) {
  for (size_t i = sizes.size(); i-- > 0;) {
    if (++index[i] < sizes[i]) {
      return true;
    }
    index[i] = 0;
  }
  return false;
}

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

struct Reference {
  std::vector<double> y, dx, dw;
};

/// Every product of the convolution once, added to the three results that it belongs to.
template <typename T>
Reference referenceOf(const Case &test, const Operand &x, const Operand &w, const Operand &y,
                      const std::vector<T> &xs, const std::vector<T> &ws, const std::vector<T> &dys,
                      const std::vector<T> &bias) {
  Reference r{std::vector<double>(size_t(y.span)), std::vector<double>(size_t(x.span)),
              std::vector<double>(size_t(w.span))};
  std::vector<int64_t> outSize = test.outSize();
  int64_t groupIn = test.in / test.groups, groupOut = test.out / test.groups;
  size_t axes = outSize.size();
  for (int64_t n = 0; n < test.batch; ++n) {
    for (int64_t o = 0; o < test.out; ++o) {
      std::vector<int64_t> out(axes, 0);
      do {
        size_t yAt = size_t(y.at(n, o, out));
        std::vector<int64_t> tap(axes, 0), place(axes);
        do {
          bool inside = true;
          for (size_t i = 0; i < axes; ++i) {
            place[i] = out[i] * test.stride[i] - test.padBegin[i] + tap[i] * test.dilation[i];
            inside = inside && place[i] >= 0 && place[i] < test.size[i];
          }
          for (int64_t c = 0; inside && c < groupIn; ++c) {
            size_t xAt = size_t(x.at(n, o / groupOut * groupIn + c, place));
            size_t wAt = size_t(w.at(o, c, tap));
            r.y[yAt] += double(xs[xAt]) * double(ws[wAt]);
            r.dx[xAt] += double(dys[yAt]) * double(ws[wAt]);
            r.dw[wAt] += double(dys[yAt]) * double(xs[xAt]);
          }
        } while (advance(tap, test.kernel));
        r.y[yAt] =
            activation(r.y[yAt] + (test.bias ? double(bias[size_t(o)]) : 0.0), test.epilogue);
      } while (advance(out, outSize));
    }
  }
  return r;
}

int planOf(dsc_context *ctx, int kind, int32_t dtype, const Case &test, const Operand &x,
           const Operand &w, const Operand &y, int64_t workspace) {
  bool forward = kind == DSC_CONV_FORWARD;
  return dsc_rt_conv_plan(ctx, 0, 0, kind, dtype, int32_t(x.dims.size()), x.dims.data(),
                          x.strides.data(), w.dims.data(), w.strides.data(), y.dims.data(),
                          y.strides.data(), test.stride.data(), test.dilation.data(),
                          test.padBegin.data(), test.padEnd.data(), test.groups,
                          forward && test.bias, forward ? test.epilogue : 0, workspace);
}

template <typename T> void check(const Case &test, unsigned seed) {
  Random random(seed);
  int32_t dtype = sizeof(T) == 4 ? DSC_F32 : DSC_F64;
  Operand x(test.batch, test.in, test.size, test.x);
  Operand w(test.out, test.in / test.groups, test.kernel,
            test.w == Layout::ChannelsFirst ? test.w : Layout::ChannelsLast);
  Operand y(test.batch, test.out, test.outSize(), test.y);
  auto xs = random.values<T>(x.span), ws = random.values<T>(w.span), dys = random.values<T>(y.span),
       bias = random.values<T>(test.out);
  Reference expected = referenceOf(test, x, w, y, xs, ws, dys, bias);
  const std::vector<double> *results[] = {&expected.y, &expected.dx, &expected.dw};
  const std::vector<T> *operands[][2] = {{&xs, &ws}, {&dys, &ws}, {&xs, &dys}};
  for (int kind = DSC_CONV_FORWARD; kind <= DSC_CONV_GRAD_WEIGHT; ++kind) {
    SCOPED_TRACE("kind " + std::to_string(kind));
    int64_t workspace = dsc_conv_workspace(
        kind, dtype, int32_t(x.dims.size()), x.dims.data(), x.strides.data(), w.dims.data(),
        w.strides.data(), y.dims.data(), y.strides.data(), test.stride.data(), test.groups);
    std::vector<T> first;
    for (int threads : {1, 2, 2}) {
      CpuTestDevice device(threads);
      ASSERT_EQ(0, planOf(&device.ctx, kind, dtype, test, x, w, y, workspace))
          << device.ctx.status.message();
      // A guard behind the workspace shows whether the formula is enough.
      std::vector<char> memory(size_t(workspace) + 128, 7);
      char *scratch = memory.data() + 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64;
      std::vector<T> result(results[kind]->size());
      bool withBias = kind == DSC_CONV_FORWARD && test.bias;
      ASSERT_EQ(0,
                dsc_rt_conv(&device.ctx, 0, 0, operands[kind][0]->data(), operands[kind][1]->data(),
                            withBias ? bias.data() : nullptr, result.data(), scratch))
          << device.ctx.status.message();
      for (char *at = scratch + workspace; at < memory.data() + memory.size(); ++at) {
        ASSERT_EQ(7, *at) << "wrote behind the workspace of " << workspace;
      }
      if (first.empty()) {
        first = result;
      }
      ASSERT_EQ(0, std::memcmp(first.data(), result.data(), result.size() * sizeof(T)))
          << "the bits depend on the run or on the " << threads << " threads";
    }
    double taps = 1, pixels = double(test.batch);
    for (size_t i = 0; i < test.size.size(); ++i) {
      taps *= double(test.kernel[i]);
      pixels *= double(test.outSize()[i]);
    }
    int64_t groupIn = test.in / test.groups, groupOut = test.out / test.groups;
    double length = kind == DSC_CONV_GRAD_WEIGHT ? pixels
                    : kind == DSC_CONV_FORWARD   ? taps * double(groupIn)
                                                 : taps * double(groupOut);
    double tolerance = bound(sizeof(T) == 4 ? f32Roundoff : f64Roundoff, length, 2, 2);
    for (size_t i = 0; i < first.size(); ++i) {
      ASSERT_NEAR((*results[kind])[i], double(first[i]), tolerance) << "at " << i;
    }
  }
}

Case drawCase(Random &random) {
  Case test;
  test.batch = random.between(1, 3);
  test.groups = random.between(0, 2) == 0 ? random.between(2, 3) : 1;
  test.in = test.groups * random.between(1, 40);
  test.out = test.groups * random.between(1, 40);
  int64_t axes = random.between(1, 3);
  for (int64_t i = 0; i < axes; ++i) {
    test.kernel.push_back(random.between(1, 3));
    test.dilation.push_back(random.between(1, 2));
    test.stride.push_back(random.between(1, 3));
    test.padBegin.push_back(random.between(0, 2));
    test.padEnd.push_back(random.between(0, 2));
    int64_t reach = test.dilation.back() * (test.kernel.back() - 1) + 1;
    test.size.push_back(reach + random.between(0, axes == 3 ? 2 : 6));
  }
  test.x = Layout(random.between(0, 2));
  test.w = Layout(random.between(0, 1));
  test.y = Layout(random.between(0, 2));
  test.bias = random.coin();
  test.epilogue = int32_t(random.between(0, 3));
  return test;
}

TEST(Convolution, AgreesWithItsSumOnRandomCases) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    check<float>(drawCase(random), seed);
  }
}

TEST(Convolution, AgreesWithItsSumInF64) {
  for (unsigned seed = 100; seed < 115; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Case test = drawCase(random);
    test.in = test.groups * (1 + test.in / test.groups % 7);
    check<double>(test, seed);
  }
}

TEST(Convolution, TakesTheShapesOfResidualNetworks) {
  std::vector<int64_t> one{1, 1}, two{2, 2}, three{3, 3};
  check<float>({2, 64, 64, 1, {8, 8}, three, one, one, one, one}, 1);
  check<float>({2, 64, 128, 1, {8, 8}, three, two, one, one, one}, 2);
  check<float>({2, 64, 128, 1, {8, 8}, one, two, one, {0, 0}, {0, 0}}, 3);
  check<float>({2, 3, 64, 1, {32, 32}, {7, 7}, two, one, three, three}, 4);
  // On one or four pixels some taps read nothing but padding.
  check<float>({5, 40, 33, 1, {1, 1}, three, one, one, one, one}, 7);
  check<float>({5, 40, 33, 1, {2, 2}, three, two, one, one, one}, 8);
}

TEST(Convolution, TakesDepthwiseConvolutions) {
  for (Layout layout : {Layout::ChannelsFirst, Layout::ChannelsLast, Layout::ChannelsLastWithGap}) {
    Case test{2,      75,     75,     75,     {9, 8}, {3, 3}, {1, 1},
              {1, 1}, {1, 1}, {1, 1}, layout, layout, layout};
    test.bias = true;
    test.epilogue = DSC_EPILOGUE_GELU_ERF;
    check<float>(test, 5);
    test.stride = {2, 3};
    check<float>(test, 6);
  }
}

TEST(Convolution, GivesZeroGradientsToPixelsThatNoTapReads) {
  check<float>({1, 8, 8, 1, {10}, {1}, {3}, {1}, {0}, {0}}, 6);
}

TEST(Convolution, RefusesPlansAndCallsThatDisagree) {
  Case test{1, 4, 6, 1, {5}, {3}, {1}, {1}, {1}, {1}};
  Operand x(1, 4, test.size, test.x), w(6, 4, test.kernel, test.w), y(1, 6, {4}, test.y);
  {
    CpuTestDevice device(1);
    EXPECT_NE(0, planOf(&device.ctx, 0, DSC_F32, test, x, w, y, 1 << 20));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("the_op: convolution with a result of "
                                                       "another size"));
  }
  Operand right(1, 6, {5}, test.y);
  {
    CpuTestDevice device(1);
    EXPECT_NE(0, planOf(&device.ctx, 0, DSC_F32, test, x, w, right, 0));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("workspace of 0 bytes"));
  }
  {
    CpuTestDevice device(1);
    test.groups = 3;
    EXPECT_NE(0, planOf(&device.ctx, 0, DSC_F32, test, x, w, right, 1 << 20));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("groups that do not divide"));
  }
  CpuTestDevice device(1);
  float value = 0;
  EXPECT_NE(0, dsc_rt_conv(&device.ctx, 0, 0, &value, &value, nullptr, &value, nullptr));
  EXPECT_THAT(device.ctx.status.message(), HasSubstr("calls plan 0 without having made it"));
}

} // namespace
