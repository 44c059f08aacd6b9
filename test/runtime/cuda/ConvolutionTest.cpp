// cuDNN's convolutions against the CPU's plain loops in f64: three kinds, two
// layouts, groups, strides, dilations, uneven pads, one to three spatial axes,
// bias and ReLU.

#include "test/runtime/cuda/CudaTestDevice.h"

using namespace dsc;
using namespace dsc::testing;

namespace {

struct Case {
  int32_t dtype = DSC_F32;
  std::vector<int64_t> in = {9, 11}, kernel = {3, 3};
  int64_t batch = 2, inChannels = 8, outChannels = 16, groups = 1;
  int64_t stride = 1, dilation = 1, padBegin = 1, padEnd = 1;
  bool channelsLast = true, bias = false;
  int32_t epilogue = DSC_EPILOGUE_NONE;
};

struct Tensor {
  std::vector<int64_t> dims, strides;
  int64_t elements = 1;

  Tensor(int64_t outer, int64_t channels, const std::vector<int64_t> &spatial, bool channelsLast)
      : dims{outer, channels} {
    dims.insert(dims.end(), spatial.begin(), spatial.end());
    strides.assign(dims.size(), 0);
    auto take = [&](size_t i) {
      strides[i] = elements;
      elements *= dims[i];
    };
    if (channelsLast) {
      take(1);
    }
    for (size_t i = dims.size(); i-- > 2;) {
      take(i);
    }
    if (!channelsLast) {
      take(1);
    }
    take(0);
  }
};

void check(const Case &t, int32_t kind, unsigned seed) {
  std::vector<int64_t> out;
  const size_t axes = t.in.size();
  for (size_t i = 0; i < axes; ++i) {
    out.push_back(
        (t.in[i] + t.padBegin + t.padEnd - t.dilation * (t.kernel[i] - 1) - 1) / t.stride + 1);
  }
  Tensor x(t.batch, t.inChannels, t.in, t.channelsLast);
  Tensor w(t.outChannels, t.inChannels / t.groups, t.kernel, t.channelsLast);
  Tensor y(t.batch, t.outChannels, out, t.channelsLast);
  std::vector<int64_t> strides(axes, t.stride), dilations(axes, t.dilation),
      begins(axes, t.padBegin), ends(axes, t.padEnd);
  auto plan = [&](dsc_context *ctx, int32_t dtype, int64_t workspace) {
    return dsc_rt_conv_plan(ctx, 0, 0, kind, dtype, static_cast<int32_t>(axes + 2), x.dims.data(),
                            x.strides.data(), w.dims.data(), w.strides.data(), y.dims.data(),
                            y.strides.data(), strides.data(), dilations.data(), begins.data(),
                            ends.data(), t.groups, t.bias, t.epilogue, workspace);
  };
  const Tensor *operands[3][3] = {{&x, &w, &y}, {&y, &w, &x}, {&x, &y, &w}};
  Random random(seed);
  Values a = Values::random(random, t.dtype, operands[kind][0]->elements);
  Values b = Values::random(random, t.dtype, operands[kind][1]->elements);
  Values bias = Values::random(random, t.dtype, t.outChannels);
  const int64_t resultElements = operands[kind][2]->elements;

  DSC_CUDA_DEVICE(device);
  const int64_t workspace = dsc_cuda_conv_workspace(kind, t.dtype);
  ASSERT_EQ(0, plan(&device.ctx, t.dtype, workspace)) << device.ctx.status.message();
  device.allocate();
  std::byte *aAt = device.put(a), *bAt = device.put(b), *biasAt = device.put(bias);
  std::byte *result = device.place(resultElements * dtypeSize(static_cast<Dtype>(t.dtype)));
  std::byte *space = device.place(workspace, DSC_ALIGNMENT);
  ASSERT_EQ(0, dsc_rt_conv(&device.ctx, 0, 0, aAt, bAt, t.bias ? biasAt : nullptr, result, space))
      << device.ctx.status.message();
  std::vector<double> found = device.get(result, t.dtype, resultElements);

  CpuTestDevice cpu(2);
  ASSERT_EQ(0, plan(&cpu.ctx, DSC_F64, 0)) << cpu.ctx.status.message();
  std::vector<double> expected(static_cast<size_t>(resultElements));
  ASSERT_EQ(0, dsc_rt_conv(&cpu.ctx, 0, 0, a.numbers.data(), b.numbers.data(),
                           t.bias ? bias.numbers.data() : nullptr, expected.data(), nullptr));
  double length = static_cast<double>(t.inChannels) * 27;
  if (kind == DSC_CONV_GRAD_WEIGHT) {
    length = static_cast<double>(y.elements / t.outChannels);
  }
  double worst = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    double limit = bound(f32Roundoff, length, 2) + 2 * roundoffOf(t.dtype) * std::fabs(expected[i]);
    worst = std::fmax(worst, std::fabs(found[i] - expected[i]) / limit);
  }
  EXPECT_LE(worst, 1) << "share of the bound";
}

} // namespace

TEST(CudaConvolution, AgreesWithPlainLoops) {
  std::vector<Case> cases(9);
  cases[1].channelsLast = false;
  cases[2].dtype = DSC_BF16;
  cases[3].dtype = DSC_F16;
  cases[3].stride = 2;
  cases[4].groups = 4;
  cases[4].dtype = DSC_F16;
  cases[5].dilation = 2;
  cases[5].padBegin = 2;
  cases[6].in = {31};
  cases[6].kernel = {5};
  cases[7].in = {5, 6, 7};
  cases[7].kernel = {3, 3, 3};
  cases[8].kernel = {1, 1};
  cases[8].padBegin = cases[8].padEnd = 0;
  cases[8].dtype = DSC_BF16;
  for (size_t i = 0; i < cases.size(); ++i) {
    for (int32_t kind : {DSC_CONV_FORWARD, DSC_CONV_GRAD_INPUT, DSC_CONV_GRAD_WEIGHT}) {
      SCOPED_TRACE(::testing::Message() << "case " << i << " kind " << kind);
      check(cases[i], kind, static_cast<unsigned>(i));
      if (IsSkipped()) {
        return;
      }
    }
  }
}

TEST(CudaConvolution, BiasAndReluInThePlan) {
  for (int32_t dtype : {DSC_F32, DSC_BF16}) {
    for (int32_t epilogue : {DSC_EPILOGUE_NONE, DSC_EPILOGUE_RELU}) {
      Case test;
      test.dtype = dtype;
      test.bias = true;
      test.epilogue = epilogue;
      SCOPED_TRACE(::testing::Message() << "type " << dtype << " epilogue " << epilogue);
      check(test, DSC_CONV_FORWARD, 3);
      if (IsSkipped()) {
        return;
      }
    }
  }
}
