// The fusion phase changes no result: every function of the lit cases beside this file, and every
// entry of the models in Inputs, is evaluated before and after the whole phase, in f64.

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

/// The cases are written in f32; in f64 a difference is a wrong kernel, not a rounding.
static std::string inDouble(std::string text) {
  for (auto [from, to] : {std::pair("xf32>", "xf64>"), std::pair("<f32>", "<f64>")}) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += strlen(to)) {
      text.replace(at, strlen(from), to);
    }
  }
  return text;
}

static std::vector<std::string> caseFiles() {
  std::vector<std::string> files;
  std::error_code error;
  for (const char *folder : {DSC_FUSION_CASES, DSC_FUSION_CASES "/Inputs"}) {
    for (llvm::sys::fs::directory_iterator at(folder, error), end; at != end && !error;
         at.increment(error)) {
      if (llvm::sys::path::extension(at->path()) == ".mlir") {
        files.push_back(at->path().substr(strlen(DSC_FUSION_CASES) + 1));
      }
    }
  }
  llvm::sort(files);
  return files;
}

namespace {
struct FusionEquivalence : testing::TestWithParam<std::string> {};
} // namespace

TEST_P(FusionEquivalence, ResultsStay) {
  auto buffer = llvm::MemoryBuffer::getFile(DSC_FUSION_CASES "/" + GetParam());
  ASSERT_TRUE(buffer);
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> before =
      parseSourceString<ModuleOp>(inDouble((*buffer)->getBuffer().str()), &context);
  ASSERT_TRUE(before);
  if (before->lookupSymbol("forward")) {
    PassManager manager(&context);
    buildPhasePipeline(manager, Phase::Autodiff);
    ASSERT_TRUE(succeeded(manager.run(*before)));
  }
  OwningOpRef<ModuleOp> after = before->clone();
  PassManager manager(&context);
  buildPhasePipeline(manager, Phase::Fusion);
  ASSERT_TRUE(succeeded(manager.run(*after)));

  FunctionEvaluator original(*before), fused(*after);
  std::mt19937 random(1);
  for (auto global : before->getOps<GlobalOp>()) {
    if (!global.getValue()) {
      EvaluatedTensor value = randomTensor(global.getTensorType(), -1, 1, random);
      original.globals.at(global.getSymName().str()) = value;
      fused.globals.at(global.getSymName().str()) = value;
    }
  }
  auto expectSame = [](const EvaluatedTensor &a, const EvaluatedTensor &b,
                       const std::string &where) {
    ASSERT_EQ(a.type, b.type) << where;
    ASSERT_EQ(a.integers, b.integers) << where;
    for (auto [x, y] : llvm::zip_equal(a.floats, b.floats)) {
      // Scalars of the optimizer and constants are f32.
      ASSERT_TRUE(std::abs(x - y) <= 1e-9 * std::max(1.0, std::abs(x)) || x == y ||
                  (std::isnan(x) && std::isnan(y)))
          << x << " and " << y << " in " << where;
    }
  };
  for (auto function : before->getOps<func::FuncOp>()) {
    std::string name = function.getName().str();
    Tensors arguments;
    for (Type type : function.getArgumentTypes()) {
      bool isFloat = isa<FloatType>(cast<RankedTensorType>(type).getElementType());
      arguments.push_back(randomTensor(cast<RankedTensorType>(type), isFloat ? -2 : 0, 2, random));
      arguments.back().roundToType();
    }
    Tensors expected = original.run(name, arguments), found = fused.run(name, arguments);
    ASSERT_EQ(expected.size(), found.size());
    for (auto [a, b] : llvm::zip_equal(expected, found)) {
      expectSame(a, b, "@" + name);
    }
    for (auto &[global, value] : original.globals) {
      expectSame(value, fused.globals.at(global), "global " + global + " after @" + name);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, FusionEquivalence, testing::ValuesIn(caseFiles()),
                         [](const auto &info) {
                           std::string name = info.param;
                           for (char &c : name) {
                             c = std::isalnum(c) ? c : '_';
                           }
                           return name;
                         });
