// The loop over the phases, and dumps.

#include "tools/dsc/Phases.h"

#include "codegen/Pipeline.h"
#include "ir/ContentHash.h"
#include "tools/dsc/ArenaLimit.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <chrono>
#include <cstdlib>

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kConstantsFile = "constants.safetensors";

/// Constants up to this size are printed; larger ones stand in a file beside the dump.
static constexpr int64_t kPrintedElements = 32;

//===----------------------------------------------------------------------===//
// Constants beside dumps
//===----------------------------------------------------------------------===//

static std::string safetensorsType(Type element) {
  if (isa<FloatType>(element)) {
    return element.isBF16() ? "BF16" : "F" + std::to_string(element.getIntOrFloatBitWidth());
  }
  unsigned width = element.getIntOrFloatBitWidth();
  return width == 1 ? "BOOL" : (element.isUnsignedInteger() ? "U" : "I") + std::to_string(width);
}

/// A constant's elements as they are in memory: splats repeated, booleans a byte each.
static std::string rawBytes(DenseElementsAttr value) {
  std::string bytes;
  if (value.getElementType().isInteger(1)) {
    for (bool bit : value.getValues<bool>()) {
      bytes.push_back(bit);
    }
    return bytes;
  }
  ArrayRef<char> raw = value.getRawData();
  for (int64_t i = 0; i < (value.isSplat() ? value.getNumElements() : 1); ++i) {
    bytes.append(raw.data(), raw.size());
  }
  return bytes;
}

static std::string shortHash(StringRef bytes) {
  dsc::ContentHash hash;
  hash.update(bytes);
  return hash.hex(8);
}

LogicalResult PhaseDumper::writeConstants(ModuleOp module) const {
  std::string path = folder + "/" + kConstantsFile.str();
  llvm::json::Object header;
  std::string data;
  for (const auto &[name, value] : constants) {
    std::string bytes = rawBytes(value);
    llvm::json::Array shape;
    for (int64_t size : cast<RankedTensorType>(value.getType()).getShape()) {
      shape.push_back(size);
    }
    header[name] = llvm::json::Object{
        {"dtype", safetensorsType(value.getElementType())},
        {"shape", std::move(shape)},
        {"data_offsets", llvm::json::Array{static_cast<int64_t>(data.size()),
                                           static_cast<int64_t>(data.size() + bytes.size())}}};
    data += bytes;
  }
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(header));
  text.append(llvm::alignTo(text.size(), 8) - text.size(), ' ');
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  char size[8];
  llvm::support::endian::write64le(size, text.size());
  file.write(size, 8);
  file << text << data;
  file.close();
  if (error || (error = file.error())) {
    return module.emitError("cannot write ") << path << ": " << error.message();
  }
  return success();
}

/// Globals whose constants are too large to print.
static SmallVector<GlobalOp> largeConstants(ModuleOp module) {
  SmallVector<GlobalOp> constants;
  for (auto global : module.getOps<GlobalOp>()) {
    auto value = dyn_cast_if_present<DenseElementsAttr>(global.getValueAttr());
    if (global.getRole() == GlobalRole::constant && value &&
        value.getNumElements() > kPrintedElements) {
      constants.push_back(global);
    }
  }
  return constants;
}

LogicalResult PhaseDumper::dump(ModuleOp module) {
  std::optional<Phase> phase = phaseOf(module);
  if (std::error_code error = llvm::sys::fs::create_directories(folder)) {
    return module.emitError("cannot create the folder ") << folder << ": " << error.message();
  }
  // Print references in place of large constants, and put the values back.
  SmallVector<GlobalOp> large = largeConstants(module);
  size_t known = constants.size();
  for (GlobalOp global : large) {
    auto value = cast<DenseElementsAttr>(global.getValueAttr());
    if (constants.try_emplace(global.getSymName().str(), value).first->second != value) {
      return global.emitError("constant has another value than in an earlier phase");
    }
  }
  if (constants.size() != known && failed(writeConstants(module))) {
    return failure();
  }
  SmallVector<DenseElementsAttr> values;
  for (GlobalOp global : large) {
    auto value = cast<DenseElementsAttr>(global.getValueAttr());
    values.push_back(value);
    global.removeValueAttr();
    global.setSourceAttr(SourceAttr::get(module.getContext(), kConstantsFile, global.getSymName(),
                                         shortHash(rawBytes(value))));
  }
  std::string path = folder + "/" + phaseFileName(*phase);
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  OpPrintingFlags flags;
  flags.enableDebugInfo(true);
  module.print(file, flags);
  file.close();
  for (auto [global, value] : llvm::zip(large, values)) {
    global.removeSourceAttr();
    global.setValueAttr(value);
  }
  if (error || (error = file.error())) {
    return module.emitError("cannot write ") << path << ": " << error.message();
  }
  return success();
}

