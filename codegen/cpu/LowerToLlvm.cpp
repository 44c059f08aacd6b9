// Conversion of kernels to the LLVM dialect: structured loops to branches, then everything else in
// one conversion.

#include "codegen/cpu/LowerToLlvm.h"

#include "codegen/HostProgram.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/DialectConversion.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace dsc;

void dsc::registerKernelDialects(DialectRegistry &registry) {
  registry
      .insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect, LLVM::LLVMDialect,
              math::MathDialect, memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
}

bool dsc::isKernelSymbol(StringRef name) { return name.starts_with("kernel_"); }

namespace {

/// One module of kernels and nothing else, so that several can be lowered at a time.
class LowerKernels : public PassWrapper<LowerKernels, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerKernels)

  StringRef getArgument() const override { return "dsc-lower-kernels-to-llvm"; }
  StringRef getDescription() const override { return "Lower kernel functions to the LLVM dialect"; }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    MLIRContext *context = &getContext();
    {
      RewritePatternSet patterns(context);
      populateSCFToControlFlowConversionPatterns(patterns);
      ConversionTarget target(*context);
      target.addIllegalDialect<scf::SCFDialect>();
      target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
      if (failed(applyPartialConversion(module, target, std::move(patterns)))) {
        return signalPassFailure();
      }
    }
    LowerToLLVMOptions options(context);
    options.useBarePtrCallConv = true;
    LLVMTypeConverter converter(context, options);
    RewritePatternSet patterns(context);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalOp<ModuleOp>();
    if (failed(applyFullConversion(module, target, std::move(patterns)))) {
      return signalPassFailure();
    }
  }
};

} // namespace

/// The function with the C ABI that unpacks the addresses for `body`.
static void addEntry(LLVM::LLVMFuncOp body) {
  OpBuilder builder(body.getContext());
  builder.setInsertionPointAfter(body);
  Location loc = body.getLoc();
  body.setLinkage(LLVM::Linkage::Internal);
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Type i64 = builder.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()),
                                          {pointer, i64, i64});
  auto entry = builder.create<LLVM::LLVMFuncOp>(loc, kernelEntryName(body.getSymName()), type);
  entry.setVisibility_(LLVM::Visibility::Hidden);
  Block *block = entry.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  SmallVector<Value> arguments;
  for (unsigned i = 0, n = body.getNumArguments() - 2; i < n; ++i) {
    Value place = builder.create<LLVM::GEPOp>(loc, pointer, pointer, block->getArgument(0),
                                              ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
    arguments.push_back(builder.create<LLVM::LoadOp>(loc, pointer, place));
  }
  arguments.append({block->getArgument(1), block->getArgument(2)});
  builder.create<LLVM::CallOp>(loc, body, arguments);
  builder.create<LLVM::ReturnOp>(loc, ValueRange());
}

LogicalResult dsc::lowerKernelsToLlvm(ModuleOp module) {
  MLIRContext *context = module.getContext();
  // Kernels move to modules of their own, one a thread, and back once lowered.
  size_t parts = context->isMultithreadingEnabled() ? std::max(1u, context->getNumThreads()) : 1;
  OwningOpRef<ModuleOp> holder = ModuleOp::create(module.getLoc());
  SmallVector<ModuleOp> modules;
  SmallVector<size_t> sizes(parts, 0);
  OpBuilder builder = OpBuilder::atBlockEnd(holder->getBody());
  for (size_t i = 0; i < parts; ++i) {
    modules.push_back(builder.create<ModuleOp>(module.getLoc()));
  }
  SmallVector<func::FuncOp> declarations;
  SmallVector<std::string> names;
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
    if (function.isExternal()) {
      declarations.push_back(function);
      continue;
    }
    if (!isKernelSymbol(function.getSymName())) {
      continue;
    }
    size_t least = std::min_element(sizes.begin(), sizes.end()) - sizes.begin(), ops = 0;
    function.walk([&](Operation *) { ++ops; });
    sizes[least] += ops;
    names.push_back(function.getSymName().str());
    function->moveBefore(modules[least].getBody(), modules[least].getBody()->end());
  }
  for (func::FuncOp declaration : declarations) {
    for (ModuleOp part : modules) {
      builder.setInsertionPointToStart(part.getBody());
      builder.clone(*declaration);
    }
    declaration.erase();
  }
  PassManager manager(context);
  manager.enableVerifier(false);
  manager.nest<ModuleOp>().addPass(std::make_unique<LowerKernels>());
  manager.nest<ModuleOp>().addPass(createReconcileUnrealizedCastsPass());
  if (failed(manager.run(*holder))) {
    return failure();
  }
  // Back in their old order, which the number of threads must not change.
  llvm::StringMap<LLVM::LLVMFuncOp> lowered;
  for (ModuleOp part : modules) {
    for (auto function : llvm::make_early_inc_range(part.getOps<LLVM::LLVMFuncOp>())) {
      if (!function.isExternal()) {
        lowered[function.getSymName()] = function;
      } else if (!module.lookupSymbol(function.getSymName())) {
        function->moveBefore(module.getBody(), module.getBody()->end());
      }
    }
  }
  for (const std::string &name : names) {
    LLVM::LLVMFuncOp function = lowered.lookup(name);
    function->moveBefore(module.getBody(), module.getBody()->end());
    addEntry(function);
  }
  return success();
}
