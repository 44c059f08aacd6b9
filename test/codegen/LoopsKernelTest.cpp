// Loops kernels against the compiler's own evaluation of the ops where it has one, and against
// plain loops.

#include "test/codegen/CompiledKernels.h"

#include "ir/Evaluate.h"

#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace dsc::test;
using namespace mlir;

namespace {

const char kLoops[] = "kind = #dsc.kernel_kind<loops>, domain = array<i64: 1>, row_rank = 0 : i64";

struct Case {
  const char *name;
  std::vector<std::string> operands;
  const char *op; // with %a0, %a1, .. as operands
  std::string result;
  int64_t indices = 0; // integers are drawn from [-indices, indices)
};

std::string typesOf(const std::vector<std::string> &types) {
  std::string text;
  for (const std::string &type : types) {
    text += (text.empty() ? "tensor<" : ", tensor<") + type + ">";
  }
  return text;
}

Buffer randomBuffer(RankedTensorType type, int64_t indices, unsigned seed) {
  size_t count = type.getNumElements();
  if (type.getElementType().isF32()) {
    return Buffer::of(randomFloats(count, -2, 2, seed));
  }
  std::vector<int64_t> values(count);
  std::mt19937 generator(seed);
  for (int64_t &value : values) {
    value = std::uniform_int_distribution<int64_t>(-indices, indices - 1)(generator);
  }
  return Buffer::of(values);
}

class AsEvaluated : public testing::TestWithParam<Case> {};

TEST_P(AsEvaluated, Equal) {
  const Case &test = GetParam();
  std::string op = std::string("    %y = ") + test.op + " : (" + typesOf(test.operands) +
                   ") -> tensor<" + test.result + ">";
  std::string source = kernelModule(kLoops, test.operands, op, "%y", {test.result});
  CompiledKernels kernels(source);
  ASSERT_EQ(kernels.size(), 1u);

  MLIRContext context;
  context.loadDialect<dsc::DscDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(source, &context);
  Operation *parsed = nullptr;
  module->walk([&](dsc::KernelOp kernel) { parsed = &kernel.getBody().front().front(); });
  std::vector<Buffer> operands;
  std::vector<dsc::EvaluatedTensor> values;
  for (auto [i, operand] : llvm::enumerate(parsed->getOperands())) {
    auto type = cast<RankedTensorType>(operand.getType());
    operands.push_back(randomBuffer(type, test.indices, i + 1));
    ArrayRef<char> bytes(operands.back().data(), operands.back().size());
    values.push_back(
        dsc::EvaluatedTensor::fromAttribute(DenseElementsAttr::getFromRawBuffer(type, bytes)));
  }
  std::vector<dsc::EvaluatedTensor> results;
  ASSERT_TRUE(dsc::evaluate(parsed, values, results)) << "the op has no evaluation";
  const dsc::EvaluatedTensor &expected = results.front();
  Buffer once = kernels.run(operands)[0], pieces = kernels.run(operands, 0, 3)[0];
  ASSERT_EQ(once.as<char>(), pieces.as<char>());
  if (expected.isFloat()) {
    std::vector<float> actual = once.as<float>();
    for (auto [i, value] : llvm::enumerate(expected.floats)) {
      ASSERT_NEAR(actual[i], value, 2e-5 * std::max(1.0, std::fabs(value))) << i;
    }
  } else {
    std::vector<int64_t> actual = once.as<int64_t>();
    for (auto [i, value] : llvm::enumerate(expected.integers)) {
      ASSERT_EQ(actual[i], value) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ops, AsEvaluated,
    testing::Values(
        Case{"transpose",
             {"37x53xf32"},
             "dsc.transpose %a0 {permutation = array<i64: 1, 0>}",
             "53x37xf32"},
        Case{"transpose_middle",
             {"3x5x7x33xf32"},
             "dsc.transpose %a0 {permutation = array<i64: 0, 2, 1, 3>}",
             "3x7x5x33xf32"},
        Case{"transpose_last",
             {"3x5x70xf32"},
             "dsc.transpose %a0 {permutation = array<i64: 0, 2, 1>}",
             "3x70x5xf32"},
        Case{"transpose_reverse",
             {"4x5x6xf32"},
             "dsc.transpose %a0 {permutation = array<i64: 2, 1, 0>}",
             "6x5x4xf32"},
        Case{"slice",
             {"6x40xf32"},
             "dsc.slice %a0 {starts = array<i64: 1, 3>, sizes = array<i64: 3, 21>, steps = "
             "array<i64: 2, 1>}",
             "3x21xf32"},
        Case{"slice_backwards",
             {"6x40xf32"},
             "dsc.slice %a0 {starts = array<i64: 5, 39>, sizes = array<i64: 6, 20>, steps = "
             "array<i64: -1, -2>}",
             "6x20xf32"},
        Case{"broadcast", {"5x1xf32"}, "dsc.broadcast %a0", "3x5x33xf32"},
        Case{"broadcast_rows", {"17xf32"}, "dsc.broadcast %a0", "4x17xf32"},
        Case{"pad",
             {"3x20xf32"},
             "dsc.pad %a0 {low = array<i64: 1, 2>, high = array<i64: 2, 3>, interior = array<i64: "
             "0, 0>, value = 1.5 : f64}",
             "6x25xf32"},
        Case{"pad_interior",
             {"3x5xf32"},
             "dsc.pad %a0 {low = array<i64: 1, 0>, high = array<i64: 0, 1>, interior = array<i64: "
             "1, 2>, value = 0.0 : f64}",
             "6x14xf32"},
        Case{"concat",
             {"2x3x7xf32", "2x4x7xf32"},
             "dsc.concat %a0, %a1 {axis = 1 : i64}",
             "2x7x7xf32"},
        Case{"gather",
             {"11x19xf32", "2x5xi64"},
             "dsc.gather %a0, %a1 {axis = 0 : i64}",
             "2x5x19xf32",
             11},
        Case{"gather_middle",
             {"3x11x4xf32", "5xi64"},
             "dsc.gather %a0, %a1 {axis = 1 : i64}",
             "3x5x4xf32",
             11},
        Case{"gather_elements",
             {"7x9xf32", "4x9xi64"},
             "dsc.gather_elements %a0, %a1 {axis = 0 : i64}",
             "4x9xf32",
             7},
        Case{"gather_nd",
             {"2x3x4x5xf32", "2x6x2xi64"},
             "dsc.gather_nd %a0, %a1 {batch_dims = 1 : i64}",
             "2x6x5xf32",
             3},
        Case{"scatter_elements",
             {"7x9xf32", "5x9xi64", "5x9xf32"},
             "dsc.scatter_elements %a0, %a1, %a2 {axis = 0 : i64, kind = #dsc.scatter_kind<add>}",
             "7x9xf32",
             7},
        Case{"scatter_nd",
             {"8x3xf32", "12x1xi64", "12x3xf32"},
             "dsc.scatter_nd %a0, %a1, %a2 {kind = #dsc.scatter_kind<add>}",
             "8x3xf32",
             8},
        Case{"reduce_last",
             {"5x100xf32"},
             "dsc.reduce %a0 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>}",
             "5x1xf32"},
        Case{"reduce_middle",
             {"5x17x35xf32"},
             "dsc.reduce %a0 {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>}",
             "5x1x35xf32"},
        Case{"reduce_ends",
             {"5x4x37xf32"},
             "dsc.reduce %a0 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 2>}",
             "1x4x1xf32"},
        Case{"reduce_all",
             {"3x7xf32"},
             "dsc.reduce %a0 {kind = #dsc.reduce_kind<prod>, axes = array<i64: 0, 1>}",
             "1x1xf32"},
        Case{"reduce_nothing",
             {"3x7xf32"},
             "dsc.reduce %a0 {kind = #dsc.reduce_kind<sum>, axes = array<i64>}",
             "3x7xf32"},
        Case{"arg_max",
             {"5x30x4xf32"},
             "dsc.arg_reduce %a0 {kind = #dsc.reduce_kind<max>, axis = 1 : i64}",
             "5x1x4xi64"},
        Case{
            "arg_min",
            {"5x30xi64"},
            "dsc.arg_reduce %a0 {kind = #dsc.reduce_kind<min>, axis = 1 : i64, select_last = true}",
            "5x1xi64",
            3},
        Case{"cumulative",
             {"5x30xf32"},
             "dsc.cumulative %a0 {kind = #dsc.reduce_kind<sum>, axis = 1 : i64}",
             "5x30xf32"},
        Case{"cumulative_back",
             {"5x30xi64"},
             "dsc.cumulative %a0 {kind = #dsc.reduce_kind<sum>, axis = 0 : i64, exclusive = true, "
             "reverse = true}",
             "5x30xi64",
             9}),
    [](const auto &info) { return std::string(info.param.name); });

TEST(LoopsKernel, GatherGradAddsInPositionOrder) {
  std::string body = "%y = dsc.gather_grad %a0, %a1 {axis = 0 : i64} : (tensor<200x37xf32>, "
                     "tensor<200xi64>) -> tensor<70x37xf32>";
  CompiledKernels kernels(
      kernelModule(kLoops, {"200x37xf32", "200xi64"}, body, "%y", {"70x37xf32"}));
  std::vector<float> dy = randomFloats(200 * 37), expected(70 * 37, 0.0f);
  std::vector<int64_t> indices(200);
  for (int i = 0; i < 200; ++i) {
    indices[i] = i * i % 70 - (i % 2 ? 70 : 0);
    for (int c = 0; c < 37; ++c) {
      expected[(indices[i] + 70) % 70 * 37 + c] += dy[i * 37 + c];
    }
  }
  std::vector<Buffer> operands = {Buffer::of(dy), Buffer::of(indices)};
  EXPECT_EQ(kernels.run(operands)[0].as<float>(), expected);
  EXPECT_EQ(kernels.run(operands, 0, 5)[0].as<float>(), expected);
}

// More positions than are compared at a time, some rows named often and most not at all.
TEST(LoopsKernel, GatherGradOfManyPositions) {
  constexpr int64_t positions = 5000, rows = 1003, columns = 24;
  std::string body = "%y = dsc.gather_grad %a0, %a1 {axis = 0 : i64} : (tensor<5000x24xf32>, "
                     "tensor<5000xi64>) -> tensor<1003x24xf32>";
  CompiledKernels kernels(
      kernelModule(kLoops, {"5000x24xf32", "5000xi64"}, body, "%y", {"1003x24xf32"}));
  std::vector<float> dy = randomFloats(positions * columns), expected(rows * columns, 0.0f);
  std::vector<int64_t> indices(positions);
  for (int64_t i = 0; i < positions; ++i) {
    indices[i] = i % 3 == 0 ? 1002 : i * i % 97 * 9;
    for (int64_t c = 0; c < columns; ++c) {
      expected[indices[i] * columns + c] += dy[i * columns + c];
    }
  }
  EXPECT_EQ(kernels.run({Buffer::of(dy), Buffer::of(indices)})[0].as<float>(), expected);
}

TEST(LoopsKernel, ChunkSquares) {
  std::string body = "%y = dsc.chunk_squares %a0 : (tensor<2500xf32>) -> tensor<3xf32>";
  CompiledKernels kernels(kernelModule(kLoops, {"2500xf32"}, body, "%y", {"3xf32"}));
  std::vector<float> x = randomFloats(2500), y = kernels.run({Buffer::of(x)})[0].as<float>();
  for (int chunk = 0; chunk < 3; ++chunk) {
    double sum = 0;
    for (int i = chunk * 1024; i < std::min(2500, (chunk + 1) * 1024); ++i) {
      sum += double(x[i]) * x[i];
    }
    EXPECT_NEAR(y[chunk], sum, sum * 1e-6);
  }
}

// Max and average pooling in both layouts: channels_last must give what channels_first gives,
// moved.
struct Pooled {
  std::vector<float> y, dx, average, averageDx;
  std::vector<int32_t> index;
};

Pooled pool(bool channelsLast, const std::vector<float> &x, const std::vector<float> &dy) {
  std::string image = channelsLast ? "2x7x9x3xf32" : "2x3x7x9xf32",
              small = channelsLast ? "2x4x5x3x" : "2x3x4x5x";
  std::string attributes =
      "window = array<i64: 3, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, "
      "pads_begin = array<i64: 1, 0>, pads_end = array<i64: 1, 1>";
  attributes += channelsLast ? ", layout = #dsc.conv_layout<channels_last>" : "";
  std::string f = "tensor<" + small + "f32>", i = "tensor<" + small + "i32>",
              t = "tensor<" + image + ">";
  Pooled pooled;
  CompiledKernels max(kernelModule(kLoops, {image},
                                   "%y, %i = dsc.max_pool %a0 {" + attributes + "} : (" + t +
                                       ") -> (" + f + ", " + i + ")",
                                   "%y, %i", {small + "f32", small + "i32"}));
  std::vector<Buffer> results = max.run({Buffer::of(x)}, 0, 2);
  pooled.y = results[0].as<float>();
  pooled.index = results[1].as<int32_t>();
  CompiledKernels grad(kernelModule(kLoops, {small + "f32", small + "i32"},
                                    "%dx = dsc.max_pool_grad %a0, %a1 {" + attributes + "} : (" +
                                        f + ", " + i + ") -> " + t,
                                    "%dx", {image}));
  pooled.dx = grad.run({Buffer::of(dy), results[1]})[0].as<float>();
  std::string counted = attributes + ", count_include_pad = false";
  CompiledKernels average(
      kernelModule(kLoops, {image}, "%y = dsc.avg_pool %a0 {" + counted + "} : (" + t + ") -> " + f,
                   "%y", {small + "f32"}));
  pooled.average = average.run({Buffer::of(x)})[0].as<float>();
  CompiledKernels averageGrad(kernelModule(
      kLoops, {small + "f32"},
      "%dx = dsc.avg_pool_grad %a0 {" + counted + "} : (" + f + ") -> " + t, "%dx", {image}));
  pooled.averageDx = averageGrad.run({Buffer::of(dy)})[0].as<float>();
  return pooled;
}

std::vector<float> toChannelsLast(const std::vector<float> &x, int n, int c, int points) {
  std::vector<float> y(x.size());
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < c; ++k) {
      for (int p = 0; p < points; ++p) {
        y[(i * points + p) * c + k] = x[(i * c + k) * points + p];
      }
    }
  }
  return y;
}

TEST(LoopsKernel, Pooling) {
  std::vector<float> x = randomFloats(2 * 3 * 63), dy = randomFloats(2 * 3 * 20, -1, 1, 2);
  Pooled first = pool(false, x, dy),
         last = pool(true, toChannelsLast(x, 2, 3, 63), toChannelsLast(dy, 2, 3, 20));
  EXPECT_EQ(toChannelsLast(first.y, 2, 3, 20), last.y);
  EXPECT_EQ(toChannelsLast(first.dx, 2, 3, 63), last.dx);
  EXPECT_EQ(toChannelsLast(first.average, 2, 3, 20), last.average);
  EXPECT_EQ(toChannelsLast(first.averageDx, 2, 3, 63), last.averageDx);
  std::vector<float> dx(x.size(), 0), averageDx(x.size(), 0);
  for (int plane = 0; plane < 6; ++plane) {
    for (int oh = 0; oh < 4; ++oh) {
      for (int ow = 0; ow < 5; ++ow) {
        int at = plane * 20 + oh * 5 + ow, best = -1, count = 0;
        float sum = 0;
        for (int pass = 0; pass < 2; ++pass) {
          for (int h = oh * 2 - 1; h < oh * 2 + 2; ++h) {
            for (int w = ow * 2; w < ow * 2 + 2; ++w) {
              if (h < 0 || h >= 7 || w < 0 || w >= 9) {
                continue;
              }
              int from = plane * 63 + h * 9 + w;
              if (pass == 0) {
                best = best < 0 || x[from] > x[best] ? from : best;
                sum += x[from];
                ++count;
              } else {
                averageDx[from] += dy[at] / count;
              }
            }
          }
        }
        EXPECT_EQ(first.y[at], x[best]);
        EXPECT_EQ(first.index[at], best - plane * 63);
        EXPECT_FLOAT_EQ(first.average[at], sum / count);
        dx[best] += dy[at];
      }
    }
  }
  EXPECT_EQ(first.dx, dx);
  EXPECT_EQ(first.averageDx, averageDx);
}

// Philox4x32-10, written down a second time.
void philox(uint32_t counter[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xd2511f53) * counter[0], b = uint64_t(0xcd9e8d57) * counter[2];
    uint32_t next[4] = {uint32_t(b >> 32) ^ counter[1] ^ key0, uint32_t(b),
                        uint32_t(a >> 32) ^ counter[3] ^ key1, uint32_t(a)};
    std::copy(next, next + 4, counter);
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
}

TEST(LoopsKernel, PhiloxKnownAnswer) {
  // From the generator's published test vectors: counter and key all zeros.
  uint32_t counter[4] = {0, 0, 0, 0};
  philox(counter, 0, 0);
  EXPECT_EQ(counter[0], 0x6627e8d5u);
  EXPECT_EQ(counter[1], 0xe169c58du);
  EXPECT_EQ(counter[2], 0xbc57ac4cu);
  EXPECT_EQ(counter[3], 0x9b00dbd8u);
}

TEST(LoopsKernel, RandomIsPhilox) {
  for (const char *distribution : {"uniform", "normal"}) {
    std::string body =
        std::string("%u = dsc.random %a0, %a1, %a2 {distribution = #dsc.distribution<") +
        distribution +
        ">, number = 7 : i64} : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<3x101x50xf32>";
    CompiledKernels kernels(
        kernelModule(kLoops, {"i64", "i64", "i64"}, body, "%u", {"3x101x50xf32"}));
    int64_t seed = 0x123456789abcdef, step = 41, base = 1000;
    auto scalar = [](int64_t x) { return Buffer::of(std::vector<int64_t>{x}); };
    std::vector<Buffer> operands = {scalar(seed), scalar(step), scalar(base)};
    std::vector<float> actual = kernels.run(operands)[0].as<float>();
    EXPECT_EQ(kernels.run(operands, 0, 3)[0].as<float>(), actual);
    double mean = 0, square = 0;
    for (int i = 0; i < 3 * 5050; ++i) {
      uint32_t counter[4] = {7, 41, uint32_t(1000 + i / 5050), uint32_t(i % 5050 / 4)};
      philox(counter, uint32_t(seed), uint32_t(seed >> 32));
      float u[4];
      for (int k = 0; k < 4; ++k) {
        u[k] = float(counter[k] >> 8) / (1 << 24);
      }
      int k = i % 5050 % 4;
      double expected = u[k];
      if (distribution[0] == 'n') {
        double radius = std::sqrt(-2 * std::log(1 - double(u[k / 2 * 2]))),
               angle = 6.283185307179586 * u[k / 2 * 2 + 1];
        expected = radius * (k % 2 ? std::sin(angle) : std::cos(angle));
      }
      ASSERT_NEAR(actual[i], expected, 3e-6) << i;
      mean += actual[i] / 15150;
      square += actual[i] * actual[i] / 15150;
    }
    EXPECT_NEAR(mean, distribution[0] == 'n' ? 0 : 0.5, 0.03);
    EXPECT_NEAR(square - mean * mean, distribution[0] == 'n' ? 1 : 1.0 / 12, 0.03);
  }
}

} // namespace
