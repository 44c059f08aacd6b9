// mlir-opt with the dsc dialect and passes, for tests and for reading one pass at a time.

#include "codegen/KernelPasses.h"
#include "ir/Dialect.h"
#include "passes/Passes.h"
#include "passes/Pipeline.h"
#include "passes/recompute/Passes.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

/// Each phase as one pass pipeline: --dsc-phase-raise and so on.
static void registerPhases() {
  for (const dsc::PhaseInfo &info : dsc::allPhases()) {
    dsc::Phase phase = info.phase;
    auto build = [phase](mlir::OpPassManager &manager, llvm::StringRef,
                         llvm::function_ref<mlir::LogicalResult(const llvm::Twine &)>) {
      dsc::buildPhasePipeline(manager, phase);
      return mlir::success();
    };
    mlir::registerPassPipeline(("dsc-phase-" + info.name).str(), info.guarantee, build,
                               [](llvm::function_ref<void(const mlir::detail::PassOptions &)>) {});
  }
}

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  dsc::registerDscPasses();
  dsc::registerDscRecomputePasses();
  dsc::registerKernelPasses();
  registerPhases();
  registry.insert<dsc::DscDialect, mlir::func::FuncDialect>();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "dsc optimizer driver\n", registry));
}
