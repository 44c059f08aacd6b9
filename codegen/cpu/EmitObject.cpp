// Translation to LLVM IR, optimisation and machine code.

#include "codegen/cpu/EmitObject.h"

#include "codegen/cpu/LowerToLlvm.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

using namespace mlir;
using namespace dsc;

// LLVM modules that kernels are dealt to: the same everywhere, so that an executable's bytes do not
// depend on the machine that made it; enough to keep several threads busy, few enough that each is
// worth its set-up.
static constexpr size_t kKernelParts = 8;

static constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

//===----------------------------------------------------------------------===//
// Targets
//===----------------------------------------------------------------------===//

llvm::Expected<dsc::CpuTarget> dsc::CpuTarget::from(StringRef name) {
  CpuTarget target;
  if (name == "x86-64-v3" || name == "x86-64-v4") {
    target.cpu = name.str();
    target.avx512 = name == "x86-64-v4";
    return target;
  }
  if (name != "native") {
    return llvm::createStringError("--cpu=%s is unknown; it is native, x86-64-v3 or x86-64-v4",
                                   name.str().c_str());
  }
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  if (!features.lookup("avx2") || !features.lookup("fma") || !features.lookup("bmi2")) {
    return llvm::createStringError(
        "--cpu=native: this processor lacks AVX2, FMA or BMI2, which generated kernels need; "
        "compile for another machine with --cpu=x86-64-v3");
  }
  llvm::SubtargetFeatures list;
  for (const auto &feature : features) {
    list.AddFeature(feature.first(), feature.second);
  }
  target.cpu = "x86-64-v3";
  target.features = list.getString();
  target.avx512 = llvm::all_of(ArrayRef<StringRef>{"avx512f", "avx512bw", "avx512dq", "avx512vl"},
                               [&](StringRef feature) { return features.lookup(feature); });
  return target;
}

std::string dsc::CpuTarget::describe() const {
  if (features.empty()) {
    return cpu;
  }
  return avx512 ? "this machine's AVX-512" : "this machine's AVX2";
}

void dsc::registerObjectDialects(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

namespace {
/// What one LLVM module is made from.
struct Part {
  OwningOpRef<ModuleOp> module;
  bool kernels = false;
  size_t size = 0;
  std::string object, error;
};
} // namespace

/// Puts declarations of the functions that `part` calls, and does not define, at its start.
static void declareCallees(ModuleOp part, ModuleOp all) {
  llvm::StringMap<bool> seen;
  OpBuilder builder = OpBuilder::atBlockBegin(part.getBody());
  auto declare = [&](StringRef name) {
    if (!seen.try_emplace(name, true).second || part.lookupSymbol(name)) {
      return;
    }
    if (auto function = all.lookupSymbol<LLVM::LLVMFuncOp>(name)) {
      auto declaration = cast<LLVM::LLVMFuncOp>(builder.cloneWithoutRegions(*function));
      declaration.setLinkage(LLVM::Linkage::External);
    }
  };
  part.walk([&](Operation *op) {
    if (auto call = dyn_cast<LLVM::CallOp>(op); call && call.getCallee()) {
      declare(*call.getCallee());
    } else if (auto address = dyn_cast<LLVM::AddressOfOp>(op)) {
      declare(address.getGlobalName());
    }
  });
}

static std::vector<Part> split(ModuleOp module, size_t kernelParts) {
  std::vector<Part> parts(kernelParts + 1);
  for (auto [i, part] : llvm::enumerate(parts)) {
    part.module = ModuleOp::create(module.getLoc());
    part.kernels = i > 0;
  }
  auto smallest = [&] {
    return std::min_element(parts.begin() + 1, parts.end(),
                            [](const Part &a, const Part &b) { return a.size < b.size; });
  };
  OpBuilder builder(module.getContext());
  auto put = [&](Part &part, Operation *op) {
    builder.setInsertionPointToEnd(part.module->getBody());
    builder.clone(*op);
  };
  Part *current = &*smallest();
  for (Operation &op : *module.getBody()) {
    auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
    if (function && function.isExternal()) {
      continue;
    }
    if (function && isKernelSymbol(function.getSymName())) {
      // A body stands right before its entry.
      if (function.getLinkage() == LLVM::Linkage::Internal) {
        current = &*smallest();
        op.walk([&](Operation *) { ++current->size; });
      }
      put(*current, &op);
    } else if (function || isa<LLVM::GlobalOp>(op)) {
      put(parts.front(), &op);
    }
  }
  llvm::erase_if(parts, [](Part &part) { return part.module->getBody()->empty(); });
  for (Part &part : parts) {
    declareCallees(*part.module, module);
  }
  return parts;
}

//===----------------------------------------------------------------------===//
// Machine code
//===----------------------------------------------------------------------===//

static void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.SLPVectorization = false; // kernels are vectors already
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

static void compile(Part &part, const dsc::CpuTarget &target) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(*part.module, context, "dsc");
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
  // The entries are long straight-line code, in which the better code generators are quadratic.
  auto level = part.kernels ? llvm::CodeGenOptLevel::Default : llvm::CodeGenOptLevel::None;
  std::unique_ptr<llvm::TargetMachine> machine(description->createTargetMachine(
      kTriple, target.cpu, target.features, options, llvm::Reloc::PIC_, std::nullopt, level));
  module->setTargetTriple(kTriple);
  module->setDataLayout(machine->createDataLayout());
  if (part.kernels) {
    if (target.avx512) {
      for (llvm::Function &function : *module) {
        function.addFnAttr("prefer-vector-width", "512");
        function.addFnAttr("min-legal-vector-width", "512");
      }
    }
    optimise(*module, *machine);
  }
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, os, nullptr, llvm::CodeGenFileType::ObjectFile)) {
    part.error = "LLVM cannot write object files for this target";
    return;
  }
  passes.run(*module);
  part.object.assign(bytes.begin(), bytes.end());
}

FailureOr<std::vector<std::string>> dsc::emitObjects(ModuleOp module, const CpuTarget &target) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  std::vector<Part> parts = split(module, kKernelParts);
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (Part &part : parts) {
    pool.async([&part, &target] { compile(part, target); });
  }
  pool.wait();
  std::vector<std::string> objects;
  for (Part &part : parts) {
    if (!part.error.empty()) {
      return module.emitError("code generation failed: ") << part.error;
    }
    objects.push_back(std::move(part.object));
  }
  return objects;
}