/// Gives globals that refer to the constants file their values again.
static LogicalResult readConstants(ModuleOp module, StringRef folder) {
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  llvm::json::Object header;
  StringRef data;
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() != GlobalRole::constant || !global.getSource()) {
      continue;
    }
    if (!buffer) {
      std::string path = (folder + "/" + kConstantsFile).str();
      auto file =
          llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
      if (!file) {
        return global.emitError("its value stands in ")
               << path << ", which cannot be read: " << file.getError().message();
      }
      buffer = std::move(*file);
      StringRef bytes = buffer->getBuffer();
      uint64_t size = bytes.size() < 8 ? ~0ull : llvm::support::endian::read64le(bytes.data());
      if (size > bytes.size() - 8) {
        return global.emitError() << path << " is not a safetensors file";
      }
      llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(bytes.substr(8, size));
      if (!parsed || !parsed->getAsObject()) {
        llvm::consumeError(parsed.takeError());
        return global.emitError() << path << " has no readable header";
      }
      header = std::move(*parsed->getAsObject());
      data = bytes.substr(8 + size);
    }
    const llvm::json::Object *entry = header.getObject(global.getSource()->getName());
    const llvm::json::Array *offsets = entry ? entry->getArray("data_offsets") : nullptr;
    RankedTensorType type = global.getTensorType();
    int64_t begin =
        offsets && offsets->size() == 2 ? (*offsets)[0].getAsInteger().value_or(-1) : -1;
    if (begin < 0 || static_cast<uint64_t>(begin) > data.size() ||
        data.size() - begin < static_cast<uint64_t>(tensorBytes(type))) {
      return global.emitError("constant '")
             << global.getSource()->getName() << "' is not whole in " << kConstantsFile;
    }
    StringRef bytes = data.substr(begin, tensorBytes(type));
    if (shortHash(bytes) != global.getSource()->getHash()) {
      return global.emitError("constant '")
             << global.getSource()->getName() << "' in " << kConstantsFile
             << " is not the one that the dump refers to";
    }
    DenseElementsAttr value;
    if (type.getElementType().isInteger(1)) {
      SmallVector<bool> bits;
      for (char byte : bytes) {
        bits.push_back(byte);
      }
      value = DenseElementsAttr::get(type, bits);
    } else {
      value = DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>(bytes.data(), bytes.size()));
    }
    global.removeSourceAttr();
    global.setValueAttr(value);
  }
  return success();
}

OwningOpRef<ModuleOp> dsc::readDump(MLIRContext &context, StringRef path) {
  // Constants are only references in the text; verification of the whole follows once they are
  // there.
  ParserConfig config(&context, /*verifyAfterParse=*/true);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(path, config);
  if (!module || failed(readConstants(*module, llvm::sys::path::parent_path(path)))) {
    return nullptr;
  }
  if (!phaseOf(*module)) {
    module->emitError("has no attribute dsc.phase: it is no dump of `dsc compile --dump-phases`");
    return nullptr;
  }
  return module;
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

namespace {
/// Fails or crashes in the place of a pass, for tests of what follows.
struct FailOnPurpose : public PassWrapper<FailOnPurpose, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FailOnPurpose)
  explicit FailOnPurpose(bool crash) : crash(crash) {}
  StringRef getArgument() const override { return "fail-on-purpose"; }
  void runOnOperation() override {
    if (crash) {
      std::abort();
    }
    getOperation().emitError("fails because --fail-in asked for it");
    signalPassFailure();
  }
  bool crash;
};
} // namespace

/// Runs the passes of one phase; `pipeline` becomes their text.
static LogicalResult runPhase(ModuleOp module, Phase phase, const PhaseRun &run,
                              std::string &pipeline) {
  StringRef name = allPhases()[static_cast<int>(phase) - 1].name;
  PassManager manager(module->getContext(), ModuleOp::getOperationName());
  // Verifying takes longer than most passes: once a phase, and after each pass where passes are
  // looked at. dsc-opt, which tests run, does it after each.
  manager.enableVerifier(!run.passDumpFolder.empty());
  if (!run.passDumpFolder.empty()) {
    manager.enableIRPrintingToFileTree(
        [](Pass *, Operation *) { return false; }, [](Pass *, Operation *) { return true; },
        /*printModuleScope=*/true,
        /*printAfterOnlyOnChange=*/true, /*printAfterOnlyOnFailure=*/false, run.passDumpFolder);
    module->getContext()->disableMultithreading();
  }
  if (!run.disabled.contains(name)) {
    buildPhasePipeline(manager, phase, run.limits);
  }
  llvm::raw_string_ostream text(pipeline);
  manager.printAsTextualPipeline(text);
  if (auto [asked, how] = StringRef(run.failIn).split(':'); asked == name) {
    manager.addPass(std::make_unique<FailOnPurpose>(how == "crash"));
  }
  if (failed(manager.run(module)) || failed(verify(module))) {
    return failure();
  }
  return phase == Phase::Kernels  ? runKernelsPhase(module)
         : phase == Phase::Device ? runDevicePhase(module)
                                  : success();
}

