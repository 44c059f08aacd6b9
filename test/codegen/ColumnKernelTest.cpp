// Column and row_column kernels: bias gradients, the backward pass of layer norm with its weights,
// several blocks, pieces.

#include "test/codegen/CompiledKernels.h"

#include "ir/CpuTarget.h"

#include "gtest/gtest.h"

#include <cmath>

using namespace dsc::test;

namespace {

std::string attributes(const char *kind, int64_t rows, int64_t columns, int64_t reductions) {
  return std::string("kind = #dsc.kernel_kind<") + kind +
         ">, domain = array<i64: " + std::to_string(rows) + ", " + std::to_string(columns) +
         ">, row_rank = 1 : i64, scratch = " +
         std::to_string(dsc::makeCpuTarget()->columnScratchBytes(rows, columns, reductions, 4)) +
         " : i64";
}

class Shapes : public testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(Shapes, ScaledSumOfRowsWithAFullResult) {
  auto [rows, columns] = GetParam();
  std::string r = std::to_string(rows), c = std::to_string(columns);
  std::string full = r + "x" + c + "xf32", f = "tensor<" + full + ">",
              s = "tensor<1x" + c + "xf32>";
  std::string sum = " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (" + f + ") -> " + s;
  std::string body = "%y = dsc.mul %a0, %a1 : (" + f + ", " + f + ") -> " + f +
                     "\n%s = dsc.reduce %a0" + sum + "\n%t = dsc.reduce %y" + sum;
  CompiledKernels kernels(kernelModule(attributes("column", rows, columns, 2), {full, full}, body,
                                       "%s, %y, %t", {"1x" + c + "xf32", full, "1x" + c + "xf32"}));
  ASSERT_EQ(kernels.launches().size(), 2u);
  std::vector<float> x = randomFloats(rows * columns), w = randomFloats(rows * columns, -1, 1, 2);
  std::vector<Buffer> operands = {Buffer::of(x), Buffer::of(w)}, results = kernels.run(operands);
  std::vector<float> s0 = results[0].as<float>(), y = results[1].as<float>(),
                     t0 = results[2].as<float>();
  for (int pieces : {2, 5}) {
    std::vector<Buffer> again = kernels.run(operands, 0, pieces, {{1, 0}});
    EXPECT_EQ(again[0].as<float>(), s0);
    EXPECT_EQ(again[1].as<float>(), y);
    EXPECT_EQ(again[2].as<float>(), t0);
  }
  for (int64_t i = 0; i < columns; ++i) {
    double sum = 0, weighted = 0, size = 0;
    for (int64_t j = 0; j < rows; ++j) {
      sum += x[j * columns + i];
      weighted += double(x[j * columns + i]) * w[j * columns + i];
      size += std::fabs(x[j * columns + i]);
      ASSERT_EQ(y[j * columns + i], x[j * columns + i] * w[j * columns + i]);
    }
    ASSERT_NEAR(s0[i], sum, 1e-6 * size + 1e-6) << i;
    ASSERT_NEAR(t0[i], weighted, 1e-6 * size + 1e-6) << i;
  }
}

TEST_P(Shapes, LayerNormBackwardInOneKernel) {
  auto [rows, columns] = GetParam();
  std::string r = std::to_string(rows), c = std::to_string(columns);
  std::string full = r + "x" + c + "xf32", narrow = r + "x1xf32", flat = "1x" + c + "xf32";
  std::string f = "tensor<" + full + ">", n = "tensor<" + narrow + ">", w = "tensor<" + flat + ">";
  std::string rowSum =
      " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (" + f + ") -> " + n;
  std::string columnSum =
      " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (" + f + ") -> " + w;
  auto binary = [&](const char *result, const char *op, const char *a, const std::string &aType,
                    const char *b, const std::string &bType) {
    return std::string("\n") + result + " = dsc." + op + " " + a + ", " + b + " : (" + aType +
           ", " + bType + ") -> " + aType;
  };
  // a0 x, a1 mean, a2 rstd, a3 gamma, a4 dy
  std::string body = "%k = dsc.constant dense<" + c + ".0> : tensor<f32>";
  body += binary("%d", "sub", "%a0", f, "%a1", n) + binary("%h", "mul", "%d", f, "%a2", n);
  body += binary("%g", "mul", "%a4", f, "%a3", w) + binary("%p", "mul", "%g", f, "%h", f);
  body += "\n%sg = dsc.reduce %g" + rowSum + "\n%sp = dsc.reduce %p" + rowSum;
  body += binary("%mg", "div", "%sg", n, "%k", "tensor<f32>") +
          binary("%mp", "div", "%sp", n, "%k", "tensor<f32>");
  body += binary("%u", "sub", "%g", f, "%mg", n) + binary("%q", "mul", "%h", f, "%mp", n) +
          binary("%v", "sub", "%u", f, "%q", f);
  body += binary("%dx", "mul", "%v", f, "%a2", n) + binary("%z", "mul", "%a4", f, "%h", f);
  body += "\n%dg = dsc.reduce %z" + columnSum + "\n%db = dsc.reduce %a4" + columnSum;
  // More sums than a GPU's registers have room for where rows are long.
  body += "\n%s = dsc.reduce %a0" + columnSum + "\n%t = dsc.reduce %dx" + columnSum;
  CompiledKernels kernels(kernelModule(attributes("row_column", rows, columns, 4),
                                       {full, narrow, narrow, flat, full}, body,
                                       "%dx, %dg, %db, %s, %t", {full, flat, flat, flat, flat}));
  std::vector<float> x = randomFloats(rows * columns), mean(rows), rstd(rows),
                     gamma = randomFloats(columns, 0, 2, 3),
                     dy = randomFloats(rows * columns, -1, 1, 4);
  for (int64_t j = 0; j < rows; ++j) {
    double m = 0, v = 0;
    for (int64_t i = 0; i < columns; ++i) {
      m += x[j * columns + i] / double(columns);
    }
    for (int64_t i = 0; i < columns; ++i) {
      v += std::pow(x[j * columns + i] - m, 2) / columns;
    }
    mean[j] = m;
    rstd[j] = 1 / std::sqrt(v + 1e-2);
  }
  std::vector<Buffer> operands = {Buffer::of(x), Buffer::of(mean), Buffer::of(rstd),
                                  Buffer::of(gamma), Buffer::of(dy)};
  std::vector<Buffer> results = kernels.run(operands);
  for (int pieces : {1, 3}) {
    std::vector<Buffer> again = kernels.run(operands, 0, pieces, {{0, 4}});
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(again[i].as<float>(), results[i].as<float>()) << i;
    }
  }
  std::vector<float> dx = results[0].as<float>(), dg = results[1].as<float>(),
                     db = results[2].as<float>(), s = results[3].as<float>(),
                     t = results[4].as<float>();
  std::vector<double> expectedDg(columns), expectedDb(columns), expectedS(columns),
      expectedT(columns);
  for (int64_t j = 0; j < rows; ++j) {
    double meanG = 0, meanP = 0;
    for (int64_t i = 0; i < columns; ++i) {
      double h = (x[j * columns + i] - double(mean[j])) * rstd[j],
             g = dy[j * columns + i] * double(gamma[i]);
      meanG += g / columns;
      meanP += g * h / columns;
      expectedDg[i] += dy[j * columns + i] * h;
      expectedDb[i] += dy[j * columns + i];
    }
    for (int64_t i = 0; i < columns; ++i) {
      double h = (x[j * columns + i] - double(mean[j])) * rstd[j],
             g = dy[j * columns + i] * double(gamma[i]);
      ASSERT_NEAR(dx[j * columns + i], rstd[j] * (g - meanG - h * meanP), 1e-4) << j << " " << i;
      expectedS[i] += x[j * columns + i];
      expectedT[i] += dx[j * columns + i];
    }
  }
  for (int64_t i = 0; i < columns; ++i) {
    ASSERT_NEAR(dg[i], expectedDg[i], 1e-5 * rows) << i;
    ASSERT_NEAR(db[i], expectedDb[i], 1e-5 * rows) << i;
    ASSERT_NEAR(s[i], expectedS[i], 1e-5 * rows) << i;
    ASSERT_NEAR(t[i], expectedT[i], 1e-4 * rows) << i;
  }
}

