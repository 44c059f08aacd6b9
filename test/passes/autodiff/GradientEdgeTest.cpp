// Gradients where differences cannot check them: at ties and kinks, and behind infinite slopes.
// PyTorch's values.

#include "passes/Passes.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

namespace {

/// Gradients of the sum of f's result at `x`, a vector of five, where `body` computes %y from %x.
std::vector<double> gradientAt(std::vector<double> x, const std::string &body,
                               const std::string &result = "5") {
  MLIRContext context;
  context.loadDialect<DscDialect, func::FuncDialect>();
  std::string text = "func.func @f(%x: tensor<5xf64>) -> tensor<" + result + "xf64> {\n" +
                     "%zero = dsc.constant dense<0.0> : tensor<f64>\n" + body +
                     "\nreturn %y : tensor<" + result + "xf64>\n}";
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  EXPECT_TRUE(module);
  PassManager manager(&context);
  manager.addPass(createDifferentiateFunctions());
  EXPECT_TRUE(succeeded(manager.run(*module)));
  FunctionEvaluator program(*module);
  EvaluatedTensor point(RankedTensorType::get({5}, Float64Type::get(&context)));
  point.floats = std::move(x);
  auto type = cast<RankedTensorType>(module->lookupSymbol<func::FuncOp>("f").getResultTypes()[0]);
  EvaluatedTensor ones(type);
  std::fill(ones.floats.begin(), ones.floats.end(), 1);
  return program.run("f", {point, ones})[1].floats;
}

using Values = std::vector<double>;

/// `then` where x > 0, else 0: what models write to keep an op within its domain.
std::string guarded(const std::string &op) {
  return "%c = dsc.compare %x, %zero {predicate = #dsc.compare_predicate<gt>} : (tensor<5xf64>, "
         "tensor<f64>) -> tensor<5xi1>\n"
         "%t = dsc." +
         op +
         " %x : (tensor<5xf64>) -> tensor<5xf64>\n"
         "%y = dsc.select %c, %t, %zero : (tensor<5xi1>, tensor<5xf64>, tensor<f64>) -> "
         "tensor<5xf64>";
}

} // namespace

TEST(GradientEdge, ReluAndAbsAreFlatAtZero) {
  EXPECT_EQ(gradientAt({-1, 0, 1, 2, -0.0}, "%y = dsc.relu %x : (tensor<5xf64>) -> tensor<5xf64>"),
            (Values{0, 0, 1, 1, 0}));
  EXPECT_EQ(gradientAt({-1, 0, 1, 2, -2}, "%y = dsc.abs %x : (tensor<5xf64>) -> tensor<5xf64>"),
            (Values{-1, 0, 1, 1, -1}));
}

TEST(GradientEdge, EqualOperandsOfMaxShare) {
  EXPECT_EQ(gradientAt({-1, 0, 1, 2, 0},
                       "%y = dsc.max %x, %zero : (tensor<5xf64>, tensor<f64>) -> tensor<5xf64>"),
            (Values{0, 0.5, 1, 1, 0.5}));
  EXPECT_EQ(gradientAt({-1, 0, 1, 2, 0},
                       "%y = dsc.min %x, %zero : (tensor<5xf64>, tensor<f64>) -> tensor<5xf64>"),
            (Values{1, 0.5, 0, 0, 0.5}));
}

TEST(GradientEdge, EqualElementsOfAReductionShareEvenly) {
  EXPECT_EQ(gradientAt({2, 1, 2, 2, 0},
                       "%y = dsc.reduce %x {kind = #dsc.reduce_kind<max>, axes = array<i64: 0>} : "
                       "(tensor<5xf64>) -> tensor<1xf64>",
                       "1"),
            (Values{1 / 3.0, 0, 1 / 3.0, 1 / 3.0, 0}));
}

TEST(GradientEdge, ProductsWithZeros) {
  std::string product = "%y = dsc.reduce %x {kind = #dsc.reduce_kind<prod>, axes = array<i64: 0>} "
                        ": (tensor<5xf64>) -> tensor<1xf64>";
  EXPECT_EQ(gradientAt({2, 0, 3, 1, 1}, product, "1"), (Values{0, 6, 0, 0, 0}));
  EXPECT_EQ(gradientAt({2, 0, 3, 0, 1}, product, "1"), (Values{0, 0, 0, 0, 0}));
}

TEST(GradientEdge, BranchesNotTakenAddNothing) {
  for (const char *op : {"log", "sqrt", "rsqrt", "reciprocal"}) {
    for (double value : gradientAt({0, -1, -0.0, 1, 4}, guarded(op))) {
      EXPECT_TRUE(std::isfinite(value)) << op;
    }
  }
  EXPECT_EQ(gradientAt({0, -1, 0, 1, 4}, guarded("log")), (Values{0, 0, 0, 1, 0.25}));
  // exp overflows where it is not chosen.
  std::string below = guarded("exp");
  below.replace(below.find("<gt>"), 4, "<lt>");
  EXPECT_EQ(gradientAt({1000, 0, 2000, 5000, 800}, below), (Values{0, 0, 0, 0, 0}));
}

TEST(GradientEdge, PowAtZero) {
  EXPECT_EQ(gradientAt({0, 0, 1, 2, -2},
                       "%e = dsc.constant dense<[0.0, 1.0, 0.0, 2.0, 2.0]> : tensor<5xf64>\n"
                       "%y = dsc.pow %x, %e : (tensor<5xf64>, tensor<5xf64>) -> tensor<5xf64>"),
            (Values{0, 1, 0, 4, -4}));
  // 0 ^ x is flat for x >= 0.
  EXPECT_EQ(gradientAt({1, 2, 3, 1, 2},
                       "%y = dsc.pow %zero, %x : (tensor<f64>, tensor<5xf64>) -> tensor<5xf64>"),
            (Values{0, 0, 0, 0, 0}));
}
