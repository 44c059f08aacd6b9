// Recomputation changes no bit: the entries of the models in test/passes/fusion/Inputs are run with
// every setting, through the fusion phase, and all results and globals compared for equality.

#include "passes/Pipeline.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "ir/OpsOrder.h"
#include "ir/Options.h"
#include "ir/Recompute.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

namespace {
struct Copies : testing::TestWithParam<const char *> {
  Copies() : context(MLIRContext::Threading::DISABLED) {
    context.loadDialect<DscDialect, func::FuncDialect>();
    autodiff = parseSourceFile<ModuleOp>(std::string(DSC_FUSION_CASES "/Inputs/") + GetParam(),
                                         ParserConfig(&context));
    EXPECT_TRUE(autodiff && succeeded(run(*autodiff, {Phase::Autodiff})));
  }

  static LogicalResult run(ModuleOp module, ArrayRef<Phase> phases) {
    PassManager manager(module->getContext());
    for (Phase phase : phases) {
      buildPhasePipeline(manager, phase);
    }
    return manager.run(module);
  }

  /// The program under a setting of --recompute, after the recompute phase and after fusion.
  OwningOpRef<ModuleOp> with(StringRef recompute) {
    OwningOpRef<ModuleOp> module = autodiff->clone();
    CompileOptions options = *CompileOptions::from(*module);
    options.recompute = recompute.str();
    (*module)->setAttr("dsc.options", options.toAttribute(&context));
    EXPECT_TRUE(succeeded(run(*module, {Phase::Recompute})));
    return module;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> autodiff;
};
} // namespace

static int countOf(ModuleOp module, StringRef op) {
  int count = 0;
  module.walk([&](Operation *each) { count += each->getName().getStringRef() == op; });
  return count;
}

static std::vector<std::pair<std::string, Tensors>> results(ModuleOp module) {
  std::vector<std::pair<std::string, Tensors>> all;
  FunctionEvaluator evaluator(module);
  std::mt19937 random(1);
  for (auto global : module.getOps<GlobalOp>()) {
    // Constants that fusion outlines differ in number, not in what they hold.
    if (global.getRole() == GlobalRole::trained || global.getRole() == GlobalRole::buffer) {
      evaluator.globals.at(global.getSymName().str()) =
          // Running variances, too, so positive.
          randomTensor(global.getTensorType(), 0.1, 1, random);
    } else if (global.getSymName() == "rt.micro_batches") {
      evaluator.globals.at("rt.micro_batches").floats = {1};
    } else if (global.getSymName().starts_with("rt.")) {
      // A learning rate, moments and the like: any number between 0 and 1.
      evaluator.globals.at(global.getSymName().str()) =
          randomTensor(global.getTensorType(), 0, 1, random);
    }
  }
  for (auto function : module.getOps<func::FuncOp>()) {
    Tensors arguments;
    for (Type type : function.getArgumentTypes()) {
      bool isFloat = isa<FloatType>(cast<RankedTensorType>(type).getElementType());
      arguments.push_back(randomTensor(cast<RankedTensorType>(type), isFloat ? -2 : 0, 2, random));
    }
    std::string name = function.getName().str();
    all.push_back({name, evaluator.run(name, arguments)});
  }
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() != GlobalRole::constant) {
      all.push_back({global.getSymName().str(), {evaluator.globals.at(global.getSymName().str())}});
    }
  }
  return all;
}

TEST_P(Copies, SameBits) {
  OwningOpRef<ModuleOp> none = with("none");
  ASSERT_EQ(countOf(*none, "dsc.after"), 0);
  ASSERT_TRUE(succeeded(run(*none, {Phase::Fusion})));
  auto expected = results(*none);
  for (StringRef setting : {"cheap", "full", "1KiB"}) {
    OwningOpRef<ModuleOp> module = with(setting);
    EXPECT_GT(countOf(*module, "dsc.after"), 0) << setting.str();
    ASSERT_TRUE(succeeded(run(*module, {Phase::Fusion})));
    auto found = results(*module);
    ASSERT_EQ(expected.size(), found.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(expected[i].first, found[i].first);
      ASSERT_EQ(expected[i].second.size(), found[i].second.size());
      for (auto [a, b] : llvm::zip_equal(expected[i].second, found[i].second)) {
        EXPECT_EQ(a.floats, b.floats) << setting.str() << ": " << expected[i].first;
        EXPECT_EQ(a.integers, b.integers) << setting.str() << ": " << expected[i].first;
      }
    }
  }
}

/// A copy never shares a kernel with its original: forward would have to keep its result.
TEST_P(Copies, StayBehindWhatTheyWaitFor) {
  OwningOpRef<ModuleOp> module = with("full");
  ASSERT_TRUE(succeeded(run(*module, {Phase::Fusion})));
  for (auto function : module->getOps<func::FuncOp>()) {
    for (auto after : function.getOps<AfterOp>()) {
      for (Operation *user : after.getY().getUsers()) {
        EXPECT_TRUE(after.getEvent().getDefiningOp()->isBeforeInBlock(user));
      }
    }
  }
}

TEST(RecomputeOption, Texts) {
  EXPECT_EQ(parseBytes("800MiB"), 838860800);
  EXPECT_EQ(parseBytes("1.5GiB"), 1610612736);
  EXPECT_EQ(parseBytes("2GB"), 2000000000);
  EXPECT_EQ(parseBytes("4096"), 4096);
  for (StringRef wrong : {"", "MiB", "-1", "0", "12 parsecs", "1e400", "nan", "99999999999TiB"}) {
    EXPECT_EQ(parseBytes(wrong), std::nullopt) << wrong.str();
  }
  EXPECT_EQ(parseRecompute("auto:1KiB")->bound, 1024);
  EXPECT_EQ(parseRecompute("auto")->kind, RecomputeMode::automatic);
  EXPECT_EQ(parseRecompute("full")->kind, RecomputeMode::full);
  EXPECT_FALSE(parseRecompute("some"));
}

INSTANTIATE_TEST_SUITE_P(Models, Copies,
                         testing::Values("gpt.mlir", "gpt-accumulated.mlir", "mlp.mlir"),
                         [](const auto &info) {
                           std::string name = info.param;
                           return name.substr(0, name.find('.')) == "gpt-accumulated"
                                      ? "gptAccumulated"
                                      : name.substr(0, name.find('.'));
                         });
