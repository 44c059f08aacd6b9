// Whole steps of @micro and @last on the evaluator, beside PyTorch: optimizers, clipping, both
// means of the loss, accumulation, and steps that are skipped. Inputs/training.py made the values.

#include "ir/Options.h"
#include "passes/Passes.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

namespace {

constexpr int64_t kBatch = 6, kFeatures = 3, kMicroBatches = 2;

std::string inputPath(StringRef name) { return (DSC_AUTODIFF_INPUTS "/" + name).str(); }

std::vector<double> numbers(const llvm::json::Value &array) {
  std::vector<double> result;
  for (const llvm::json::Value &value : *array.getAsArray()) {
    result.push_back(*value.getAsNumber());
  }
  return result;
}

class Training : public ::testing::TestWithParam<int> {
protected:
  void SetUp() override {
    auto buffer = llvm::MemoryBuffer::getFile(inputPath("training.json"));
    ASSERT_TRUE(bool(buffer));
    llvm::Expected<llvm::json::Value> parsed = llvm::json::parse((*buffer)->getBuffer());
    ASSERT_TRUE(bool(parsed));
    document = std::make_unique<llvm::json::Value>(std::move(*parsed));
    run = (*document->getAsObject()->getArray("runs"))[GetParam()].getAsObject();
    context.loadDialect<DscDialect, func::FuncDialect>();
  }

  const llvm::json::Object &root() { return *document->getAsObject(); }
  double number(StringRef key) { return *root().getNumber(key); }

  CompileOptions options() {
    CompileOptions options;
    options.loss = "cross-entropy";
    options.optimizer = run->getString("optimizer")->str();
    options.lossMean = run->getString("loss_mean")->str();
    options.nesterov = *run->getBoolean("nesterov");
    options.dampening = *run->getNumber("dampening");
    options.clip = *run->getNumber("clip");
    options.accumulate = *run->getInteger("micro_batches");
    options.lr = number("lr");
    options.beta1 = *(*root().getArray("betas"))[0].getAsNumber();
    options.beta2 = *(*root().getArray("betas"))[1].getAsNumber();
    options.epsilon = number("epsilon");
    options.weightDecay = number("weight_decay");
    options.momentum = number("momentum");
    options.lrDecay = number("lr_decay");
    options.initialAccumulator = number("initial_accumulator");
    options.labelSmoothing = number("label_smoothing");
    options.ignoreIndex = *root().getInteger("ignore_index");
    return options;
  }

  /// The batch of one micro-batch: samples and labels.
  Tensors batch(int64_t step, int64_t micro) {
    Builder b(&context);
    Tensors result{EvaluatedTensor(RankedTensorType::get({kBatch, kFeatures}, b.getF64Type())),
                   EvaluatedTensor(RankedTensorType::get({kBatch}, b.getI64Type()))};
    int64_t first = (step * kMicroBatches + micro) * kBatch;
    std::vector<double> x = numbers(*root().get("x")), labels = numbers(*root().get("labels"));
    std::copy_n(x.begin() + first * kFeatures, kBatch * kFeatures, result[0].floats.begin());
    std::copy_n(labels.begin() + first, kBatch, result[1].integers.begin());
    std::vector<double> at = numbers(*root().get("infinite"));
    if (at[0] == static_cast<double>(step) && at[1] == static_cast<double>(micro)) {
      result[0].floats[static_cast<size_t>(at[2]) * kFeatures + static_cast<size_t>(at[3])] =
          INFINITY;
    }
    return result;
  }

  MLIRContext context;
  std::unique_ptr<llvm::json::Value> document;
  const llvm::json::Object *run = nullptr;
};

void expectNear(double value, double expected, const std::string &what) {
  EXPECT_NEAR(value, expected, 1e-6 * std::max(1.0, std::abs(expected))) << what;
}

} // namespace

