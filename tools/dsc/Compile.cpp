// `dsc compile`: a model (or a dump) to a training executable and its weights file.

#include "codegen/ExecutableWriter.h"
#include "codegen/Pipeline.h"
#include "ir/Options.h"
#include "ir/Recompute.h"
#include "tools/dsc/ArenaLimit.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/ModelFlags.h"
#include "tools/dsc/Phases.h"

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
  std::string output, from, emit, dumpPhases, dumpPasses, disable, memory, init = "model";
  std::string diagnostics = "text";
  bool force = false, help = false;
};
} // namespace

static void addCompileFlags(FlagTable &table, CompileRequest &request) {
  table.section("Output");
  table.text(
      "o", "OUT", request.output,
      "the executable (default: the model's stem); its weights go to OUT.weights.safetensors");
  table.boolean("force", request.force, "overwrite a file that dsc did not write");
  addImportFlags(table, request.import);
  addTrainingFlags(table, request.import.options);
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
  table.text("emit", "PHASE", request.emit, "stop after this phase and print the program");
  table.text("disable", "PHASE", request.disable,
             "leave out the passes of a phase that only improves the program: raise");
  table.choice("diagnostics", {"text", "json"}, request.diagnostics, "how errors are printed");
  table.refused("init", "model|random", "weights come from the model");
  table.refused("report", "FILE", "reports come in a later version");
  table.refused("keep-values", "REGEX", "keeping intermediate values comes in a later version");
  table.boolean("help", request.help, "this help");
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
  if (force || !llvm::sys::fs::exists(path) || writtenByDsc(path)) {
    return success();
  }
  return emitError(loc)
         << path
         << " exists and was not written by dsc; give another -o, or --force to overwrite it";
}

static std::string megabytes(int64_t bytes) {
  return llvm::formatv("{0:f1} MiB", bytes / 1048576.0).str();
}

static int64_t memoryBytes(ModuleOp module, StringRef space) {
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  auto size = memory ? dyn_cast_if_present<IntegerAttr>(memory.get(space)) : nullptr;
  return size ? size.getInt() : 0;
}

/// A number as a person would write it.
static std::string shortest(double value) {
  char text[32];
  snprintf(text, sizeof text, "%g", value);
  return text;
}

/// Prints what was chosen, so that nobody trains something else than they think.
static void printChoices(ModuleOp module, llvm::raw_ostream &out) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return;
  }
  out << "loss: " << options->loss;
  if (options->loss != "mean" && options->loss != "sum" &&
      !StringRef(options->loss).starts_with("output:")) {
    out << " of '" << options->output << "' against '" << options->labels << "'";
  } else {
    out << " of '" << options->output << "'";
  }
  out << "\noptimizer: " << options->optimizer << ", lr " << shortest(options->lr)
      << ", weight decay " << shortest(options->weightDecay);
  if (options->clip > 0) {
    out << ", clip " << shortest(options->clip);
  } else {
    out << ", no clipping";
  }
  if (options->accumulate != 1) {
    out << ", accumulation of "
        << (options->accumulate == 0 ? "any number of"
                                     : "up to " + std::to_string(options->accumulate))
        << " micro-batches";
  }
  out << "\n";
}

/// Prints what recomputation saves and costs, for the entry that ends a step.
static void printRecomputation(ModuleOp module, llvm::raw_ostream &out) {
  auto last = module.lookupSymbol<func::FuncOp>("last");
  auto report = last ? last->getAttrOfType<DictionaryAttr>("dsc.recompute") : nullptr;
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (!report || failed(options)) {
    return;
  }
  auto number = [&](StringRef key) {
    auto value = dyn_cast_if_present<IntegerAttr>(report.get(key));
    return value ? static_cast<double>(value.getInt()) : 0;
  };
  auto blocks = dyn_cast_if_present<ArrayAttr>(report.get("blocks"));
  double saved = number("saved_bytes"), freed = number("freed_bytes");
  double flops = number("added_flops"), step = number("step_flops");
  StringRef mode = StringRef(options->recompute).split(':').first;
  out << llvm::formatv("recompute: {0}, {1} of {2} kept for backward ({3:f0}% less), {4:f3} GFLOP "
                       "computed again (+{5:f1}%), {6} {7}\n",
                       mode, megabytes(static_cast<int64_t>(saved)),
                       megabytes(static_cast<int64_t>(saved + freed)),
                       saved + freed > 0 ? 100 * freed / (saved + freed) : 0, flops * 1e-9,
                       step > 0 ? 100 * flops / step : 0, blocks ? blocks.size() : 0,
                       blocks && blocks.size() == 1 ? "block" : "blocks");
}

