// `dsc compile`: a model (or a dump) to a training executable and its weights file.

#include "codegen/ExecutableWriter.h"
#include "codegen/Pipeline.h"
#include "ir/Options.h"
#include "ir/Recompute.h"
#include "tools/dsc/ArenaLimit.h"
#include "tools/dsc/CheckGroups.h"
#include "tools/dsc/Choices.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/ConfigFlags.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/MachineGpu.h"
#include "tools/dsc/ModelFlags.h"
#include "tools/dsc/PassFlags.h"
#include "tools/dsc/Phases.h"
#include "tools/dsc/Report.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace mlir;
using namespace dsc;

namespace {
/// What the command line asked for.
struct CompileRequest {
  ImportOptions import;
  std::string output, from, emit, dumpPhases, dumpPasses, report, failIn, memory;
  PassFlags passes;
  ConfigFlags config;
  AppliedConfig applied;
  std::string init = "model", diagnostics = "text";
  bool force = false, help = false;
};
} // namespace

/// What --emit takes beside phases.
static constexpr const char *kPtx = "ptx";

static void addCompileFlags(FlagTable &table, CompileRequest &request) {
  table.section("Output");
  table.text(
      "o", "OUT", request.output,
      "the executable (default: the model's stem); its weights go to OUT.weights.safetensors");
  table.boolean("force", request.force, "overwrite a file that dsc did not write");
  addImportFlags(table, request.import);
  table.choice("init", {"model", "random"}, request.init,
               "parameters start as the model's weights, or at random: the model may lack them");
  addTrainingFlags(table, request.import.options);
  addConfigFlags(table, request.config);
  table.add({"memory", "SIZE",
             "what --recompute=auto may plan for, e.g. 80GiB (default: nine tenths of this "
             "machine's memory)",
             [&](StringRef given) {
               request.memory = given.str();
               return parseBytes(given) ? std::string()
                                        : "is '" + given.str() + "', expected bytes such as 80GiB";
             }});
  table.section("Reading what the compiler does");
  table.text("dump-phases", "DIR", request.dumpPhases,
             "write the program after each of the ten phases");
  table.text("dump-passes", "DIR", request.dumpPasses,
             "write the program after each pass that changed it");
  table.text("from", "FILE", request.from, "resume from a dump instead of a model");
  table.text("emit", "PHASE|ptx", request.emit,
             "stop after this phase and print the program; ptx: the kernels of a GPU");
  addPassFlags(table, request.passes);
  table.choice("diagnostics", {"text", "json"}, request.diagnostics, "how errors are printed");
  table.text("report", "FILE", request.report,
             "write what was done to a .txt, .json or .html file");
  table.text("keep-values", "REGEX", request.import.keepValues,
             "let `values` write the ONNX values whose names match, and their gradients");
  table.hidden("fail-in", request.failIn);
  table.boolean("help", request.help, "this help");
}

/// A dump holds the options that it was made with: the first flag of an earlier phase that stands
/// beside --from, "" if there is none.
static std::string flagOfEarlierPhase(const FlagTable &table) {
  static const StringRef allowed[] = {"from",        "o",           "force",  "emit",
                                      "dump-phases", "dump-passes", "report", "diagnostics",
                                      "disable",     "pass-limit",  "help",   "fail-in"};
  for (const std::string &flag : table.given()) {
    if (!llvm::is_contained(allowed, flag)) {
      return flag;
    }
  }
  return "";
}

/// The id of errors in a phase that carry none: only autodiff meets what users can change.
static ErrorId stageOf(Phase phase) {
  return phase == Phase::Autodiff ? ErrorId::TrainGradient : ErrorId::Internal;
}

/// Whether dsc wrote `path`: an executable by its trailer, a weights file by its metadata.
static bool writtenByDsc(StringRef path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file) {
    return false;
  }
  StringRef bytes = (*file)->getBuffer();
  if (bytes.size() > 64 && bytes.take_back(64).starts_with("DSCEXE01")) {
    return true;
  }
  return bytes.take_front(4096).contains("\"dsc");
}

static LogicalResult checkOverwrite(Location loc, StringRef path, bool force) {
  bool isFolder = llvm::sys::fs::is_directory(path);
  if ((force && !isFolder) || !llvm::sys::fs::exists(path) || (!isFolder && writtenByDsc(path))) {
    return success();
  }
  if (isFolder) {
    return dsc::emitError(loc, ErrorId::FileExists) << path << " is a folder; give a file with -o";
  }
  return dsc::emitError(loc, ErrorId::FileExists)
         << path
         << " exists and was not written by dsc; give another -o, or --force to overwrite it";
}

