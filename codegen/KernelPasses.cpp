// Kernel functions beside their kernels, and the same in the LLVM dialect.

#include "codegen/KernelPasses.h"

#include "codegen/OutlineKernels.h"
#include "codegen/cpu/LowerToLlvm.h"
#include "codegen/cuda/LowerToNvvm.h"
#include "ir/Target.h"

#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace dsc;

namespace {

class BuildKernels : public PassWrapper<BuildKernels, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BuildKernels)

  StringRef getArgument() const override { return "dsc-build-kernels"; }
  StringRef getDescription() const override {
    return "Add the functions of each distinct dsc.kernel to the module";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registerKernelDialects(registry);
    cuda::registerKernelDialects(registry);
  }
  void runOnOperation() override {
    if (failed(buildKernels(getOperation()))) {
      signalPassFailure();
    }
  }
};

class LowerKernels : public PassWrapper<LowerKernels, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerKernels)

  StringRef getArgument() const override { return "dsc-lower-kernels"; }
  StringRef getDescription() const override {
    return "Lower kernel functions to the LLVM dialect and give them C entries";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registerKernelDialects(registry);
    cuda::registerKernelDialects(registry);
  }
  void runOnOperation() override {
    bool isCuda = targetOf(getOperation())->kind() == "cuda";
    if (failed(isCuda ? cuda::lowerKernelsToNvvm(getOperation())
                      : lowerKernelsToLlvm(getOperation()))) {
      signalPassFailure();
    }
  }
};

} // namespace

void dsc::registerKernelPasses() {
  PassRegistration<BuildKernels>();
  PassRegistration<LowerKernels>();
}
