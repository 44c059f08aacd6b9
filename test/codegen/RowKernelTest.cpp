// Row kernels: several passes, short and odd rows, row results, values kept between passes,
// in-place results.

#include "test/codegen/CompiledKernels.h"

#include "gtest/gtest.h"

#include <cmath>

using namespace dsc::test;

namespace {

std::string row(int64_t rows, int64_t columns) {
  return "kind = #dsc.kernel_kind<row>, domain = array<i64: " + std::to_string(rows) + ", " +
         std::to_string(columns) + ">, row_rank = 1 : i64";
}

class Rows : public testing::TestWithParam<int64_t> {};

TEST_P(Rows, Softmax) {
  int64_t rows = 7, columns = GetParam();
  std::string full = std::to_string(rows) + "x" + std::to_string(columns) + "xf32",
              narrow = std::to_string(rows) + "x1xf32";
  std::string f = "tensor<" + full + ">", n = "tensor<" + narrow + ">";
  std::string body =
      "%m = dsc.reduce %a0 {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (" + f + ") -> " +
      n + "\n%d = dsc.sub %a0, %m : (" + f + ", " + n + ") -> " + f + "\n%e = dsc.exp %d : (" + f +
      ") -> " + f +
      "\n%s = dsc.reduce %e {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (" + f +
      ") -> " + n + "\n%y = dsc.div %e, %s : (" + f + ", " + n + ") -> " + f +
      "\n%l = dsc.log %s : (" + n + ") -> " + n + "\n%lse = dsc.add %l, %m : (" + n + ", " + n +
      ") -> " + n;
  CompiledKernels kernels(
      kernelModule(row(rows, columns), {full}, body, "%y, %lse", {full, narrow}));
  std::vector<float> x = randomFloats(rows * columns, -5, 5);
  std::vector<Buffer> results = kernels.run({Buffer::of(x)});
  std::vector<float> y = results[0].as<float>(), lse = results[1].as<float>();
  EXPECT_EQ(kernels.run({Buffer::of(x)}, 0, 3)[0].as<float>(), y);
  EXPECT_EQ(kernels.run({Buffer::of(x)}, 0, 1, {{0, 0}})[0].as<float>(), y);
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < columns; ++c) {
      sum += std::exp(double(x[r * columns + c]));
    }
    EXPECT_NEAR(lse[r], std::log(sum), 2e-6);
    for (int64_t c = 0; c < columns; ++c) {
      ASSERT_NEAR(y[r * columns + c], std::exp(double(x[r * columns + c])) / sum, 1e-6)
          << r << " " << c;
    }
  }
}

TEST_P(Rows, LayerNorm) {
  int64_t rows = 5, columns = GetParam();
  std::string full = std::to_string(rows) + "x" + std::to_string(columns) + "xf32",
              narrow = std::to_string(rows) + "x1xf32";
  std::string f = "tensor<" + full + ">", n = "tensor<" + narrow + ">",
              c = "tensor<" + std::to_string(columns) + "xf32>";
  std::string sum = " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (" + f + ") -> " + n;
  std::string body =
      "%k = dsc.constant dense<" + std::to_string(columns) + ".0> : tensor<f32>\n" +
      "%eps = dsc.constant dense<1.0e-5> : tensor<f32>\n%t = dsc.reduce %a0" + sum +
      "\n%mean = dsc.div %t, %k : (" + n + ", tensor<f32>) -> " + n +
      "\n%d = dsc.sub %a0, %mean : (" + f + ", " + n + ") -> " + f + "\n%q = dsc.mul %d, %d : (" +
      f + ", " + f + ") -> " + f + "\n%u = dsc.reduce %q" + sum + "\n%v = dsc.div %u, %k : (" + n +
      ", tensor<f32>) -> " + n + "\n%w = dsc.add %v, %eps : (" + n + ", tensor<f32>) -> " + n +
      "\n%rstd = dsc.rsqrt %w : (" + n + ") -> " + n + "\n%h = dsc.mul %d, %rstd : (" + f + ", " +
      n + ") -> " + f + "\n%g = dsc.mul %h, %a1 : (" + f + ", " + c + ") -> " + f +
      "\n%y = dsc.add %g, %a2 : (" + f + ", " + c + ") -> " + f;
  std::string vector = std::to_string(columns) + "xf32";
  CompiledKernels kernels(kernelModule(row(rows, columns), {full, vector, vector}, body,
                                       "%y, %mean, %rstd", {full, narrow, narrow}));
  std::vector<float> x = randomFloats(rows * columns, -5, 5),
                     gamma = randomFloats(columns, 0, 2, 2), beta = randomFloats(columns, -1, 1, 3);
  std::vector<Buffer> operands = {Buffer::of(x), Buffer::of(gamma), Buffer::of(beta)};
  std::vector<float> y = kernels.run(operands)[0].as<float>();
  EXPECT_EQ(kernels.run(operands, 0, 2)[0].as<float>(), y);
  EXPECT_EQ(kernels.run(operands, 0, 1, {{0, 0}})[0].as<float>(), y);
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < columns; ++i) {
      mean += x[r * columns + i] / double(columns);
    }
    for (int64_t i = 0; i < columns; ++i) {
      variance += (x[r * columns + i] - mean) * (x[r * columns + i] - mean) / double(columns);
    }
    for (int64_t i = 0; i < columns; ++i) {
      double expected =
          (x[r * columns + i] - mean) / std::sqrt(variance + 1e-5) * gamma[i] + beta[i];
      ASSERT_NEAR(y[r * columns + i], expected, 2e-5 + 1e-3 * (columns == 1)) << r << " " << i;
    }
  }
}