static int64_t memoryBytes(ModuleOp module, StringRef space) {
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  auto size = memory ? dyn_cast_if_present<IntegerAttr>(memory.get(space)) : nullptr;
  return size ? size.getInt() : 0;
}

namespace {
/// One run of the command.
class Compilation : PhaseObserver {
public:
  Compilation(CompileRequest request, ArrayRef<const char *> arguments, DiagnosticPrinter &printer)
      : request(std::move(request)), printer(printer) {
    command = "dsc compile";
    for (const char *argument : arguments) {
      command += std::string(" ") + argument;
    }
  }

  int run(MLIRContext &context) {
    printer.setStage(request.from.empty() ? ErrorId::ImportNode : ErrorId::DumpInvalid);
    OwningOpRef<ModuleOp> module =
        request.from.empty() ? importFile(context) : readDump(context, request.from);
    if (!module) {
      return kUserError;
    }
    recorder.imported(*module, secondsSinceBegin());
    std::optional<PhaseDumper> dumper;
    PhaseRun phases;
    if (!request.dumpPhases.empty()) {
      dumper.emplace(request.dumpPhases);
      phases.dumper = &*dumper;
      printer.setStage(ErrorId::FileUnreadable);
      if (request.from.empty() && failed(dumper->dump(*module))) {
        return kUserError;
      }
    }
    phases.passDumpFolder = request.dumpPasses;
    phases.failIn = request.failIn;
    (void)applyPassFlags(request.passes, phases); // was checked with the other flags
    if (std::optional<Phase> last = phaseByName(request.emit)) {
      phases.last = *last;
    }
    phases.observers.push_back(this);
    if (!request.report.empty()) {
      phases.observers.push_back(&recorder);
    }
    FailedPhase failedPhase;
    if (failed(runPhases(*module, phases, failedPhase))) {
      // A loss that cannot be, a bound on memory that cannot be kept: the user's.
      bool isUsers =
          (failedPhase.phase == Phase::Autodiff || failedPhase.phase == Phase::Recompute) &&
          !failedPhase.crashed && request.failIn.empty();
      return isUsers ? int(kUserError) : reportInternal(failedPhase);
    }
    // The parameters are known now.
    if (auto manifest = (*module)->getAttrOfType<StringAttr>("dsc.manifest")) {
      if (std::string wrong = checkGroups(manifest.getValue()); !wrong.empty()) {
        (void)(dsc::emitError(module->getLoc(), ErrorId::FlagValue) << wrong);
        return kUserError;
      }
    }
    if (request.emit == kPtx) {
      FailureOr<std::string> ptx = emitDeviceText(*module);
      return failed(ptx) ? int(kUserError) : print([&](llvm::raw_ostream &os) { os << *ptx; });
    }
    if (!request.emit.empty()) {
      OpPrintingFlags flags;
      flags.enableDebugInfo(false);
      return print([&](llvm::raw_ostream &os) { module->print(os, flags); });
    }
    return writeOutputs(*module);
  }

  void phaseBegins(Phase phase) override { printer.setStage(stageOf(phase)); }
  void phaseDone(ModuleOp module, Phase, double) override {
    // The entries, which hold what recomputation did, are gone in the end.
    if (std::string text = describeRecomputation(module); !text.empty()) {
      recomputation = text;
    }
  }

private:
  CompileRequest request;
  DiagnosticPrinter &printer;
  ReportRecorder recorder;
  std::string command;
  std::string recomputation; // what the report says of it
  std::shared_ptr<WeightsWriter> weights;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();

  std::string output() const {
    if (!request.output.empty()) {
      return request.output;
    }
    StringRef source =
        request.from.empty() ? StringRef(request.import.path) : StringRef(request.from);
    return llvm::sys::path::stem(source).str();
  }

  std::string weightsPath() const { return output() + ".weights.safetensors"; }