namespace {
/// One run of the command.
class Compilation {
public:
  Compilation(CompileRequest request, ArrayRef<const char *> arguments)
      : request(std::move(request)) {
    command = "dsc compile";
    for (const char *argument : arguments) {
      command += std::string(" ") + argument;
    }
  }

  int run(MLIRContext &context) {
    OwningOpRef<ModuleOp> module =
        request.from.empty() ? importFile(context) : readDump(context, request.from);
    if (!module) {
      return kUserError;
    }
    std::optional<PhaseDumper> dumper;
    PhaseRun phases;
    if (!request.dumpPhases.empty()) {
      dumper.emplace(request.dumpPhases);
      phases.dumper = &*dumper;
      if (request.from.empty() && failed(dumper->dump(*module))) {
        return kUserError;
      }
    }
    phases.passDumpFolder = request.dumpPasses;
    if (!request.disable.empty()) {
      phases.disabled.insert(request.disable);
    }
    if (!request.emit.empty()) {
      phases.last = *phaseByName(request.emit);
    }
    Phase failedPhase = Phase::Import;
    if (failed(runPhases(*module, phases, failedPhase))) {
      // A loss that cannot be, a bound on memory that cannot be kept: the user's.
      bool isUsers = failedPhase == Phase::Autodiff || failedPhase == Phase::Recompute;
      return isUsers ? int(kUserError) : reportInternal(*module, failedPhase);
    }
    if (!request.emit.empty()) {
      return printModule(*module);
    }
    return writeOutputs(*module);
  }

private:
  CompileRequest request;
  std::string command;
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

