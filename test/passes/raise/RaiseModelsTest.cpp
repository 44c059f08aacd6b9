// The raise phase on real exports (test/e2e/models): it changes no result, and finds every
// attention, norm and GELU that the model's source has, whichever exporter and options wrote the
// file. Weights are random; what is compared is the model before and after the phase.

#include "frontend/Frontend.h"
#include "passes/Passes.h"
#include "passes/Pipeline.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

namespace {
struct RaiseModels : testing::TestWithParam<std::string> {
  MLIRContext context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> before, after;

  void SetUp() override {
    context.loadDialect<DscDialect, func::FuncDialect>();
    // A file that the importer refuses is the frontend's business.
    ScopedDiagnosticHandler silent(&context, [](Diagnostic &) { return success(); });
    ImportOptions options;
    options.path = DSC_MODELS "/" + GetParam() + ".onnx";
    if (StringRef(GetParam()).contains("dynamic")) {
      options.dims["batch"] = 2;
      if (StringRef(GetParam()).contains("gpt") || StringRef(GetParam()).contains("bert")) {
        options.dims["seq"] = 8;
      }
    }
    FailureOr<ImportedModel> imported = importModel(context, options);
    if (failed(imported)) {
      GTEST_SKIP() << "not imported";
    }
    before = std::move(imported->module);
    after = before->clone();
    PassManager manager(&context);
    buildPhasePipeline(manager, Phase::Raise);
    ASSERT_TRUE(succeeded(manager.run(*after)));
  }

  template <typename OpT> int64_t count(StringRef function) {
    int64_t found = 0;
    after->lookupSymbol<func::FuncOp>(function).walk([&](OpT) { ++found; });
    return found;
  }
};
/// Models with attention and an open batch.
struct DynamicModels : RaiseModels {};
} // namespace

static std::vector<std::string> modelNames() {
  std::vector<std::string> names;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator at(DSC_MODELS, error), end; at != end && !error;
       at.increment(error)) {
    if (llvm::sys::path::extension(at->path()) == ".onnx") {
      names.push_back(llvm::sys::path::stem(at->path()).str());
    }
  }
  llvm::sort(names);
  return names;
}

static std::vector<std::string> dynamicModelNames() {
  std::vector<std::string> names = modelNames();
  llvm::erase_if(names, [](StringRef name) {
    return !name.contains("dynamic") || !(name.contains("gpt") || name.contains("bert"));
  });
  return names;
}

