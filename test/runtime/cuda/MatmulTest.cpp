// cuBLASLt's plans against plain loops in double, over types, transposes,
// strides, batches, bias, accumulation and epilogues.

#include "test/runtime/cuda/CudaTestDevice.h"

#include "gmock/gmock.h"

using namespace dsc;
using namespace dsc::testing;
using ::testing::HasSubstr;

namespace {

struct Case {
  int32_t dtype = DSC_F32;
  std::vector<int64_t> batch; ///< of the result; operands may have 1
  std::vector<bool> aShared, bShared;
  int64_t m = 1, n = 1, k = 1;
  bool aTransposed = false, bTransposed = false, cTransposed = false;
  int64_t aPad = 0, bPad = 0, cPad = 0; ///< elements between lines
  bool bias = false, accumulate = false;
  int32_t epilogue = DSC_EPILOGUE_NONE;
  int64_t workspace = int64_t(4) << 20;
  int64_t skew = 0; ///< bytes by which operands miss the planned alignment
};

/// One operand: its dims and strides, and how many elements it has.
struct Operand {
  std::vector<int64_t> dims, strides;
  int64_t elements = 1;

  Operand(const Case &test, int64_t rows, int64_t columns, bool transposed, int64_t pad,
          const std::vector<bool> &shared) {
    for (size_t i = 0; i < test.batch.size(); ++i) {
      dims.push_back(i < shared.size() && shared[i] ? 1 : test.batch[i]);
    }
    int64_t leading = (transposed ? rows : columns) + pad;
    int64_t plane = leading * (transposed ? columns : rows);
    strides.assign(dims.size(), 0);
    elements = plane;
    for (size_t i = dims.size(); i-- > 0;) {
      strides[i] = elements;
      elements *= dims[i];
    }
    dims.insert(dims.end(), {rows, columns});
    strides.insert(strides.end(), {transposed ? 1 : leading, transposed ? leading : 1});
  }

  int64_t at(int64_t batchIndex, const std::vector<int64_t> &batch, int64_t row,
             int64_t column) const {
    int64_t place = row * strides[dims.size() - 2] + column * strides[dims.size() - 1];
    for (size_t i = batch.size(); i-- > 0;) {
      place += (dims[i] == 1 ? 0 : batchIndex % batch[i]) * strides[i];
      batchIndex /= batch[i];
    }
    return place;
  }
};

double activated(double x, int32_t epilogue) {
  if (epilogue == DSC_EPILOGUE_RELU) {
    return x > 0 ? x : 0;
  }
  if (epilogue == DSC_EPILOGUE_GELU_TANH) {
    return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
  }
  return x;
}

int32_t makePlan(CudaTestDevice &device, const Case &test, const Operand &a, const Operand &b,
                 const Operand &c) {
  return dsc_rt_matmul_plan(&device.ctx, 0, 0, test.dtype, static_cast<int32_t>(c.dims.size()),
                            a.dims.data(), a.strides.data(), b.dims.data(), b.strides.data(),
                            c.dims.data(), c.strides.data(), test.bias, test.epilogue,
                            test.accumulate, test.workspace);
}

void check(const Case &test, unsigned seed, const std::string &precision = "fp32") {
  DSC_CUDA_DEVICE(device, int64_t(256) << 20, "/nonexistent/program", precision);
  Operand a(test, test.m, test.k, test.aTransposed, test.aPad, test.aShared);
  Operand b(test, test.k, test.n, test.bTransposed, test.bPad, test.bShared);
  Operand c(test, test.m, test.n, test.cTransposed, test.cPad, {});
  ASSERT_EQ(0, makePlan(device, test, a, b, c)) << device.ctx.status.message();
  device.allocate();
  Random random(seed);
  Values aValues = Values::random(random, test.dtype, a.elements);
  Values bValues = Values::random(random, test.dtype, b.elements);
  Values cValues = Values::random(random, test.dtype, c.elements);
  Values bias = Values::random(random, test.dtype, test.n);
  std::byte *aAt = device.put(aValues, test.skew), *bAt = device.put(bValues, test.skew);
  std::byte *cAt = device.put(cValues, test.skew), *biasAt = device.put(bias, test.skew);
  std::byte *workspace = device.place(test.workspace, DSC_ALIGNMENT);
  ASSERT_EQ(
      0, dsc_rt_matmul(&device.ctx, 0, 0, aAt, bAt, test.bias ? biasAt : nullptr, cAt, workspace))
      << device.ctx.status.message();
  std::vector<double> found = device.get(cAt, test.dtype, c.elements);
  int64_t batches = 1;
  for (int64_t size : test.batch) {
    batches *= size;
  }
  // Inputs are exact; what rounds is the sum, in f32, and the result, in its
  // type. tf32 rounds the inputs to 11 bits.
  double unit = precision == "tf32" ? 0x1p-11 : test.dtype == DSC_F64 ? f64Roundoff : f32Roundoff;
  double worst = 0;
  std::vector<bool> written(static_cast<size_t>(c.elements), false);
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t i = 0; i < test.m; ++i) {
      for (int64_t j = 0; j < test.n; ++j) {
        double sum = 0, scale = 0;
        for (int64_t p = 0; p < test.k; ++p) {
          double term = aValues.numbers[static_cast<size_t>(a.at(batch, test.batch, i, p))] *
                        bValues.numbers[static_cast<size_t>(b.at(batch, test.batch, p, j))];
          sum += term;
          scale = std::fmax(scale, std::fmax(std::fabs(term), std::fabs(sum)));
        }
        auto place = static_cast<size_t>(c.at(batch, test.batch, i, j));
        written[place] = true;
        // Some algorithms round the product before they add.
        double rounded = test.accumulate || test.bias ? std::fabs(sum) : 0;
        if (test.accumulate) {
          rounded = std::fmax(rounded, std::fabs(cValues.numbers[place]));
          sum += cValues.numbers[place];
        }
        if (test.bias) {
          sum += bias.numbers[static_cast<size_t>(j)];
        }
        double expected = activated(sum, test.epilogue);
        // cuBLASLt's GELU uses the chip's approximate tanh: 2^-10.98 relative.
        double approximate =
            test.epilogue == DSC_EPILOGUE_GELU_TANH ? 0x1p-10 * std::fmax(1, std::fabs(sum)) : 0;
        double limit = bound(unit, static_cast<double>(test.k), std::fmax(scale, 1)) +
                       2 * roundoffOf(test.dtype) * (std::fabs(expected) + rounded) + approximate;
        worst = std::fmax(worst, std::fabs(found[place] - expected) / limit);
      }
    }
  }
  EXPECT_LE(worst, 1) << "share of the bound";
  for (size_t i = 0; i < written.size(); ++i) {
    if (!written[i]) {
      ASSERT_EQ(cValues.numbers[i], found[i]) << "padding was written at " << i;
    }
  }
}

} // namespace