TEST_P(Training, AgreesWithPyTorch) {
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(inputPath("mlp.mlir"), &context);
  ASSERT_TRUE(module);
  (*module)->setAttr("dsc.options", options().toAttribute(&context));
  PassManager manager(&context);
  manager.addPass(createBuildEntries());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  ASSERT_TRUE(succeeded(manager.run(*module)));

  FunctionEvaluator program(*module);
  for (const auto &[name, value] : *root().getObject("start")) {
    program.globals.at(name.str()).floats = numbers(value);
  }
  int64_t count = *run->getInteger("micro_batches");
  program.globals.at("rt.micro_batches").floats = {static_cast<double>(count)};
  const llvm::json::Array &steps = *run->getArray("steps");
  for (size_t step = 0; step < steps.size(); ++step) {
    const llvm::json::Object &expected = *steps[step].getAsObject();
    Tensors results;
    for (int64_t micro = 0; micro < count; ++micro) {
      program.globals.at("rt.micro_index").integers = {micro};
      results = program.run(micro + 1 == count ? "last" : "micro",
                            batch(static_cast<int64_t>(step), micro));
    }
    std::string where = "step " + std::to_string(step);
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[2].floats[0] != 0, *expected.getBoolean("skipped")) << where;
    if (std::optional<double> loss = expected.getNumber("loss")) {
      expectNear(results[0].floats[0], *loss, where + " loss");
      expectNear(results[1].floats[0], *expected.getNumber("norm"), where + " norm");
    } else {
      EXPECT_FALSE(std::isfinite(results[0].floats[0]) && std::isfinite(results[1].floats[0]))
          << where;
    }
    for (const auto &[name, value] : *expected.getObject("parameters")) {
      std::vector<double> right = numbers(value), &ours = program.globals.at(name.str()).floats;
      for (size_t i = 0; i < right.size(); ++i) {
        expectNear(ours[i], right[i], where + " " + name.str() + " " + std::to_string(i));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, Training, ::testing::Range(0, 8));

/// Evaluation: sums over samples with their weights, in inference form.
TEST(Evaluation, WeighsSamples) {
  MLIRContext context;
  context.loadDialect<DscDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(inputPath("mlp.mlir"), &context);
  ASSERT_TRUE(module);
  PassManager manager(&context);
  manager.addPass(createBuildEntries());
  ASSERT_TRUE(succeeded(manager.run(*module))); // the output's name has logits in it: cross-entropy

  std::mt19937 random(5);
  FunctionEvaluator program(*module);
  for (auto &[name, tensor] : program.globals) {
    tensor = randomTensor(tensor.type, 0.5, 1.5, random);
  }
  Builder b(&context);
  EvaluatedTensor x =
      randomTensor(RankedTensorType::get({kBatch, kFeatures}, b.getF64Type()), -1, 1, random);
  EvaluatedTensor labels =
      randomTensor(RankedTensorType::get({kBatch}, b.getI64Type()), 0, 4, random);
  EvaluatedTensor weight(RankedTensorType::get({kBatch}, b.getF32Type()));
  labels.integers[1] = -100;
  auto evaluate = [&](std::vector<double> weights) {
    weight.floats = std::move(weights);
    return program.run("eval", {x, labels, weight});
  };
  Tensors all = evaluate({1, 1, 1, 1, 1, 1}), first = evaluate({1, 1, 1, 0, 0, 0}),
          rest = evaluate({0, 0, 0, 1, 1, 1});
  ASSERT_EQ(all.size(), 5u); // loss_sum, loss_weight, correct, counted, logits
  for (int i = 0; i < 4; ++i) {
    expectNear(first[i].floats[0] + rest[i].floats[0], all[i].floats[0],
               "result " + std::to_string(i));
  }
  EXPECT_EQ(all[1].floats[0], 5);
  EXPECT_EQ(first[3].floats[0], 2);
  int correct = 0;
  double sum = 0;
  for (int64_t i = 0; i < kBatch; ++i) {
    ArrayRef<double> logits(all[4].floats.data() + i * 4, 4);
    double total = 0;
    for (double value : logits) {
      total += std::exp(value);
    }
    if (i != 1) {
      sum += std::log(total) - logits[labels.integers[i]];
      correct +=
          std::max_element(logits.begin(), logits.end()) - logits.begin() == labels.integers[i];
    }
  }
  expectNear(all[0].floats[0], sum, "loss");
  EXPECT_EQ(all[2].floats[0], correct);

  // A padded sample may hold anything.
  x.floats[5 * kFeatures] = NAN;
  EXPECT_TRUE(std::isfinite(evaluate({1, 1, 1, 1, 1, 0})[0].floats[0]));
}