static std::string testName(const testing::TestParamInfo<std::string> &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// Weights small enough that activations stay near 1; statistics of batch norms positive.
static EvaluatedTensor initialValue(GlobalOp global, std::mt19937 &random) {
  bool buffer = global.getRole() == GlobalRole::buffer;
  return randomTensor(global.getTensorType(), buffer ? 0.5 : -0.5, buffer ? 1.5 : 0.5, random);
}

/// Numbers in [-1, 1); token ids 0 or 1, and the same as a padding mask whose first position is
/// never hidden.
static EvaluatedTensor argumentOf(RankedTensorType type, std::mt19937 &random) {
  EvaluatedTensor tensor = randomTensor(type, isa<FloatType>(type.getElementType()) ? -1 : 0,
                                        isa<FloatType>(type.getElementType()) ? 1 : 2, random);
  int64_t length = type.getRank() ? type.getShape().back() : 1;
  for (int64_t i = 0; i < static_cast<int64_t>(tensor.integers.size()); i += length) {
    tensor.integers[i] = 1;
  }
  return tensor;
}

/// As on a machine that likes other widths: classifiers and language models with padded classes.
TEST_P(RaiseModels, ResultsStay) {
  PassManager manager(&context);
  PadProductsOptions padding;
  padding.alignment = 8;
  manager.addPass(createPadProducts(padding));
  ASSERT_TRUE(succeeded(manager.run(*after)));
  FunctionEvaluator original(*before), raised(*after);
  std::mt19937 random(1);
  for (auto global : before->getOps<GlobalOp>()) {
    if (!global.getValue()) {
      EvaluatedTensor value = initialValue(global, random);
      original.globals.at(global.getSymName().str()) = value;
      raised.globals.at(global.getSymName().str()) = value;
    }
  }
  for (StringRef name : {"forward", "inference"}) {
    auto function = before->lookupSymbol<func::FuncOp>(name);
    if (function.walk([](RandomOp) { return WalkResult::interrupt(); }).wasInterrupted()) {
      continue; // drawn by the runtime only
    }
    Tensors arguments;
    for (Type type : function.getArgumentTypes()) {
      arguments.push_back(argumentOf(cast<RankedTensorType>(type), random));
    }
    Tensors expected = original.run(name, arguments), found = raised.run(name, arguments);
    ASSERT_EQ(expected.size(), found.size());
    for (auto [a, b] : llvm::zip_equal(expected, found)) {
      double scale = 1;
      for (double x : a.floats) {
        scale = std::max(scale, std::abs(x));
      }
      for (auto [x, y] : llvm::zip_equal(a.floats, b.floats)) {
        // f32 through two blocks: the written bound with length 128 and 16 steps.
        ASSERT_NEAR(x, y, 1e-4 * scale) << "in @" << name.str();
      }
    }
  }
}

TEST_P(RaiseModels, FindsWhatTheSourceHas) {
  StringRef name = GetParam();
  bool gpt = name.starts_with("nanogpt") || name.starts_with("gpt2");
  for (StringRef function : {"forward", "inference"}) {
    if (gpt) { // two blocks, and the last norm
      EXPECT_EQ(count<AttentionOp>(function), 2);
      EXPECT_EQ(count<LayerNormOp>(function), 5);
      EXPECT_EQ(count<GeluOp>(function), 2);
      EXPECT_EQ(count<SoftmaxOp>(function), 0);
      EXPECT_EQ(count<TransposeOp>(function), 0);
      after->lookupSymbol<func::FuncOp>(function).walk([&](AttentionOp op) {
        EXPECT_EQ(op.getQkv().size(), 1u) << "q, k and v come from one projection";
        EXPECT_TRUE(op.getCausal() || op.getMask());
      });
    } else if (name.starts_with("bert") || name.starts_with("packed_projection")) {
      // One product for q, k and v: three layers that were merged, or what the file has as one.
      EXPECT_EQ(count<AttentionOp>(function), name.starts_with("bert") ? 2 : 1);
      // A MultiheadAttention turns batch and sequence at its two ends.
      EXPECT_EQ(count<TransposeOp>(function), name.starts_with("bert") ? 0 : 2);
      after->lookupSymbol<func::FuncOp>(function).walk(
          [&](AttentionOp op) { EXPECT_EQ(op.getQkv().size(), 1u); });
    } else if (name.starts_with("llama")) { // rotary embeddings stand between projection and q, k
      EXPECT_EQ(count<AttentionOp>(function), 2);
      EXPECT_EQ(count<RmsNormOp>(function), 5);
      after->lookupSymbol<func::FuncOp>(function).walk([&](AttentionOp op) {
        EXPECT_TRUE(op.getCausal());
        // The file repeats k and v for the heads that share them; attention sees the copies.
        EXPECT_EQ(op.getHeads(), 4u);
      });
    } else if (name.starts_with("mlp_mixer")) {
      EXPECT_EQ(count<LayerNormOp>(function), 1);
    } else if (name.starts_with("mlp-")) {
      EXPECT_EQ(count<GeluOp>(function), 1);
    } else if (name.starts_with("act_smooth")) {
      EXPECT_EQ(count<GeluOp>(function), 2);
    } else if (name.starts_with("relative_bias")) {
      EXPECT_EQ(count<AttentionOp>(function), 0) << "a trained bias has no gradient in attention";
    }
  }
}

/// Whatever the batch, what is found is the same, and no constant and no op of a mask is as large
/// as the batch: exporters compute masks for every sample.
TEST_P(DynamicModels, FindsTheSameInLargeBatches) {
  auto attentionsOf = [](ModuleOp module) {
    std::vector<AttentionOp> found;
    module.walk([&](AttentionOp op) { found.push_back(op); });
    return found;
  };
  std::vector<AttentionOp> small = attentionsOf(*after);
  for (int64_t batch : {1, 64, 512}) {
    for (int64_t length : {5, 8}) {
      ImportOptions options;
      options.path = DSC_MODELS "/" + GetParam() + ".onnx";
      options.dims["batch"] = batch;
      options.dims["seq"] = length;
      FailureOr<ImportedModel> imported = importModel(context, options);
      ASSERT_TRUE(succeeded(imported));
      for (auto global : imported->module->getOps<GlobalOp>()) {
        EXPECT_LT(global.getTensorType().getNumElements(), 64 * 16 * 16)
            << global.getSymName().str();
      }
      PassManager manager(&context);
      buildPhasePipeline(manager, Phase::Raise);
      ASSERT_TRUE(succeeded(manager.run(*imported->module)));
      std::vector<AttentionOp> large = attentionsOf(*imported->module);
      ASSERT_EQ(large.size(), small.size());
      for (auto [a, b] : llvm::zip_equal(small, large)) {
        EXPECT_EQ(a.getCausal(), b.getCausal()) << batch << " x " << length;
        EXPECT_EQ(bool(a.getMask()), bool(b.getMask())) << batch << " x " << length;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Exports, RaiseModels, testing::ValuesIn(modelNames()), testName);
INSTANTIATE_TEST_SUITE_P(Exports, DynamicModels, testing::ValuesIn(dynamicModelNames()), testName);