TEST(CudaMatmul, EveryTypeAndTranspose) {
  for (int32_t dtype : {DSC_F32, DSC_F64, DSC_F16, DSC_BF16}) {
    for (int form = 0; form < 8; ++form) {
      Case test;
      test.dtype = dtype;
      test.m = 72;
      test.n = 136;
      test.k = 96;
      test.aTransposed = form & 1;
      test.bTransposed = form & 2;
      test.cTransposed = form & 4;
      SCOPED_TRACE(::testing::Message() << "type " << dtype << " form " << form);
      check(test, static_cast<unsigned>(form));
      if (IsSkipped() || HasFatalFailure()) {
        return;
      }
    }
  }
}

TEST(CudaMatmul, RandomShapesWithBiasAccumulationAndPadding) {
  Random random(11);
  for (int i = 0; i < 40; ++i) {
    Case test;
    const int32_t types[] = {DSC_F32, DSC_F16, DSC_BF16, DSC_F64};
    test.dtype = types[i % 4];
    // Odd sizes too; cuBLASLt takes them with narrower accesses.
    int64_t unit = random.coin() ? 8 : 1;
    test.m = unit * random.between(1, 200 / unit);
    test.n = unit * random.between(1, 200 / unit);
    test.k = unit * random.between(1, 300 / unit);
    test.aTransposed = random.coin();
    test.bTransposed = random.coin();
    test.aPad = random.coin() ? 8 : 0;
    test.bPad = random.coin() ? 8 : 0;
    test.cPad = random.coin() ? 8 : 0;
    test.bias = test.dtype != DSC_F64 && random.coin();
    test.accumulate = random.coin();
    SCOPED_TRACE(::testing::Message()
                 << "case " << i << ": type " << test.dtype << " " << test.m << " x " << test.n
                 << " x " << test.k << " pads " << test.aPad << test.bPad << test.cPad << " bias "
                 << test.bias << " accumulate " << test.accumulate);
    check(test, static_cast<unsigned>(i));
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
  }
}