  OwningOpRef<ModuleOp> importFile(MLIRContext &context) {
    FailureOr<ImportedModel> imported = importModel(context, request.import);
    if (failed(imported)) {
      return nullptr;
    }
    for (const std::string &notice : imported->notices) {
      llvm::errs() << "note: " << notice << "\n";
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
    if (!module->hasAttr("dsc.options")) {
      module->setAttr("dsc.options", request.import.options.toAttribute(&context));
    }
    if (writes && weights) {
      FailureOr<WrittenWeights> written = writeWeights(*weights, module.getLoc(), weightsPath());
      if (failed(written)) {
        return nullptr;
      }
      std::string file = llvm::sys::path::filename(weightsPath()).str();
      module->setAttr("dsc.weights_file", b.getStringAttr(file));
      module->setAttr("dsc.weights_sha256", b.getStringAttr(written->sha256));
      setWeightsSource(module, *weights, file);
    }
    if (!phaseOf(module)) {
      setPhase(module, Phase::Import);
    }
    if (failed(verifyPhase(module, Phase::Import))) {
      return nullptr;
    }
    return std::move(imported->module);
  }

  int printModule(ModuleOp module) {
    OpPrintingFlags flags;
    flags.enableDebugInfo(false);
    if (request.output.empty()) {
      module.print(llvm::outs(), flags);
      return kDone;
    }
    std::error_code error;
    llvm::raw_fd_ostream file(request.output, error);
    if (error) {
      llvm::errs() << "dsc: cannot write " << request.output << ": " << error.message() << "\n";
      return kUserError;
    }
    module.print(file, flags);
    return kDone;
  }

  /// A phase failed on what the importer accepted: our fault. Leaves what is needed to see it
  /// again.
  int reportInternal(ModuleOp module, Phase phase) {
    std::string folder = output() + ".dsc-failure";
    PhaseDumper dumper(folder);
    StringRef name = allPhases()[static_cast<int>(phase) - 1].name;
    llvm::errs() << "dsc: internal failure in phase '" << name << "'";
    if (phaseOf(module) && succeeded(dumper.dump(module))) {
      llvm::errs() << "; the program before it is in " << folder
                   << " (resume with `dsc compile --from=" << folder << "/"
                   << phaseFileName(*phaseOf(module)) << "`)";
    }
    llvm::errs() << "\n";
    return kInternal;
  }

  int writeOutputs(ModuleOp module) {
    FailureOr<std::vector<std::string>> objects = emitProgram(module);
    if (failed(objects)) {
      return reportInternal(module, Phase::Device);
    }
    std::string self =
        llvm::sys::fs::getMainExecutable(nullptr, reinterpret_cast<void *>(&compileCommand));
    std::string runner = (llvm::sys::path::parent_path(self) + "/dsc-runner").str();
    if (failed(writeExecutable({runner, std::move(*objects), module}, output()))) {
      return kMachineLacks;
    }
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    printChoices(module, llvm::outs());
    printRecomputation(module, llvm::outs());
    int64_t state = memoryBytes(module, "state"), arena = memoryBytes(module, "arena");
    int64_t constants = memoryBytes(module, "constants"), io = memoryBytes(module, "io");
    llvm::outs() << llvm::formatv(
        "memory: peak {0} bytes ({1}): state {2}, arena {3}, constants {4}, io {5}\n",
        state + arena + constants + io, megabytes(state + arena + constants + io), megabytes(state),
        megabytes(arena), megabytes(constants), megabytes(io));
    llvm::outs() << llvm::formatv("wrote {0} and {1} in {2:f1} s\n", output(), weightsPath(),
                                  seconds);
    return kDone;
  }
};
} // namespace

int dsc::compileCommand(ArrayRef<const char *> arguments) {
  CompileRequest request;
  // Told apart from a given value below: AdamW decays by default, the others do not.
  request.import.options.weightDecay = -1;
  FlagTable table;
  addCompileFlags(table, request);
  std::vector<std::string> operands;
  std::string wrong = table.parse(arguments, operands);
  if (request.help) {
    llvm::outs() << "usage: dsc compile MODEL.onnx [-o OUT] [flags]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  CompileOptions &options = request.import.options;
  if (options.weightDecay == -1) {
    options.weightDecay = options.optimizer == "adamw" ? 0.01 : 0;
  }
  options.target = options.target == "auto" ? "cpu" : options.target;
  if (wrong.empty() && !request.memory.empty() && options.recompute != "auto") {
    wrong = "flag '--memory' bounds what --recompute=auto chooses, and --recompute is " +
            options.recompute;
  }
  if (options.recompute == "auto") {
    std::optional<int64_t> given = parseBytes(request.memory);
    options.recompute = "auto:" + std::to_string(given.value_or(machineMemory()));
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
  if (wrong.empty() && !request.emit.empty() && !phaseByName(request.emit)) {
    wrong = "flag '--emit' is '" + request.emit + "', expected a phase:";
    for (const PhaseInfo &phase : allPhases()) {
      wrong += " " + phase.name.str();
    }
  }
  if (wrong.empty() && !request.disable.empty() && request.disable != "raise") {
    wrong = "flag '--disable' is '" + request.disable + "'; only 'raise' can be left out";
  }
  if (!wrong.empty()) {
    llvm::errs() << "dsc compile: " << wrong << "\n";
    return kUserError;
  }
  if (request.from.empty()) {
    request.import.path = operands.front();
  }
  DialectRegistry registry;
  registry.insert<DscDialect, func::FuncDialect>();
  registerCodegenDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  DiagnosticPrinter printer(context, request.diagnostics == "json");
  return Compilation(std::move(request), arguments).run(context);
}
