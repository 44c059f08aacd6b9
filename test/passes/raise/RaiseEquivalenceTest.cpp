// The raise phase changes no result: every function of the lit cases beside this file, positive or
// negative, is evaluated before and after the whole phase, in f64, on random arguments.

#include "passes/Passes.h"
#include "passes/Pipeline.h"
#include "test/passes/autodiff/FunctionEvaluator.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

/// The cases are written in f32; in f64 a difference is a wrong rewrite, not a rounding.
static std::string inDouble(std::string text) {
  auto replaceAll = [&](const std::string &from, const std::string &to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
  };
  replaceAll("xf32>", "xf64>");
  replaceAll("<f32>", "<f64>");
  replaceAll("0xFF800000", "0xFFF0000000000000");
  return text;
}

static std::vector<std::string> caseFiles() {
  std::vector<std::string> files;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator at(DSC_RAISE_CASES, error), end; at != end && !error;
       at.increment(error)) {
    if (llvm::sys::path::extension(at->path()) == ".mlir") {
      files.push_back(llvm::sys::path::stem(at->path()).str());
    }
  }
  llvm::sort(files);
  return files;
}

/// Floats in [-2, 2), labels 0 or 1. Masks hide every second key and never the first: where numbers
/// hide all keys of a row, its log-sum-exp cannot tell how many there are.
static EvaluatedTensor argumentOf(RankedTensorType type, std::mt19937 &random) {
  EvaluatedTensor tensor =
      randomTensor(type, isa<FloatType>(type.getElementType()) ? -2 : 0, 2, random);
  int64_t keys = type.getRank() ? type.getShape().back() : 1;
  if (type.getElementType().isInteger(1)) {
    for (int64_t i = 0; i < tensor.size(); ++i) {
      tensor.integers[i] = i % keys % 2 == 0;
    }
  }
  return tensor;
}

namespace {
struct RaiseEquivalence : testing::TestWithParam<std::string> {};
} // namespace

/// One module of a file: before and after raise, products with padded classes and every group of
/// products merged besides.
static void checkModule(const std::string &text) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> before = parseSourceString<ModuleOp>(inDouble(text), &context);
  ASSERT_TRUE(before);
  OwningOpRef<ModuleOp> after = before->clone();
  PassManager manager(&context);
  buildPhasePipeline(manager, Phase::Raise);
  MergeProductsOptions merging;
  merging.all = true;
  manager.addPass(createMergeProducts(merging));
  PadProductsOptions padding;
  padding.alignment = 8;
  manager.addPass(createPadProducts(padding));
  ASSERT_TRUE(succeeded(manager.run(*after)));

  FunctionEvaluator original(*before), raised(*after);
  std::mt19937 random(1);
  for (auto global : before->getOps<GlobalOp>()) {
    if (!global.getValue()) {
      EvaluatedTensor value = randomTensor(global.getTensorType(), -2, 2, random);
      original.globals.at(global.getSymName().str()) = value;
      raised.globals.at(global.getSymName().str()) = value;
    }
  }
  for (auto function : before->getOps<func::FuncOp>()) {
    if (function.walk([](RandomOp) { return WalkResult::interrupt(); }).wasInterrupted()) {
      continue; // drawn by the runtime only
    }
    Tensors arguments;
    for (Type type : function.getArgumentTypes()) {
      arguments.push_back(argumentOf(cast<RankedTensorType>(type), random));
    }
    Tensors expected = original.run(function.getName(), arguments),
            found = raised.run(function.getName(), arguments);
    ASSERT_EQ(expected.size(), found.size());
    for (auto [a, b] : llvm::zip_equal(expected, found)) {
      ASSERT_EQ(a.type, b.type);
      for (auto [x, y] : llvm::zip_equal(a.floats, b.floats)) {
        // Constants of the cases have the eight digits that exporters write.
        ASSERT_NEAR(x, y, 1e-6 * std::max(1.0, std::abs(x))) << "in @" << function.getName().str();
      }
    }
  }
}

TEST_P(RaiseEquivalence, ResultsStay) {
  auto buffer = llvm::MemoryBuffer::getFile(DSC_RAISE_CASES "/" + GetParam() + ".mlir");
  ASSERT_TRUE(buffer);
  SmallVector<StringRef> modules;
  (*buffer)->getBuffer().split(modules, "// -----\n");
  for (StringRef text : modules) {
    checkModule(text.str());
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, RaiseEquivalence, testing::ValuesIn(caseFiles()),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
