// The precision phase on real exports (test/e2e/models): elision changes no bit, and what is left
// of the casts in GPT-2's training step is known. The kernels of the step read and write half
// tensors.

#include "frontend/Frontend.h"
#include "passes/Passes.h"
#include "passes/Pipeline.h"
#include "passes/precision/Casts.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

namespace {
struct Exported : testing::Test {
  MLIRContext context{MLIRContext::Threading::DISABLED};

  void SetUp() override { context.loadDialect<DscDialect, func::FuncDialect>(); }

  /// The model after autodiff.
  OwningOpRef<ModuleOp> differentiated(StringRef name, StringRef precision) {
    ScopedDiagnosticHandler silent(&context, [](Diagnostic &) { return success(); });
    ImportOptions options;
    options.path = (DSC_MODELS "/" + name + ".onnx").str();
    options.options.precision = precision.str();
    options.options.loss = "cross-entropy";
    FailureOr<ImportedModel> imported = importModel(context, options);
    if (failed(imported)) {
      return nullptr;
    }
    OwningOpRef<ModuleOp> module = std::move(imported->module);
    (*module)->setAttr("dsc.options", options.options.toAttribute(&context));
    return run(*module, {Phase::Raise, Phase::Autodiff}) ? std::move(module) : nullptr;
  }

  bool run(ModuleOp module, ArrayRef<Phase> phases) {
    PassManager manager(&context);
    for (Phase phase : phases) {
      buildPhasePipeline(manager, phase);
    }
    return succeeded(manager.run(module));
  }

  Type half(ModuleOp module) { return halfTypeOf(&context, *CompileOptions::from(module)); }
};
struct PrecisionModels : Exported, testing::WithParamInterface<std::string> {};
struct Gpt2 : Exported {};

EvaluatedTensor argumentOf(RankedTensorType type, std::mt19937 &random) {
  bool isFloat = isa<FloatType>(type.getElementType());
  return randomTensor(type, isFloat ? -1 : 0, isFloat ? 1 : 2, random);
}

/// Values of `module`'s globals drawn by name, copies rounded as the runner does.
void fill(FunctionEvaluator &program, ModuleOp module) {
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getSource()) {
      std::mt19937 random(
          static_cast<unsigned>(std::hash<std::string>()(global.getSymName().str())));
      // Statistics are positive. What a file holds is f32: rounding twice is not rounding once.
      bool isBuffer = global.getRole() == GlobalRole::buffer;
      EvaluatedTensor value =
          randomTensor(global.getTensorType(), isBuffer ? 0.5 : -0.4, isBuffer ? 1.5 : 0.4, random);
      value.roundToType();
      program.globals.at(global.getSymName().str()) = value;
    }
  }
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() == GlobalRole::compute) {
      EvaluatedTensor &copy = program.globals.at(global.getSymName().str());
      copy.floats = program.read(global.getOfAttr().getAttr()).floats;
      copy.roundToType();
    }
  }
}
} // namespace

/// The naive form and what elision makes of it give the same bits: losses, norms and parameters of
/// two steps, and evaluation.
TEST_P(PrecisionModels, ElisionKeepsEveryBit) {
  for (StringRef precision : {"bf16", "fp16"}) {
    OwningOpRef<ModuleOp> module = differentiated(GetParam(), precision);
    ASSERT_TRUE(module);
    OwningOpRef<ModuleOp> elided = module->clone();
    PassManager naive(&context);
    naive.addPass(createInsertCasts());
    ASSERT_TRUE(succeeded(naive.run(*module)));
    ASSERT_TRUE(run(*elided, {Phase::Precision}));
    EXPECT_LT(countCasts(*elided, half(*elided)), countCasts(*module, half(*module)) / 4);

    FunctionEvaluator before(*module), after(*elided);
    fill(before, *module);
    fill(after, *elided);
    for (StringRef entry : {"last", "last", "eval"}) {
      auto function = module->lookupSymbol<func::FuncOp>(entry);
      std::mt19937 random(3);
      Tensors arguments;
      for (Type type : function.getArgumentTypes()) {
        arguments.push_back(argumentOf(cast<RankedTensorType>(type), random));
        arguments.back().roundToType();
      }
      Tensors expected = before.run(entry, arguments), found = after.run(entry, arguments);
      ASSERT_EQ(expected.size(), found.size());
      for (auto [i, pair] : llvm::enumerate(llvm::zip_equal(expected, found))) {
        auto [a, b] = pair;
        EXPECT_EQ(a.floats, b.floats) << entry.str() << " result " << i;
      }
      EXPECT_TRUE(entry == "eval" || std::isfinite(expected[0].floats[0]));
    }
    for (auto &[name, tensor] : before.globals) {
      EXPECT_EQ(tensor.floats, after.globals.at(name).floats) << name;
    }
  }
}