TEST(CudaMatmul, BatchesSharedStridedAndLooped) {
  for (int i = 0; i < 8; ++i) {
    Case test;
    test.dtype = i % 2 ? DSC_BF16 : DSC_F32;
    test.m = 40;
    test.n = 24;
    test.k = 64;
    test.bTransposed = i & 2;
    switch (i / 2) {
    case 0:
      test.batch = {6};
      break;
    case 1: // b is shared: rows of one product
      test.batch = {3, 4};
      test.bShared = {true, true};
      break;
    case 2: // a is shared over the first, b over the second: no single stride
      test.batch = {3, 4};
      test.aShared = {true, false};
      test.bShared = {false, true};
      break;
    default:
      test.batch = {2, 3, 2};
      test.aShared = {false, true, false};
    }
    SCOPED_TRACE(::testing::Message() << "case " << i);
    check(test, static_cast<unsigned>(i));
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
  }
}

TEST(CudaMatmul, Epilogues) {
  for (int32_t epilogue : {DSC_EPILOGUE_RELU, DSC_EPILOGUE_GELU_TANH}) {
    for (int32_t dtype : {DSC_F16, DSC_BF16}) {
      for (bool bias : {false, true}) {
        Case test;
        test.dtype = dtype;
        test.m = 128;
        test.n = 64;
        test.k = 96;
        test.bTransposed = true;
        test.epilogue = epilogue;
        test.bias = bias;
        SCOPED_TRACE(::testing::Message() << dtype << " epilogue " << epilogue << " bias " << bias);
        check(test, 5);
        if (IsSkipped() || HasFatalFailure()) {
          return;
        }
      }
    }
  }
}

TEST(CudaMatmul, OperandsThatMissTheAlignment) {
  for (int32_t dtype : {DSC_F32, DSC_BF16}) {
    Case test;
    test.dtype = dtype;
    test.m = 64;
    test.n = 48;
    test.k = 80;
    test.bias = true;
    test.skew = 4;
    check(test, 6);
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
  }
}

TEST(CudaMatmul, F32IsTrueF32UnlessTf32WasAllowed) {
  Case test;
  test.m = 64;
  test.n = 64;
  test.k = 4096;
  check(test, 7);
  if (!IsSkipped()) {
    check(test, 7, "tf32");
  }
}

TEST(CudaMatmul, RefusesWhatHasNoFormByName) {
  {
    DSC_CUDA_DEVICE(device);
    int64_t dims[] = {8, 8}, strides[] = {16, 2}, dense[] = {8, 1};
    EXPECT_NE(0, dsc_rt_matmul_plan(&device.ctx, 0, 0, DSC_F32, 2, dims, strides, dims, dense, dims,
                                    dense, 0, 0, 0, 0));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("the_op: matrix product of [8, 8]"));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("contiguous"));
  }
  {
    DSC_CUDA_DEVICE(device);
    int64_t dims[] = {8, 8}, dense[] = {8, 1};
    EXPECT_NE(0, dsc_rt_matmul_plan(&device.ctx, 0, 0, DSC_F32, 2, dims, dense, dims, dense, dims,
                                    dense, 0, DSC_EPILOGUE_GELU_ERF, 0, 0));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("exact GELU"));
  }
}

TEST(CudaMatmul, ChoicesAreWrittenAndTakenAgain) {
  char folder[] = "/tmp/dsc-choices-XXXXXX";
  ASSERT_NE(nullptr, mkdtemp(folder));
  const std::string path = std::string(folder) + "/program";
  std::string text[2];
  for (std::string &stored : text) {
    DSC_CUDA_DEVICE(device, int64_t(64) << 20, path);
    Case test;
    test.dtype = DSC_BF16;
    test.m = 512;
    test.n = 768;
    test.k = 256;
    Operand a(test, test.m, test.k, false, 0, {}), b(test, test.k, test.n, false, 0, {}),
        c(test, test.m, test.n, false, 0, {});
    ASSERT_EQ(0, makePlan(device, test, a, b, c)) << device.ctx.status.message();
    device.allocate();
    std::FILE *file = std::fopen((path + ".choices.json").c_str(), "rb");
    ASSERT_NE(nullptr, file);
    char buffer[4096];
    stored.assign(buffer, std::fread(buffer, 1, sizeof buffer, file));
    std::fclose(file);
    EXPECT_THAT(stored, HasSubstr("matmul bf16 m512 n768 k256"));
  }
  EXPECT_EQ(text[0], text[1]);
}