  double secondsSinceBegin() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  OwningOpRef<ModuleOp> importFile(MLIRContext &context) {
    if (request.applied.microBatch &&
        failed(bindMicroBatch(context, request.applied.microBatch, request.import))) {
      return nullptr;
    }
    FailureOr<ImportedModel> imported = importModel(context, request.import);
    if (failed(imported)) {
      return nullptr;
    }
    std::vector<std::string> notices = request.applied.notices;
    llvm::append_range(notices, imported->notices);
    for (const std::string &notice : notices) {
      printer.notice(notice);
      recorder.report.notices.push_back(notice);
    }
    ModuleOp module = *imported->module;
    Builder b(&context);
    weights = imported->weights;
    bool writes = request.emit.empty();
    if (writes && (failed(checkOverwrite(module.getLoc(), output(), request.force)) ||
                   failed(checkOverwrite(module.getLoc(), weightsPath(), request.force)))) {
      return nullptr;
    }
    module->setAttr("dsc.model_name", b.getStringAttr(llvm::sys::path::filename(output())));
    module->setAttr("dsc.version", b.getStringAttr(DSC_VERSION));
    module->setAttr("dsc.command", b.getStringAttr(command));
    attachConfig(module, request.applied);
    if (!module->hasAttr("dsc.options")) {
      module->setAttr("dsc.options", request.import.options.toAttribute(&context));
    }
    if (writes && weights) {
      FailureOr<WrittenWeights> written = writeWeights(*weights, module.getLoc(), weightsPath());
      if (failed(written)) {
        return nullptr;
      }
      if (!written->sha256.empty()) { // not all of them start at random
        std::string file = llvm::sys::path::filename(weightsPath()).str();
        module->setAttr("dsc.weights_file", b.getStringAttr(file));
        module->setAttr("dsc.weights_sha256", b.getStringAttr(written->sha256));
        setWeightsSource(module, *weights, file);
      }
    }
    if (!phaseOf(module)) {
      setPhase(module, Phase::Import);
    }
    if (failed(verifyPhase(module, Phase::Import))) {
      return nullptr;
    }
    return std::move(imported->module);
  }

  /// Prints to -o, or to the standard output.
  int print(llvm::function_ref<void(llvm::raw_ostream &)> write) {
    if (request.output.empty()) {
      write(llvm::outs());
      return kDone;
    }
    std::error_code error;
    llvm::raw_fd_ostream file(request.output, error);
    if (error) {
      printer.error("cannot write " + request.output + ": " + error.message(),
                    ErrorId::FileUnreadable);
      return kUserError;
    }
    write(file);
    return kDone;
  }

  /// A phase failed on what the importer accepted: our fault. Leaves what is needed to see it
  /// again.
  int reportInternal(FailedPhase &failedPhase) {
    std::string folder = output() + ".dsc-failure";
    StringRef name = allPhases()[static_cast<int>(failedPhase.phase) - 1].name;
    std::string text =
        (failedPhase.crashed ? "a pass crashed in phase '" : "internal failure in phase '") +
        name.str() + "'";
    if (succeeded(writeReproducer(failedPhase, folder))) {
      text += "; this is a bug in dsc, please report it with the folder " + folder +
              ", whose README has the commands that show it again (dsc compile --from=" + folder +
              "/" + phaseFileName(*phaseOf(*failedPhase.before)) + ")";
    }
    printer.error(text, ErrorId::Internal);
    return kInternal;
  }

