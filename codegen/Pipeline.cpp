// Phases 9 and 10, and machine code.

#include "codegen/Pipeline.h"

#include "codegen/HostProgram.h"
#include "codegen/Manifest.h"
#include "codegen/OutlineKernels.h"
#include "codegen/cpu/EmitObject.h"
#include "codegen/cpu/LowerToLlvm.h"
#include "codegen/cuda/CudaToolkit.h"
#include "codegen/cuda/DeviceProgram.h"
#include "codegen/cuda/EmitPtx.h"
#include "codegen/cuda/LowerToNvvm.h"
#include "codegen/cuda/StartKernels.h"
#include "ir/Options.h"
#include "ir/Phase.h"
#include "ir/Target.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace dsc;

void dsc::registerCodegenDialects(DialectRegistry &registry) {
  registry.insert<LLVM::LLVMDialect>();
  registerKernelDialects(registry);
  registerObjectDialects(registry);
  cuda::registerKernelDialects(registry);
  cuda::registerPtxDialects(registry);
}

static bool isCuda(ModuleOp module) { return targetOf(module)->kind() == "cuda"; }

/// The processor that `module`'s options ask for. Beside a GPU it only launches: any that runs the
/// libraries will do.
static FailureOr<CpuTarget> processorOf(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return failure();
  }
  llvm::Expected<CpuTarget> target =
      CpuTarget::from(isCuda(module) ? "x86-64-v3" : StringRef(options->cpu));
  if (!target) {
    return module.emitError() << llvm::toString(target.takeError());
  }
  return *target;
}

/// A launch in place of `kernel`, with its operands, results and slots.
static LogicalResult replaceByLaunch(KernelOp kernel, ArrayRef<KernelLaunch> launches) {
  int64_t chunks = kernel.getOwnedChunks();
  if (chunks && !isCuda(kernel->getParentOfType<ModuleOp>()) &&
      (launches.size() != 1 || launches[0].units != chunks)) {
    return kernel.emitError("runs over its own of ")
           << chunks << " chunks and is scheduled in " << launches.size() << " functions of "
           << (launches.empty() ? 0 : launches[0].units) << " units";
  }
  OpBuilder b(kernel);
  SmallVector<Attribute> symbols;
  SmallVector<int64_t> units, grains;
  for (const KernelLaunch &launch : launches) {
    symbols.push_back(FlatSymbolRefAttr::get(b.getContext(), launch.symbol));
    units.push_back(launch.units);
    grains.push_back(launch.grain);
  }
  auto launch =
      b.create<LaunchOp>(kernel.getLoc(), kernel.getResultTypes(), b.getArrayAttr(symbols),
                         kernel.getInputs(), units, grains, chunks);
  for (StringRef name : {"dsc.slots", "dsc.scratch"}) {
    if (Attribute attribute = kernel->getAttr(name)) {
      launch->setAttr(name, attribute);
    }
  }
  kernel.replaceAllUsesWith(launch.getResults());
  kernel.erase();
  return success();
}

LogicalResult dsc::runKernelsPhase(ModuleOp module) {
  FailureOr<KernelTable> table = buildKernels(module);
  if (failed(table)) {
    return failure();
  }
  for (func::FuncOp entry : entriesOf(module)) {
    for (auto kernel : llvm::to_vector(entry.getOps<KernelOp>())) {
      if (failed(replaceByLaunch(kernel, table->launches(kernel)))) {
        return failure();
      }
    }
  }
  if (isCuda(module)) {
    cuda::addStartKernels(module);
  }
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  FailureOr<CpuTarget> processor = processorOf(module);
  if (failed(options) || failed(processor)) {
    return failure();
  }
  std::string features = isCuda(module) ? options->arch : processor->describe();
  module->setAttr("dsc.target_features", StringAttr::get(module.getContext(), features));
  return attachManifest(module);
}

LogicalResult dsc::runDevicePhase(ModuleOp module) {
  if (failed(isCuda(module) ? cuda::lowerKernelsToNvvm(module) : lowerKernelsToLlvm(module))) {
    return failure();
  }
  return lowerEntries(module);
}

FailureOr<std::string> dsc::emitDeviceText(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return failure();
  }
  if (!isCuda(module)) {
    return module.emitError("only programs for CUDA have PTX; compile with --target=cuda");
  }
  return cuda::emitPtx(module, options->arch);
}

/// Compiles the kernels of a program for CUDA and puts their images into it.
static LogicalResult addImages(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return failure();
  }
  FailureOr<std::vector<cuda::Image>> images = cuda::compileImages(module, options->arch);
  if (failed(images)) {
    return failure();
  }
  if (llvm::any_of(*images, [](const cuda::Image &image) { return image.cubin.bytes.empty(); })) {
    emitWarning(module.getLoc())
        << "neither nvJitLink nor ptxas is found; the driver will compile the kernels at each "
           "start ("
        << cuda::toolkitHint() << ")";
  }
  cuda::defineImages(module, *images);
  return success();
}

FailureOr<std::vector<std::string>> dsc::emitProgram(ModuleOp module) {
  FailureOr<CpuTarget> processor = processorOf(module);
  if (failed(processor) || (isCuda(module) && failed(addImages(module)))) {
    return failure();
  }
  return emitObjects(module, *processor);
}
