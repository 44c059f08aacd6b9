// Translation to LLVM IR, libdevice, optimisation, PTX and machine code. Kernels are dealt to
// parts, each compiled on a thread from LLVM IR to the end.

#include "codegen/cuda/EmitPtx.h"

#include "codegen/cuda/CudaToolkit.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/Internalize.h"

using namespace mlir;
using namespace dsc;

// Parts that kernels are dealt to: the same everywhere, so that an executable's bytes do not depend
// on the machine that made it.
static constexpr size_t kParts = 8;

static constexpr const char *kTriple = "nvptx64-nvidia-cuda";
// The newest that LLVM 19 writes; drivers of CUDA 12.5 and newer read it.
static constexpr const char *kPtxVersion = "+ptx85";

namespace {
struct Part {
  OwningOpRef<gpu::GPUModuleOp> kernels;
  size_t size = 0;
  cuda::Image image;
  std::string error;
};
} // namespace

void cuda::registerPtxDialects(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

/// Deals kernels to parts, each with the shared memory and the functions that it names.
static std::vector<Part> split(ModuleOp module) {
  std::vector<Part> parts(kParts);
  OpBuilder builder(module.getContext());
  for (auto [i, part] : llvm::enumerate(parts)) {
    part.kernels = builder.create<gpu::GPUModuleOp>(module.getLoc(), "part_" + std::to_string(i));
  }
  for (auto kernels : module.getOps<gpu::GPUModuleOp>()) {
    SymbolTable symbols(kernels);
    for (auto kernel : kernels.getOps<LLVM::LLVMFuncOp>()) {
      if (kernel.isExternal()) {
        continue;
      }
      Part &part = *std::min_element(parts.begin(), parts.end(),
                                     [](const Part &a, const Part &b) { return a.size < b.size; });
      gpu::GPUModuleOp target = *part.kernels;
      builder.setInsertionPoint(target.getBody()->getTerminator());
      auto need = [&](StringRef name) {
        if (Operation *named = symbols.lookup(name); named && !target.lookupSymbol(name)) {
          builder.clone(*named);
        }
      };
      kernel.walk([&](Operation *op) {
        ++part.size;
        if (auto call = dyn_cast<LLVM::CallOp>(op); call && call.getCallee()) {
          need(*call.getCallee());
        } else if (auto address = dyn_cast<LLVM::AddressOfOp>(op)) {
          need(address.getGlobalName());
        }
      });
      builder.clone(*kernel);
    }
  }
  llvm::erase_if(parts, [](Part &part) { return part.size == 0; });
  return parts;
}

/// Links the functions of libdevice that `module` calls; they become its own.
static std::string linkLibdevice(llvm::Module &module, llvm::MemoryBufferRef libdevice) {
  auto library = llvm::getLazyBitcodeModule(libdevice, module.getContext());
  if (!library) {
    return "cannot read libdevice: " + llvm::toString(library.takeError());
  }
  (*library)->setTargetTriple(module.getTargetTriple());
  (*library)->setDataLayout(module.getDataLayout());
  bool failed = llvm::Linker::linkModules(
      module, std::move(*library), llvm::Linker::LinkOnlyNeeded,
      [](llvm::Module &linked, const llvm::StringSet<> &names) {
        llvm::internalizeModule(linked, [&](const llvm::GlobalValue &value) {
          return !value.hasName() || !names.count(value.getName());
        });
      });
  return failed ? "cannot link libdevice" : "";
}

static void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.SLPVectorization = false;
  tuning.LoopVectorization = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

static void compileToPtx(Part &part, size_t number, StringRef arch,
                         std::optional<llvm::MemoryBufferRef> libdevice) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(*part.kernels, context, "kernels");
  if (!module) {
    part.error = "translation to LLVM IR failed";
    return;
  }
  std::string error;
  const llvm::Target *description = llvm::TargetRegistry::lookupTarget(kTriple, error);
  if (!description) {
    part.error = error;
    return;
  }
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(
      description->createTargetMachine(kTriple, arch, kPtxVersion, options, std::nullopt,
                                       std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  module->setTargetTriple(kTriple);
  module->setDataLayout(machine->createDataLayout());
  bool needsLibdevice = llvm::any_of(*module, [](const llvm::Function &function) {
    return function.isDeclaration() && function.getName().starts_with("__nv_");
  });
  if (needsLibdevice) {
    part.error = libdevice ? linkLibdevice(*module, *libdevice)
                           : "libdevice.10.bc is not found; " + cuda::toolkitHint();
    if (!part.error.empty()) {
      return;
    }
    // A flag that libdevice's functions read: subnormal numbers are kept.
    module->addModuleFlag(llvm::Module::Override, "nvvm-reflect-ftz", 0u);
  }
  // Parts' texts can be joined: what is private to a part has its number.
  for (llvm::GlobalValue &value : module->global_values()) {
    if (value.hasLocalLinkage() && value.hasName()) {
      value.setName(value.getName() + "_part" + std::to_string(number));
    }
  }
  optimise(*module, *machine);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream os(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, os, nullptr, llvm::CodeGenFileType::AssemblyFile)) {
    part.error = "LLVM cannot write PTX for " + arch.str();
    return;
  }
  passes.run(*module);
  part.image.ptx = text.str().str();
}

/// The text behind a module's header, whose last line gives the size of addresses.
static StringRef behindHeader(StringRef ptx) {
  size_t at = ptx.find(".address_size");
  return at == StringRef::npos ? ptx : ptx.substr(ptx.find('\n', at) + 1);
}

/// Compiles the kernels of `module`, to machine code if `links`.
static FailureOr<std::vector<Part>> compileParts(ModuleOp module, StringRef arch, bool links) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  std::string path = cuda::findToolkitFile({"nvvm/libdevice/libdevice.10.bc"});
  std::unique_ptr<llvm::MemoryBuffer> libdevice;
  if (auto file = llvm::MemoryBuffer::getFile(path); !path.empty() && file) {
    libdevice = std::move(*file);
  }
  std::vector<Part> parts = split(module);
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (auto [i, each] : llvm::enumerate(parts)) {
    Part &part = each;
    size_t number = i;
    pool.async([&part, number, arch, links, &libdevice] {
      compileToPtx(part, number, arch,
                   libdevice ? std::optional(libdevice->getMemBufferRef()) : std::nullopt);
      if (!links || !part.error.empty()) {
        return;
      }
      if (llvm::Expected<cuda::Cubin> cubin = cuda::linkCubin(part.image.ptx, arch)) {
        part.image.cubin = std::move(*cubin);
      } else {
        part.error = llvm::toString(cubin.takeError());
      }
    });
  }
  pool.wait();
  for (const Part &part : parts) {
    if (!part.error.empty()) {
      return module.emitError("generating kernels failed: ") << part.error;
    }
  }
  return parts;
}

FailureOr<std::string> cuda::emitPtx(ModuleOp module, StringRef arch) {
  FailureOr<std::vector<Part>> parts = compileParts(module, arch, /*links=*/false);
  if (failed(parts)) {
    return failure();
  }
  std::string ptx;
  for (const Part &part : *parts) {
    StringRef text = part.image.ptx;
    ptx += ptx.empty() ? text : behindHeader(text);
  }
  return ptx;
}

FailureOr<std::vector<cuda::Image>> cuda::compileImages(ModuleOp module, StringRef arch) {
  FailureOr<std::vector<Part>> parts = compileParts(module, arch, /*links=*/true);
  if (failed(parts)) {
    return failure();
  }
  std::vector<Image> images;
  for (Part &part : *parts) {
    images.push_back(std::move(part.image));
  }
  return images;
}