  int writeOutputs(ModuleOp module) {
    FailureOr<std::vector<std::string>> objects = emitProgram(module);
    if (failed(objects)) {
      FailedPhase failedPhase{Phase::Device, false, module.clone(), ""};
      return reportInternal(failedPhase);
    }
    std::string self =
        llvm::sys::fs::getMainExecutable(nullptr, reinterpret_cast<void *>(&compileCommand));
    std::string runner = (llvm::sys::path::parent_path(self) + "/dsc-runner").str();
    if (failed(writeExecutable({runner, std::move(*objects), module}, output()))) {
      return kMachineLacks;
    }
    double seconds = secondsSinceBegin();
    recorder.report.choices = choicesOf(module);
    if (!recomputation.empty()) {
      recorder.report.choices.emplace_back("recompute", recomputation);
    }
    for (const auto &[what, value] : recorder.report.choices) {
      llvm::outs() << what << ": " << value << "\n";
    }
    int64_t state = memoryBytes(module, "state"), arena = memoryBytes(module, "arena");
    int64_t constants = memoryBytes(module, "constants"), io = memoryBytes(module, "io");
    int64_t shard = memoryBytes(module, "shard"), peak = state + arena + constants + io + shard;
    llvm::outs() << llvm::formatv(
        "memory: peak {0} bytes ({1}): state {2}, arena {3}, constants {4}, io {5}{6}\n", peak,
        bytesInWords(peak), bytesInWords(state), bytesInWords(arena), bytesInWords(constants),
        bytesInWords(io), shard ? ", sharded " + bytesInWords(shard) : "");
    if (shard) {
      llvm::outs() << llvm::formatv("with N ranks: {0} + {1}/N bytes on each\n", peak - shard,
                                    shard);
    }
    auto file = module->getAttrOfType<StringAttr>("dsc.weights_file");
    std::string written = output();
    if (file && request.from.empty()) {
      written += " and " + weightsPath();
    } else if (file) {
      written += " (its weights are " + file.str() + ", to be beside it)";
    }
    if (!request.report.empty()) {
      if (std::string wrong = writeReport(recorder.report, request.report); !wrong.empty()) {
        printer.error(wrong, ErrorId::FileUnreadable);
        return kUserError;
      }
      written += " and " + request.report;
    }
    llvm::outs() << llvm::formatv("wrote {0} in {1:f1} s\n", written, seconds);
    return kDone;
  }
};
} // namespace

int dsc::compileCommand(ArrayRef<const char *> arguments) {
  CompileRequest request;
  FlagTable table;
  addCompileFlags(table, request);
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (request.help) {
    llvm::outs() << "usage: dsc compile MODEL.onnx [-o OUT] [flags]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  CompileOptions &options = request.import.options;
  if (wrong.empty() && request.from.empty()) {
    wrong = applyConfig(table, request.config, options.accumulate, request.applied);
  }
  settleOptimizerDefaults(options, table.given());
  if (std::string notice = settleTarget(options, table.given());
      request.from.empty() && !notice.empty()) {
    request.applied.notices.push_back(notice);
  }
  if (wrong.empty() && !request.memory.empty() && options.recompute != "auto") {
    wrong = "flag '--memory' bounds what --recompute=auto chooses, and --recompute is " +
            options.recompute;
  }
  if (options.recompute == "auto") {
    std::optional<int64_t> given = parseBytes(request.memory);
    const int64_t bytes = given ? *given : memoryOfTarget(options.target);
    if (wrong.empty() && bytes == 0) {
      wrong =
          std::string("--recompute=auto fits the memory of a GPU, and this machine has none: give "
                      "its bytes with --memory");
    }
    options.recompute = "auto:" + std::to_string(bytes);
  }
  if (wrong.empty()) {
    wrong = checkOptions(options);
  }
  if (wrong.empty() && operands.size() != (request.from.empty() ? 1 : 0)) {
    wrong =
        request.from.empty()
            ? "expected one MODEL.onnx, got " + std::to_string(operands.size()) + " operands"
            : "--from takes the place of the model, but '" + operands.front() + "' is given too";
  }
  if (std::string flag = request.from.empty() ? "" : flagOfEarlierPhase(table);
      wrong.empty() && !flag.empty()) {
    wrong = "flag '--" + flag + "' was decided before the dump " + request.from +
            " was written; compile the model with it, or edit dsc.options in the dump";
  }
  if (wrong.empty() && !request.emit.empty() && request.emit != kPtx &&
      !phaseByName(request.emit)) {
    wrong = "flag '--emit' is '" + request.emit + "', expected ptx or a phase:";
    for (const PhaseInfo &phase : allPhases()) {
      wrong.text += " " + phase.name.str();
    }
  }
  if (PhaseRun checked; wrong.empty()) {
    wrong = applyPassFlags(request.passes, checked);
  }
  if (wrong.empty() && !request.report.empty() && !isReportPath(request.report)) {
    wrong = "flag '--report' is '" + request.report + "', expected FILE.txt, .json or .html";
  }
  if (!wrong.empty()) {
    reportFault("dsc compile", wrong, wantsJsonDiagnostics(arguments));
    return kUserError;
  }
  if (request.from.empty()) {
    request.import.path = operands.front();
  }
  request.import.randomStart = request.init == "random";
  DialectRegistry registry;
  registry.insert<DscDialect, func::FuncDialect>();
  registerCodegenDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  DiagnosticPrinter printer(context, request.diagnostics == "json");
  return Compilation(std::move(request), arguments, printer).run(context);
}
