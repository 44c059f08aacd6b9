// Phases 9 and 10, and machine code.

#include "codegen/Pipeline.h"

#include "codegen/HostProgram.h"
#include "codegen/Manifest.h"
#include "codegen/OutlineKernels.h"
#include "codegen/cpu/EmitObject.h"
#include "codegen/cpu/LowerToLlvm.h"
#include "ir/Options.h"
#include "ir/Phase.h"
#include "ir/Target.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/Error.h"

using namespace mlir;
using namespace dsc;

void dsc::registerCodegenDialects(DialectRegistry &registry) {
  registry.insert<LLVM::LLVMDialect>();
  registerKernelDialects(registry);
  registerObjectDialects(registry);
}

/// The processor that `module`'s options ask for.
static FailureOr<CpuTarget> processorOf(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return failure();
  }
  llvm::Expected<CpuTarget> target = CpuTarget::from(options->cpu);
  if (!target) {
    return module.emitError() << llvm::toString(target.takeError());
  }
  return *target;
}

/// A launch in place of `kernel`, with its operands, results and slots.
static void replaceByLaunch(KernelOp kernel, ArrayRef<KernelLaunch> launches) {
  OpBuilder b(kernel);
  SmallVector<Attribute> symbols;
  SmallVector<int64_t> units, grains;
  for (const KernelLaunch &launch : launches) {
    symbols.push_back(FlatSymbolRefAttr::get(b.getContext(), launch.symbol));
    units.push_back(launch.units);
    grains.push_back(launch.grain);
  }
  auto launch = b.create<LaunchOp>(kernel.getLoc(), kernel.getResultTypes(),
                                   b.getArrayAttr(symbols), kernel.getInputs(), units, grains);
  for (StringRef name : {"dsc.slots", "dsc.scratch"}) {
    if (Attribute attribute = kernel->getAttr(name)) {
      launch->setAttr(name, attribute);
    }
  }
  kernel.replaceAllUsesWith(launch.getResults());
  kernel.erase();
}

LogicalResult dsc::runKernelsPhase(ModuleOp module) {
  if (dsc::targetOf(module)->kind() != "cpu") {
    return module.emitError("kernels for the CUDA target are not generated yet");
  }
  FailureOr<KernelTable> table = buildKernels(module);
  if (failed(table)) {
    return failure();
  }
  for (func::FuncOp entry : entriesOf(module)) {
    for (auto kernel : llvm::to_vector(entry.getOps<KernelOp>())) {
      replaceByLaunch(kernel, table->launches(kernel));
    }
  }
  FailureOr<CpuTarget> target = processorOf(module);
  if (failed(target)) {
    return failure();
  }
  module->setAttr("dsc.cpu_features", StringAttr::get(module.getContext(), target->describe()));
  return attachManifest(module);
}

LogicalResult dsc::runDevicePhase(ModuleOp module) {
  if (failed(lowerKernelsToLlvm(module))) {
    return failure();
  }
  return lowerEntries(module);
}

FailureOr<std::vector<std::string>> dsc::emitProgram(ModuleOp module) {
  FailureOr<CpuTarget> target = processorOf(module);
  if (failed(target)) {
    return failure();
  }
  return emitObjects(module, *target);
}
