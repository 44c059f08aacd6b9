// The phases, then the runtime's loader, with files in a temporary folder.

#include "tools/dsc/CheckedProgram.h"

#include "codegen/ExecutableWriter.h"
#include "codegen/Pipeline.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Phases.h"
#include "tools/dsc/WidenFloats.h"

#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace dsc;

TemporaryFolder::TemporaryFolder() {
  llvm::SmallString<128> path;
  if (!llvm::sys::fs::createUniqueDirectory("dsc-check", path)) {
    folder = path.str().str();
  }
}

TemporaryFolder::~TemporaryFolder() {
  if (!folder.empty()) {
    llvm::sys::fs::remove_directories(folder);
  }
}

static bool hasWeights(ModuleOp module) {
  return llvm::any_of(module.getOps<GlobalOp>(),
                      [](GlobalOp global) { return bool(global.getSource()); });
}

CheckedProgram dsc::compileAndLoad(MLIRContext &context, const CheckedProgramOptions &options) {
  auto fail = [](StringRef stage, int exitCode, const std::string &message = "") {
    return CheckedProgram{nullptr, stage.str(), message, exitCode};
  };
  TemporaryFolder folder;
  if (folder.path().empty()) {
    return fail("load", kMachineLacks, "cannot make a temporary folder");
  }
  FailureOr<ImportedModel> imported = importModel(context, options.import);
  if (failed(imported)) {
    return fail("import", kUserError);
  }
  ModuleOp module = *imported->module;
  Builder b(&context);
  constexpr llvm::StringLiteral weightsName = "program.weights.safetensors";
  module->setAttr("dsc.model_name", b.getStringAttr("check"));
  if (!module->hasAttr("dsc.options")) {
    module->setAttr("dsc.options", options.import.options.toAttribute(&context));
  }
  if (hasWeights(module)) {
    FailureOr<WrittenWeights> written =
        writeWeights(*imported->weights, module.getLoc(), folder.path() + "/" + weightsName.str());
    if (failed(written)) {
      return fail("import", kUserError);
    }
    module->setAttr("dsc.weights_file", b.getStringAttr(weightsName));
    setWeightsSource(module, *imported->weights, weightsName);
  }
  setPhase(module, Phase::Import);
  if (options.inDouble) {
    widenFloats(module);
  }
  if (failed(verifyPhase(module, Phase::Import))) {
    return fail("import", kInternal);
  }
  PhaseRun phases;
  (void)applyPassFlags(options.passes, phases); // was checked with the other flags
  FailedPhase failedPhase;
  if (failed(runPhases(module, phases, failedPhase))) {
    return fail(allPhases()[static_cast<int>(failedPhase.phase) - 1].name,
                failedPhase.phase == Phase::Autodiff ? kUserError : kInternal);
  }
  FailureOr<std::vector<std::string>> objects = emitProgram(module);
  std::string path = folder.path() + "/program";
  // No runner in front: the file is loaded here, not run.
  if (failed(objects) ||
      failed(writeExecutable({"/dev/null", std::move(*objects), module}, path))) {
    return fail("emit", kInternal);
  }
  Result<std::unique_ptr<ProgramRun>> run = ProgramRun::open(path, options.threads);
  if (run.failed()) {
    return fail("load", static_cast<int>(run.status().exitCode()), run.status().message());
  }
  return CheckedProgram{std::move(*run), "", "", kDone};
}
