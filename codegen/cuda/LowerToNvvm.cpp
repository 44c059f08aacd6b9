// Conversion of kernels to the LLVM and NVVM dialects. Functions of the math dialect are lowered
// before the rest: the conversion of gpu ops would make calls of libdevice of them.

#include "codegen/cuda/LowerToNvvm.h"

#include "codegen/cuda/KernelFunction.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace dsc;

void cuda::registerKernelDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect, gpu::GPUDialect,
                  LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, NVVM::NVVMDialect,
                  scf::SCFDialect, vector::VectorDialect>();
}

namespace {

/// Everything but math, which is in the LLVM dialect already, in one conversion.
class LowerKernels : public PassWrapper<LowerKernels, OperationPass<gpu::GPUModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerKernels)

  explicit LowerKernels(unsigned indexWidth) : indexWidth(indexWidth) {}

  StringRef getArgument() const override { return "dsc-lower-kernels-to-nvvm"; }
  StringRef getDescription() const override {
    return "Lower kernel functions to the LLVM and NVVM dialects";
  }

  void runOnOperation() override {
    MLIRContext *context = &getContext();
    LowerToLLVMOptions options(context);
    options.useBarePtrCallConv = true;
    options.overrideIndexBitwidth(indexWidth);
    LLVMTypeConverter converter(context, options);
    RewritePatternSet patterns(context);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns);
    populateGpuToNVVMConversionPatterns(converter, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalDialect<NVVM::NVVMDialect>();
    target.addLegalOp<gpu::GPUModuleOp, gpu::ModuleEndOp>();
    if (failed(applyFullConversion(getOperation(), target, std::move(patterns)))) {
      signalPassFailure();
    }
  }

private:
  unsigned indexWidth;
};

} // namespace

static LogicalResult lower(gpu::GPUModuleOp kernels, unsigned indexWidth) {
  PassManager manager(kernels.getContext(), gpu::GPUModuleOp::getOperationName());
  manager.enableVerifier(false);
  manager.addPass(createConvertSCFToCFPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(std::make_unique<LowerKernels>(indexWidth));
  manager.addPass(createReconcileUnrealizedCastsPass());
  return manager.run(kernels);
}

LogicalResult cuda::lowerKernelsToNvvm(ModuleOp module) {
  for (auto kernels : llvm::to_vector(module.getOps<gpu::GPUModuleOp>())) {
    if (failed(lower(kernels, kernels.getName() == kWideKernelModule ? 64 : 32))) {
      return failure();
    }
  }
  return success();
}
