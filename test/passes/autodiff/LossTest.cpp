// The value and the gradient of each loss, from its formula, in training (@last) and in evaluation
// (@eval).

#include "ir/Options.h"
#include "passes/Passes.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

namespace {

/// The model y = x w, elementwise, of one shape "4x3"; w is 1, so y is x and the gradient of w that
/// of y.
class Loss : public ::testing::Test {
protected:
  void compile(const std::string &shape, CompileOptions options) {
    context.loadDialect<DscDialect, func::FuncDialect>();
    std::string type = "tensor<" + shape + "xf64>", body;
    for (const char *name : {"forward", "inference"}) {
      body += "func.func @" + std::string(name) + "(%x: " + type + " {dsc.name = \"x\"}) -> (" +
              type + " {dsc.name = \"y\"}) {\n%w = dsc.get_global @w : " + type +
              "\n%y = dsc.mul %x, %w : (" + type + ", " + type + ") -> " + type +
              "\nreturn %y : " + type + "\n}\n";
    }
    module = parseSourceString<ModuleOp>(
        "dsc.global @w : " + type + " {role = #dsc.role<trained>, value = dense<1.0> : " + type +
            "}\n" + body,
        &context);
    ASSERT_TRUE(module);
    options.optimizer = "sgd";
    options.lr = -1; // w after a step without momentum is 1 + its gradient
    options.weightDecay = 0;
    (*module)->setAttr("dsc.options", options.toAttribute(&context));
    PassManager manager(&context);
    manager.addPass(createBuildEntries());
    ASSERT_TRUE(succeeded(manager.run(*module)));
    std::mt19937 random(11);
    for (Type argument : module->lookupSymbol<func::FuncOp>("last").getArgumentTypes()) {
      arguments.push_back(randomTensor(cast<RankedTensorType>(argument), 0, 3, random));
    }
  }

  /// Checks loss, gradient and evaluation against the sum over `count` elements or positions.
  void expect(double sum, double count, const std::vector<double> &gradient) {
    FunctionEvaluator program(*module);
    int64_t batch = arguments[0].shape()[0];
    EvaluatedTensor weight(RankedTensorType::get({batch}, Float32Type::get(&context)));
    std::fill(weight.floats.begin(), weight.floats.end(), 1);
    Tensors all = arguments;
    all.push_back(weight);
    Tensors evaluated = program.run("eval", all);
    EXPECT_NEAR(evaluated[0].floats[0], sum, 1e-9);
    EXPECT_NEAR(evaluated[1].floats[0], count, 1e-9);
    Tensors trained = program.run("last", arguments);
    EXPECT_NEAR(trained[0].floats[0], sum / count, 1e-9);
    const std::vector<double> &w = program.globals.at("w").floats;
    ASSERT_EQ(w.size(), gradient.size());
    for (size_t i = 0; i < w.size(); ++i) {
      EXPECT_NEAR(w[i] - 1, gradient[i] * arguments[0].floats[i], 1e-9) << "element " << i;
    }
  }

  /// A loss that is a mean of f(y, t) over elements, with derivative df.
  template <typename F, typename D> void expectElementwise(double count, F f, D df) {
    double sum = 0;
    std::vector<double> gradient;
    for (size_t i = 0; i < arguments[0].floats.size(); ++i) {
      double y = arguments[0].floats[i], t = arguments.size() > 1 ? arguments[1].floats[i] : 0;
      sum += f(y, t);
      gradient.push_back(df(y, t) / count);
    }
    expect(sum, count, gradient);
  }

  static CompileOptions options(const std::string &loss) {
    CompileOptions options;
    options.loss = loss;
    return options;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  Tensors arguments;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

} // namespace

TEST_F(Loss, Mean) {
  compile("4x3", options("mean"));
  expectElementwise(12, [](double y, double) { return y; }, [](double, double) { return 1; });
}

TEST_F(Loss, Sum) {
  compile("4x3", options("sum"));
  expectElementwise(1, [](double y, double) { return y; }, [](double, double) { return 1; });
}

TEST_F(Loss, Mse) {
  compile("4x3", options("mse"));
  expectElementwise(
      12, [](double y, double t) { return (y - t) * (y - t); },
      [](double y, double t) { return 2 * (y - t); });
}

TEST_F(Loss, L1) {
  compile("4x3", options("l1"));
  expectElementwise(
      12, [](double y, double t) { return std::abs(y - t); },
      [](double y, double t) { return y > t ? 1 : -1; });
}

TEST_F(Loss, BceWithLogits) {
  compile("4x3", options("bce-with-logits"));
  expectElementwise(
      12,
      [](double y, double t) {
        return -t * std::log(sigmoid(y)) - (1 - t) * std::log(1 - sigmoid(y));
      },
      [](double y, double t) { return sigmoid(y) - t; });
}

TEST_F(Loss, NllIgnoresAndPicks) {
  CompileOptions nll = options("nll");
  nll.ignoreIndex = 2;
  compile("4x3", nll);
  arguments[1].integers = {0, 2, 1, 0};
  const std::vector<double> &y = arguments[0].floats;
  std::vector<double> gradient(12, 0);
  gradient[0] = gradient[7] = gradient[9] = -1 / 3.0;
  expect(-y[0] - y[7] - y[9], 3, gradient);
}

/// Classes in dimension 1 of an image, and each position's softmax by hand.
TEST_F(Loss, CrossEntropyOfImages) {
  compile("2x3x2x1", options("cross-entropy"));
  ASSERT_EQ(arguments[1].shape(), (ArrayRef<int64_t>{2, 2, 1}));
  arguments[1].integers = {0, -100, 2, 1};
  const std::vector<double> &y = arguments[0].floats;
  std::vector<double> gradient(12, 0);
  double sum = 0;
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t p = 0; p < 2; ++p) {
      int64_t label = arguments[1].integers[n * 2 + p];
      auto at = [&](int64_t c) { return (n * 3 + c) * 2 + p; };
      double total = std::exp(y[at(0)]) + std::exp(y[at(1)]) + std::exp(y[at(2)]);
      for (int64_t c = 0; c < 3 && label >= 0; ++c) {
        gradient[at(c)] = (std::exp(y[at(c)]) / total - (c == label)) / 3;
      }
      sum += label >= 0 ? std::log(total) - y[at(label)] : 0;
    }
  }
  expect(sum, 3, gradient);
}

/// Position t predicts label t + 1; the last one predicts nothing.
TEST_F(Loss, ShiftedLabels) {
  CompileOptions shifted = options("nll");
  shifted.shiftLabels = true;
  compile("2x3x2", shifted);
  arguments[1].integers = {1, 0, 1, 0, -100, 1};
  const std::vector<double> &y = arguments[0].floats;
  std::vector<double> gradient(12, 0);
  gradient[0] = gradient[3] = gradient[9] = -1 / 3.0; // sample 0: labels 0, 1; sample 1: ignored, 1
  expect(-y[0] - y[3] - y[9], 3, gradient);
}