/// No cast reads a parameter, none a widened value, and no more are left than there are reasons
/// for.
TEST_P(PrecisionModels, NoCastOnWeightsNoneInPairs) {
  OwningOpRef<ModuleOp> module = differentiated(GetParam(), "bf16");
  ASSERT_TRUE(module && run(*module, {Phase::Precision}));
  Type type = half(*module);
  module->walk([&](CastOp op) {
    if (isNarrowing(op, type)) {
      EXPECT_FALSE(op.getX().getDefiningOp<GetGlobalOp>()) << "a weight is cast in the step";
    }
    if (auto inner = op.getX().getDefiningOp<CastOp>()) {
      EXPECT_FALSE(isWidening(inner, type)) << "a pair is left";
    }
  });
  auto casts = (*module)->getAttrOfType<DictionaryAttr>(kCastsAttr);
  ASSERT_TRUE(casts);
  EXPECT_EQ(cast<IntegerAttr>(casts.get("left")).getInt(), countCasts(*module, type));
}

INSTANTIATE_TEST_SUITE_P(Exports, PrecisionModels,
                         testing::Values("mlp-R20", "nanogpt-R20", "gpt2_sdpa-R20",
                                         "gpt2_eager-R20-fresh", "cnn-R20", "mlp_batchnorm-R20"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// The number of casts after elision, of 552. What is left: for each of the five layer norms x and
/// dy, read in f32 by the sums for gamma's gradient, dy by beta's, and the rounding of both
/// gradients (25); for each of the eight biases the sum's operand and its rounding (16); the same
/// for the position table's sum over the batch (2); and the logits that @eval returns (1).
TEST_F(Gpt2, CastsAfterElision) {
  OwningOpRef<ModuleOp> module = differentiated("gpt2_sdpa-R20", "bf16");
  ASSERT_TRUE(module && run(*module, {Phase::Precision}));
  EXPECT_EQ(countCasts(*module, half(*module)), 44);
}

/// In the step's forward and backward, what kernels and library calls pass to each other is half,
/// but for statistics: one number a row.
TEST_F(Gpt2, KernelsReadAndWriteHalfTensors) {
  OwningOpRef<ModuleOp> module = differentiated("gpt2_sdpa-R20", "bf16");
  ASSERT_TRUE(module && run(*module, {Phase::Precision, Phase::Fusion}));
  auto last = module->lookupSymbol<func::FuncOp>("last");
  int64_t largest = 0;
  for (Operation &op : last.getOps()) {
    if (isa<GradientsOp>(op)) {
      break;
    }
    if (!isa<KernelOp, MatmulOp, AttentionOp, AttentionGradOp>(op)) {
      continue;
    }
    for (Value result : op.getResults()) {
      auto type = cast<RankedTensorType>(result.getType());
      if (type.getElementType().isF32()) {
        largest = std::max(largest, type.getNumElements());
        EXPECT_LE(type.getNumElements(),
                  2 * 4 * 16) // attention's log-sum-exp: batch, heads, length
            << op.getName().getStringRef().str();
      }
    }
  }
  EXPECT_GT(largest, 0) << "statistics are f32";
}
