// The loss scaler as ops, on the evaluator: DeepSpeed's traces (loss_scaler.py run with its source,
// window 4), a static scale, and what a skipped step leaves as it was.

#include "ir/Options.h"
#include "passes/Passes.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kModel = R"(
module {
  dsc.global @weight : tensor<1x2xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "weight", "">}
  func.func @forward(%x: tensor<4x2xf32> {dsc.name = "x"}) -> (tensor<4x1xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @weight : tensor<1x2xf32>
    %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x2xf32>, tensor<1x2xf32>) -> tensor<4x1xf32>
    return %y : tensor<4x1xf32>
  }
  func.func @inference(%x: tensor<4x2xf32> {dsc.name = "x"}) -> (tensor<4x1xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @weight : tensor<1x2xf32>
    %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x2xf32>, tensor<1x2xf32>) -> tensor<4x1xf32>
    return %y : tensor<4x1xf32>
  }
})";

namespace {
class LossScale : public ::testing::Test {
protected:
  void compile(CompileOptions options) {
    options.loss = "mean";
    options.precision = "fp16";
    context.loadDialect<DscDialect, func::FuncDialect>();
    module = parseSourceString<ModuleOp>(kModel, &context);
    ASSERT_TRUE(module);
    (*module)->setAttr("dsc.options", options.toAttribute(&context));
    PassManager manager(&context);
    manager.addPass(createBuildEntries());
    ASSERT_TRUE(succeeded(manager.run(*module)));
    program = std::make_unique<FunctionEvaluator>(*module);
    program->globals.at("weight").floats = {1, 2};
  }

  struct Step {
    double used, after, hysteresis;
    bool exhausted, skipped;
    double norm;
  };

  Step step(bool overflow) {
    Builder b(&context);
    EvaluatedTensor x(RankedTensorType::get({4, 2}, b.getF32Type()));
    std::fill(x.floats.begin(), x.floats.end(), 0.25);
    if (overflow) {
      x.floats[3] = INFINITY;
    }
    Tensors results = program->run("last", {x});
    EXPECT_EQ(results.size(), 5u); // loss, grad_norm, skipped, loss_scale, loss_scale_exhausted
    return {results[3].floats[0],
            program->globals.at("state.loss_scale").floats[0],
            static_cast<double>(program->globals.at("state.hysteresis").integers[0]),
            results[4].floats[0] != 0,
            results[2].floats[0] != 0,
            results[1].floats[0]};
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<FunctionEvaluator> program;
};

CompileOptions withWindow(int64_t window) {
  CompileOptions options;
  options.lossScaleWindow = window;
  return options;
}
} // namespace

TEST_F(LossScale, HalvesAfterHysteresisAndGrowsAfterWindow) {
  compile(withWindow(4));
  struct Expected {
    bool overflow;
    double after, hysteresis;
  };
  const Expected trace[] = {
      {true, 65536, 1},  {true, 32768, 1},  {false, 32768, 1}, {false, 32768, 1}, {false, 32768, 1},
      {false, 32768, 1}, {false, 65536, 2}, {true, 65536, 1},  {false, 65536, 1}, {false, 65536, 1},
      {false, 65536, 1}, {false, 65536, 1}, {true, 32768, 1},  {true, 16384, 1},
  };
  double before = 65536;
  for (auto [i, expected] : llvm::enumerate(trace)) {
    Step now = step(expected.overflow);
    EXPECT_EQ(now.used, before) << i;
    EXPECT_EQ(now.after, expected.after) << i;
    EXPECT_EQ(now.hysteresis, expected.hysteresis) << i;
    EXPECT_EQ(now.skipped, expected.overflow) << i;
    EXPECT_FALSE(now.exhausted) << i;
    before = expected.after;
  }
}

TEST_F(LossScale, GrowsFromAFreshStart) {
  compile(withWindow(4));
  const double after[] = {65536,  65536,  65536,  65536,  131072,
                          131072, 131072, 131072, 262144, 262144};
  for (auto [i, expected] : llvm::enumerate(after)) {
    EXPECT_EQ(step(false).after, expected) << i;
  }
}

TEST_F(LossScale, EndsAtTheMinimum) {
  CompileOptions options = withWindow(4);
  options.hysteresis = 1;
  options.initialScalePower = 1;
  compile(options);
  Step first = step(true), second = step(true);
  EXPECT_EQ(first.used, 2);
  EXPECT_EQ(first.after, 1);
  EXPECT_FALSE(first.exhausted);
  EXPECT_TRUE(second.exhausted);
  EXPECT_EQ(second.after, 1);
}

TEST_F(LossScale, ConsecutiveHysteresisComesBackWithAnyCleanStep) {
  CompileOptions options = withWindow(100);
  options.consecutiveHysteresis = true;
  compile(options);
  EXPECT_EQ(step(true).hysteresis, 1);
  EXPECT_EQ(step(false).hysteresis, 2);
  EXPECT_EQ(step(true).after, 65536);
  EXPECT_EQ(step(true).after, 32768);
}

TEST_F(LossScale, StaticScaleStays) {
  CompileOptions options;
  options.lossScale = 128;
  options.hysteresis = 1;
  options.minLossScale = 128;
  compile(options);
  for (bool overflow : {false, true, true, false}) {
    Step now = step(overflow);
    EXPECT_EQ(now.used, 128);
    EXPECT_EQ(now.skipped, overflow);
    EXPECT_FALSE(now.exhausted);
  }
}

/// The scale takes no part in what is reported and applied: a power of two changes no bit in f32.
TEST_F(LossScale, IsTakenOutOfNormAndUpdate) {
  compile(CompileOptions());
  std::vector<Step> scaled;
  std::vector<double> weights;
  for (double scale : {1.0, 1024.0}) {
    CompileOptions options;
    options.lossScale = scale;
    options.clip = 0.25;
    compile(options);
    scaled.push_back(step(false));
    scaled.push_back(step(false));
    weights.insert(weights.end(), program->globals.at("weight").floats.begin(),
                   program->globals.at("weight").floats.end());
  }
  EXPECT_EQ(scaled[0].norm, scaled[2].norm);
  EXPECT_EQ(scaled[1].norm, scaled[3].norm);
  EXPECT_EQ(weights[0], weights[2]);
  EXPECT_EQ(weights[1], weights[3]);
  EXPECT_NEAR(scaled[0].norm, 0.25 * std::sqrt(2.0), 1e-7);
}

TEST_F(LossScale, SkippedStepLeavesEverything) {
  compile(CompileOptions());
  step(false);
  std::map<std::string, EvaluatedTensor> before = program->globals;
  EXPECT_TRUE(step(true).skipped);
  for (const auto &[name, tensor] : before) {
    if (name == "state.hysteresis" || name == "state.good_steps") {
      continue; // what the scaler remembers of it
    }
    EXPECT_EQ(program->globals.at(name).floats, tensor.floats) << name;
    EXPECT_EQ(program->globals.at(name).integers, tensor.integers) << name;
  }
}