// What normalizations along both dimensions make when they follow one another: a row reduction that
// needs a column reduction, and one that does not but is needed behind it only.
TEST_P(Shapes, RowReductionsBehindColumnReductions) {
  auto [rows, columns] = GetParam();
  std::string r = std::to_string(rows), c = std::to_string(columns);
  std::string full = r + "x" + c + "xf32", narrow = r + "x1xf32", flat = "1x" + c + "xf32";
  std::string f = "tensor<" + full + ">", n = "tensor<" + narrow + ">", w = "tensor<" + flat + ">";
  std::string rowSum =
      " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (" + f + ") -> " + n;
  std::string columnSum =
      " {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (" + f + ") -> " + w;
  // m = column sums of x, u = x - m, p = row sums of u * u, q = row sums of x; y = u + (p + 1) - q;
  // v = column sums of y, z = y * y - v.
  std::string body =
      "%one = dsc.constant dense<1.0> : tensor<f32>\n%m = dsc.reduce %a0" + columnSum;
  body += "\n%u = dsc.sub %a0, %m : (" + f + ", " + w + ") -> " + f;
  body += "\n%uu = dsc.mul %u, %u : (" + f + ", " + f + ") -> " + f;
  body += "\n%p = dsc.reduce %uu" + rowSum + "\n%q = dsc.reduce %a0" + rowSum;
  body += "\n%p1 = dsc.add %p, %one : (" + n + ", tensor<f32>) -> " + n;
  body += "\n%q1 = dsc.mul %q, %one : (" + n + ", tensor<f32>) -> " + n;
  body += "\n%d = dsc.sub %p1, %q1 : (" + n + ", " + n + ") -> " + n;
  body += "\n%y = dsc.add %u, %d : (" + f + ", " + n + ") -> " + f;
  body += "\n%v = dsc.reduce %y" + columnSum;
  body += "\n%yy = dsc.mul %y, %y : (" + f + ", " + f + ") -> " + f;
  body += "\n%z = dsc.sub %yy, %v : (" + f + ", " + w + ") -> " + f;
  CompiledKernels kernels(kernelModule(attributes("row_column", rows, columns, 2), {full}, body,
                                       "%z, %d, %v", {full, narrow, flat}));
  float reach = 1.0f / static_cast<float>(rows * columns);
  std::vector<float> x = randomFloats(rows * columns, -reach, reach);
  std::vector<Buffer> operands = {Buffer::of(x)}, results = kernels.run(operands);
  for (int pieces : {1, 3}) {
    std::vector<Buffer> again = kernels.run(operands, 0, pieces);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(again[i].as<float>(), results[i].as<float>()) << i;
    }
  }
  std::vector<double> m(columns), v(columns), y(rows * columns);
  for (int64_t i = 0; i < rows * columns; ++i) {
    m[i % columns] += x[i];
  }
  std::vector<float> z = results[0].as<float>(), d = results[1].as<float>(),
                     sums = results[2].as<float>();
  for (int64_t j = 0; j < rows; ++j) {
    double p = 0, q = 0;
    for (int64_t i = 0; i < columns; ++i) {
      p += std::pow(x[j * columns + i] - m[i], 2);
      q += x[j * columns + i];
    }
    ASSERT_NEAR(d[j], p + 1 - q, 1e-5) << j;
    for (int64_t i = 0; i < columns; ++i) {
      y[j * columns + i] = x[j * columns + i] - m[i] + p + 1 - q;
      v[i] += y[j * columns + i];
    }
  }
  for (int64_t i = 0; i < columns; ++i) {
    ASSERT_NEAR(sums[i], v[i], 1e-5 * rows) << i;
  }
  for (int64_t i = 0; i < rows * columns; ++i) {
    ASSERT_NEAR(z[i], y[i] * y[i] - v[i % columns], 2e-5 * rows) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Shapes,
    testing::Values(std::pair<int64_t, int64_t>{1, 20}, std::pair<int64_t, int64_t>{5, 16},
                    std::pair<int64_t, int64_t>{100, 33}, std::pair<int64_t, int64_t>{1000, 65},
                    std::pair<int64_t, int64_t>{67, 2100}, std::pair<int64_t, int64_t>{300, 1},
                    std::pair<int64_t, int64_t>{2048, 384}, std::pair<int64_t, int64_t>{300, 768},
                    std::pair<int64_t, int64_t>{100, 1024}),
    [](const auto &info) {
      return std::to_string(info.param.first) + "x" + std::to_string(info.param.second);
    });

} // namespace