// Loss and gradient of softmax cross-entropy over rows whose last columns are padding, the gradient
// in place, with labels that are no class: the label's logit counts as 0 then.
void crossEntropy(int64_t columns, bool half) {
  int64_t rows = 9, classes = columns > 16 ? columns - 7 : columns;
  CompiledKernels kernels(crossEntropyModule(rows, columns, classes, half));
  std::vector<float> x = randomFloats(rows * columns, -5, 5);
  std::vector<uint16_t> stored(x.size());
  for (size_t i = 0; half && i < x.size(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, &x[i], 4);
    stored[i] = static_cast<uint16_t>(bits >> 16);
    bits &= 0xffff0000;
    std::memcpy(&x[i], &bits, 4);
  }
  std::vector<int64_t> labels = {0,       classes - 1,      classes / 2, -1,         -100,
                                 columns, int64_t(1) << 31, classes / 3, 1 % classes};
  std::vector<Buffer> operands = {half ? Buffer::of(stored) : Buffer::of(x), Buffer::of(labels)};
  std::vector<Buffer> results = kernels.run(operands, 0, 1, {{1, 0}});
  std::vector<float> loss = results[0].as<float>(), y(x.size());
  std::vector<uint16_t> halves = results[1].as<uint16_t>();
  std::vector<uint32_t> words = results[1].as<uint32_t>();
  for (size_t i = 0; i < y.size(); ++i) {
    uint32_t bits = half ? uint32_t(halves[i]) << 16 : words[i];
    std::memcpy(&y[i], &bits, 4);
  }
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) {
      sum += std::exp(double(x[r * columns + c]));
    }
    bool isClass = labels[r] >= 0 && labels[r] < classes;
    double own = isClass ? x[r * columns + labels[r]] : 0;
    EXPECT_NEAR(loss[r], std::log(sum) - own, 4e-6) << r;
    for (int64_t c = 0; c < columns; ++c) {
      double p = c < classes ? std::exp(double(x[r * columns + c])) / sum : 0;
      double expected = p - (c == labels[r] ? 1 : 0);
      // Half an ulp of bf16 is 2^-8 of the value.
      ASSERT_NEAR(y[r * columns + c], expected, 2e-6 + (half ? std::abs(expected) / 256 : 0))
          << r << " " << c;
    }
  }
}

TEST_P(Rows, CrossEntropy) { crossEntropy(GetParam(), false); }
TEST_P(Rows, CrossEntropyOfHalves) { crossEntropy(GetParam(), true); }

INSTANTIATE_TEST_SUITE_P(Columns, Rows,
                         testing::Values(1, 3, 10, 16, 17, 63, 64, 65, 100, 384, 1000, 20000, 33001,
                                         50304, 70001));

TEST(RowKernel, ColumnsOfTwoDimensionsAreSummedInFlatOrder) {
  // Rows x (5 x 7) columns with an operand that is broadcast over the last dimension; and the same
  // with it materialised: the sums must have the same bits.
  auto module = [](bool broadcast) {
    std::string w = broadcast ? "5x1xf32" : "5x7xf32";
    std::string body =
        "%p = dsc.mul %a0, %a1 : (tensor<4x5x7xf32>, tensor<" + w +
        ">) -> tensor<4x5x7xf32>\n"
        "%s = dsc.reduce %p {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1, 2>} : "
        "(tensor<4x5x7xf32>) -> tensor<4x1x1xf32>\n"
        "%y = dsc.sub %p, %s : (tensor<4x5x7xf32>, tensor<4x1x1xf32>) -> tensor<4x5x7xf32>";
    return kernelModule(
        "kind = #dsc.kernel_kind<row>, domain = array<i64: 4, 5, 7>, row_rank = 1 : i64",
        {"4x5x7xf32", w}, body, "%y", {"4x5x7xf32"});
  };
  std::vector<float> x = randomFloats(4 * 35), w = randomFloats(5, -1, 1, 2), wide(35);
  for (int i = 0; i < 35; ++i) {
    wide[i] = w[i / 7];
  }
  CompiledKernels narrow(module(true)), full(module(false));
  EXPECT_EQ(narrow.run({Buffer::of(x), Buffer::of(w)})[0].as<float>(),
            full.run({Buffer::of(x), Buffer::of(wide)})[0].as<float>());
}

TEST(RowKernel, BitsDoNotDependOnTheProcessor) {
  std::string f = "tensor<6x75xf32>", n = "tensor<6x1xf32>";
  std::string sum = " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (" + f + ") -> " + n;
  std::string body = "%g = dsc.gelu %a0 {kind = #dsc.gelu_kind<erf>} : (" + f + ") -> " + f +
                     "\n%t = dsc.tanh %g : (" + f + ") -> " + f + "\n%e = dsc.exp %t : (" + f +
                     ") -> " + f + "\n%s = dsc.reduce %e" + sum + "\n%l = dsc.log %s : (" + n +
                     ") -> " + n + "\n%y = dsc.sub %e, %l : (" + f + ", " + n + ") -> " + f;
  std::string source = kernelModule(row(6, 75), {"6x75xf32"}, body, "%y", {"6x75xf32"});
  CompiledKernels native(source), generic(source, "x86-64-v3");
  std::vector<Buffer> x = {Buffer::of(randomFloats(6 * 75, -4, 4))};
  EXPECT_EQ(native.run(x)[0].as<uint32_t>(), generic.run(x)[0].as<uint32_t>());
}

} // namespace