LogicalResult dsc::runPhasesPlain(ModuleOp module, const PhaseRun &run, FailedPhase &failedPhase) {
  std::optional<Phase> done = phaseOf(module);
  llvm::CrashRecoveryContext::Enable();
  auto cleanUp = llvm::make_scope_exit([] { llvm::CrashRecoveryContext::Disable(); });
  for (const PhaseInfo &info : allPhases()) {
    if ((done && info.phase <= *done) || info.phase > run.last) {
      continue;
    }
    for (PhaseObserver *observer : run.observers) {
      observer->phaseBegins(info.phase);
    }
    auto begin = std::chrono::steady_clock::now();
    OwningOpRef<ModuleOp> before = module.clone();
    std::string pipeline;
    LogicalResult result = failure();
    llvm::CrashRecoveryContext guard;
    bool finished = guard.RunSafely([&] {
      result = runPhase(module, info.phase, run, pipeline);
      if (succeeded(result)) {
        setPhase(module, info.phase);
        result = verifyPhase(module, info.phase);
      }
    });
    if (!finished || failed(result)) {
      failedPhase = {info.phase, !finished, std::move(before),
                     info.phase < Phase::Kernels ? pipeline : ""};
      return failure();
    }
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    for (PhaseObserver *observer : run.observers) {
      observer->phaseDone(module, info.phase, seconds.count());
    }
    if (run.dumper && failed(run.dumper->dump(module))) {
      failedPhase = {info.phase, false, std::move(before), ""};
      return failure();
    }
  }
  return success();
}

LogicalResult dsc::runPhases(ModuleOp module, const PhaseRun &run, FailedPhase &failedPhase) {
  std::optional<Phase> done = phaseOf(module);
  std::optional<ArenaLimit> limit = ArenaLimit::of(module);
  if (!limit || run.last < Phase::Recompute) {
    return runPhasesPlain(module, run, failedPhase);
  }
  if (!done || *done < Phase::Recompute) {
    PhaseRun before = run;
    before.last = Phase::Precision;
    if (failed(runPhasesPlain(module, before, failedPhase)) ||
        failed(planWithinLimit(module, *limit, run, failedPhase))) {
      return failure();
    }
  }
  if (failed(runPhasesPlain(module, run, failedPhase))) {
    return failure();
  }
  // A dump behind the recompute phase may have been edited, or its limit.
  if (run.last < Phase::Memory || limit->holds(module)) {
    return success();
  }
  failedPhase.phase = Phase::Recompute;
  return limit->refuse(module);
}

LogicalResult dsc::writeReproducer(FailedPhase &failedPhase, const std::string &folder) {
  ModuleOp module = *failedPhase.before;
  PhaseDumper dumper(folder);
  if (!phaseOf(module) || failed(dumper.dump(module))) {
    return failure();
  }
  std::string file = phaseFileName(*phaseOf(module));
  StringRef phase = allPhases()[static_cast<int>(failedPhase.phase) - 1].name;
  std::error_code error;
  llvm::raw_fd_ostream readme(folder + "/README", error);
  if (error) {
    return module.emitError("cannot write ") << folder << "/README: " << error.message();
  }
  readme << "dsc " << DSC_VERSION << (failedPhase.crashed ? " crashed" : " failed") << " in phase '"
         << phase << "'. " << file << " is the program before it.\n\n"
         << "To see it again:\n\n    dsc compile --from=" << file << " -o model\n";
  if (!failedPhase.pipeline.empty()) {
    readme << "\nThe passes of the phase alone, to be cut down to the one that fails (constants of "
              "more than "
           << kPrintedElements << " elements are in " << kConstantsFile
           << " and not needed by most passes):\n\n    dsc-opt " << file << " --pass-pipeline='"
           << failedPhase.pipeline << "'\n";
  }
  return success();
}
