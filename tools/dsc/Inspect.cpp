// `dsc inspect`: what a model file holds and how dsc understands it.

#include "passes/Pipeline.h"
#include "tools/dsc/Choices.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/InspectExecutable.h"
#include "tools/dsc/ModelFlags.h"
#include "tools/dsc/Phases.h"
#include "tools/dsc/Report.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace dsc;

namespace {
struct InspectRequest : InspectOutput {
  ImportOptions import;
  bool patterns = false, learningRates = false;
  std::string report;
};

/// What training would need, as far as the flags settle it.
struct TrainingPlan {
  std::string why; // why there is no plan; empty where there is one
  std::string loss;
  struct Array {
    std::string name, type, role;
    std::vector<int64_t> shape; // of one sample
  };
  std::vector<Array> data;
  std::vector<std::pair<std::string, int64_t>> spaces; // bytes of each, and together
};
} // namespace

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [i, size] : llvm::enumerate(shape)) {
    text += (i ? ", " : "") + std::to_string(size);
  }
  return text + "]";
}

/// Runs the phases up to memory on a model whose dims are bound, without printing what they say.
/// `recorder`, where there is one, hears of them.
static TrainingPlan planTraining(MLIRContext &context, const ImportOptions &options,
                                 const ModelInfo &info, ReportRecorder *recorder) {
  TrainingPlan plan;
  for (const ValueDeclaration &input : info.inputs) {
    bool isGiven = options.inputs.count(input.name) || options.bind.count(input.name);
    for (const std::string &dim : input.dims) {
      bool isOpen = !llvm::all_of(dim, llvm::isDigit) && !options.dims.count(dim);
      if (isOpen && !isGiven) {
        plan.why = "input '" + input.name + "' has open dims: bind them with " + input.flag;
        return plan;
      }
    }
  }
  // The first error says why there is no plan; it is not the model's fault that no loss was given.
  ScopedDiagnosticHandler quiet(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && plan.why.empty()) {
      llvm::raw_string_ostream out(plan.why);
      out << diagnostic;
    }
    return success();
  });
  FailureOr<ImportedModel> imported = importModel(context, options);
  if (failed(imported)) {
    return plan;
  }
  ModuleOp module = *imported->module;
  PhaseRun run;
  run.last = Phase::Memory;
  if (recorder) {
    recorder->imported(module, 0);
    recorder->report.notices = imported->notices;
    run.observers.push_back(recorder);
  }
  FailedPhase failedPhase;
  if (failed(runPhases(module, run, failedPhase))) {
    return plan;
  }
  FailureOr<CompileOptions> chosen = CompileOptions::from(module);
  plan.loss = failed(chosen) ? "" : chosen->loss;
  if (recorder) {
    recorder->report.choices = choicesOf(module);
  }
  auto entry = module.lookupSymbol<func::FuncOp>(plan.loss == "none" ? "eval" : "last");
  for (unsigned i = 0; entry && i < entry.getNumArguments(); ++i) {
    auto name = entry.getArgAttrOfType<StringAttr>(i, "dsc.name");
    auto role = entry.getArgAttrOfType<StringAttr>(i, "dsc.role");
    auto type = cast<RankedTensorType>(entry.getArgumentTypes()[i]);
    std::string element;
    llvm::raw_string_ostream(element) << type.getElementType();
    ArrayRef<int64_t> shape = type.getShape();
    plan.data.push_back({name ? name.str() : "", element, role ? role.str() : "input",
                         shape.drop_front(shape.empty() ? 0 : 1).vec()});
  }
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  int64_t together = 0;
  for (StringRef space : {"state", "arena", "constants", "io", "shard"}) {
    auto bytes = memory ? memory.getAs<IntegerAttr>(space) : nullptr;
    plan.spaces.emplace_back(space.str(), bytes ? bytes.getInt() : 0);
    together += plan.spaces.back().second;
  }
  plan.spaces.emplace_back("together", together);
  return plan;
}

static void printPlan(const TrainingPlan &plan, llvm::raw_ostream &out) {
  if (!plan.why.empty()) {
    out << "\ndata and memory plan\n  not known: " << plan.why << "\n";
    return;
  }
  out << "\ndata, one array each (loss " << plan.loss << ")\n";
  for (const TrainingPlan::Array &array : plan.data) {
    out << llvm::formatv("  {0,-24} {1,-6} samples x {2}{3}\n", array.name, array.type,
                         shapeText(array.shape), array.role == "labels" ? "   labels" : "");
  }
  out << "\nmemory plan\n";
  for (const auto &[space, bytes] : plan.spaces) {
    out << llvm::formatv("  {0,-10} {1,14} bytes  {2}\n", space, bytes, bytesInWords(bytes));
  }
}

static void printModel(const ModelInfo &info, const TrainingPlan &plan, llvm::raw_ostream &out) {
  out << llvm::formatv("{0}, opset {1}, {2} nodes\n",
                       info.producer.empty() ? "unknown producer" : info.producer, info.opset,
                       info.nodes);
  auto declarations = [&](StringRef title, ArrayRef<ValueDeclaration> values) {
    out << "\n" << title << "\n";
    for (const ValueDeclaration &value : values) {
      out << llvm::formatv("  {0,-24} {1,-6} [{2}]", value.name, value.type,
                           llvm::join(value.dims, ", "));
      out << (value.flag.empty() ? "" : "   bind with " + value.flag) << "\n";
    }
  };
  declarations("inputs", info.inputs);
  declarations("outputs", info.outputs);
  int64_t trained = 0, elements = 0;
  out << "\ntensors\n";
  for (const ParameterInfo &parameter : info.parameters) {
    out << llvm::formatv("  {0,-9} {1,-40} {2,-6} {3,-18} {4}\n", parameter.role, parameter.name,
                         parameter.type, shapeText(parameter.shape),
                         parameter.reason +
                             (parameter.start.empty() ? "" : "; starts at " + parameter.start));
    if (parameter.role == "trained") {
      int64_t count = 1;
      for (int64_t size : parameter.shape) {
        count *= size;
      }
      ++trained;
      elements += count;
    }
  }
  out << llvm::formatv("  {0} trained parameters, {1} elements\n", trained, elements);
  out << "\nops\n";
  for (const OpCount &op : info.ops) {
    out << llvm::formatv("  {0,-28} {1,6}{2}\n", (op.domain.empty() ? "" : op.domain + ".") + op.op,
                         op.count, op.supported ? "" : "   not supported");
  }
  printPlan(plan, out);
  for (const std::string &notice : info.notices) {
    out << "note: " << notice << "\n";
  }
}

static llvm::json::Value planJson(const TrainingPlan &plan) {
  if (!plan.why.empty()) {
    return llvm::json::Object{{"unknown", llvm::json::fixUTF8(plan.why)}};
  }
  llvm::json::Array data;
  for (const TrainingPlan::Array &array : plan.data) {
    data.push_back(llvm::json::Object{{"name", array.name},
                                      {"dtype", array.type},
                                      {"role", array.role},
                                      {"sample_shape", llvm::json::Array(array.shape)}});
  }
  llvm::json::Object memory;
  for (const auto &[space, bytes] : plan.spaces) {
    memory[space] = bytes;
  }
  return llvm::json::Object{
      {"loss", plan.loss}, {"data", std::move(data)}, {"memory", std::move(memory)}};
}

static void printModelJson(const ModelInfo &info, const TrainingPlan &plan,
                           llvm::raw_ostream &out) {
  auto strings = [](ArrayRef<std::string> values) { return llvm::json::Array(values); };
  auto declarations = [&](ArrayRef<ValueDeclaration> values) {
    llvm::json::Array list;
    for (const ValueDeclaration &value : values) {
      list.push_back(llvm::json::Object{{"name", value.name},
                                        {"dtype", value.type},
                                        {"dims", strings(value.dims)},
                                        {"flag", value.flag}});
    }
    return list;
  };
  llvm::json::Array parameters, ops;
  for (const ParameterInfo &parameter : info.parameters) {
    llvm::json::Object object{{"name", parameter.name},
                              {"onnx_names", strings(parameter.onnxNames)},
                              {"shape", llvm::json::Array(parameter.shape)},
                              {"dtype", parameter.type},
                              {"role", parameter.role},
                              {"reason", parameter.reason}};
    if (!parameter.start.empty()) {
      object["start"] = parameter.start;
    }
    parameters.push_back(std::move(object));
  }
  for (const OpCount &op : info.ops) {
    ops.push_back(llvm::json::Object{
        {"op", op.op}, {"domain", op.domain}, {"count", op.count}, {"supported", op.supported}});
  }
  out << llvm::formatv("{0:2}",
                       llvm::json::Value(llvm::json::Object{{"producer", info.producer},
                                                            {"opset", info.opset},
                                                            {"nodes", info.nodes},
                                                            {"inputs", declarations(info.inputs)},
                                                            {"outputs", declarations(info.outputs)},
                                                            {"parameters", std::move(parameters)},
                                                            {"ops", std::move(ops)},
                                                            {"training", planJson(plan)},
                                                            {"notices", strings(info.notices)}}))
      << "\n";
}

/// Imports and raises the model, and prints the raise phase's log: one line for each pattern found
/// or nearly found.
static int printPatterns(MLIRContext &context, const ImportOptions &options, bool json) {
  FailureOr<ImportedModel> imported = importModel(context, options);
  if (failed(imported)) {
    return kUserError;
  }
  PassManager manager(&context);
  buildPhasePipeline(manager, Phase::Raise);
  if (failed(manager.run(*imported->module))) {
    return kInternal;
  }
  auto log = (*imported->module)->getAttrOfType<ArrayAttr>("dsc.patterns");
  llvm::json::Array list;
  for (auto entry : log ? log.getAsRange<DictionaryAttr>()
                        : ArrayAttr::get(&context, {}).getAsRange<DictionaryAttr>()) {
    auto text = [&](StringRef key) { return cast<StringAttr>(entry.get(key)).getValue().str(); };
    bool found = cast<BoolAttr>(entry.get("found")).getValue();
    if (json) {
      list.push_back(llvm::json::Object{{"pattern", text("pattern")},
                                        {"function", text("function")},
                                        {"at", text("at")},
                                        {"found", found},
                                        {"detail", text("detail")}});
    } else {
      llvm::outs() << llvm::formatv("{0,-9} {1,-14} {2,-10} {3}: {4}\n",
                                    found ? "found" : "near miss", text("pattern"),
                                    text("function"), text("at"), text("detail"));
    }
  }
  if (json) {
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(list))) << "\n";
  }
  return kDone;
}

/// Returns what is wrong, or nothing.
static std::string writeInspectReport(ReportRecorder &recorder, const InspectRequest &request,
                                      ArrayRef<const char *> arguments) {
  recorder.report.model = llvm::sys::path::filename(request.import.path).str();
  recorder.report.version = DSC_VERSION;
  recorder.report.command = "dsc inspect";
  for (const char *argument : arguments) {
    recorder.report.command += std::string(" ") + argument;
  }
  return writeReport(recorder.report, request.report);
}

int dsc::inspectCommand(ArrayRef<const char *> arguments) {
  InspectRequest request;
  request.jsonDiagnostics = wantsJsonDiagnostics(arguments);
  std::string diagnostics, init = "model";
  bool help = false;
  FlagTable table;
  table.section("Output");
  table.boolean("json", request.json, "print as JSON");
  table.boolean("patterns", request.patterns,
                "what the raise phase recognised where, and near misses; dims must be bound");
  table.boolean("lr", request.learningRates, "the learning rate over a run of --steps");
  table.integer("steps", "N", request.steps, "--lr: length of the run (default: 1000)");
  table.text("report", "FILE", request.report,
             "also write what training would be, up to the memory plan, to a .txt, .json or .html "
             "file");
  table.choice("diagnostics", {"text", "json"}, diagnostics, "how errors are printed");
  table.boolean("help", help, "this help");
  addImportFlags(table, request.import);
  table.choice("init", {"model", "random"}, init, "how parameters start: shown with each of them");
  addTrainingFlags(table, request.import.options);
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc inspect MODEL.onnx|EXECUTABLE [flags]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && operands.size() != 1) {
    wrong = "expected one file, got " + std::to_string(operands.size());
  }
  if (wrong.empty() && request.steps < 1) {
    wrong = "flag '--steps' is " + std::to_string(request.steps) + ", expected 1 or more";
  }
  if (wrong.empty() && !request.report.empty() && !isReportPath(request.report)) {
    wrong = "flag '--report' is '" + request.report + "', expected FILE.txt, .json or .html";
  }
  if (wrong.empty()) {
    wrong = checkOptions(request.import.options);
  }
  if (!wrong.empty()) {
    reportFault("dsc inspect", wrong, request.jsonDiagnostics);
    return kUserError;
  }
  request.import.path = operands.front();
  request.import.randomStart = init == "random";
  request.import.namesOnly = true;
  request.import.options.target = "cpu";
  if (!request.report.empty() &&
      (isExecutable(request.import.path) || request.learningRates || request.patterns)) {
    reportFault("dsc inspect",
                {"flag '--report' shows what training of a model would be; give MODEL.onnx, "
                 "without --lr and --patterns (of an executable: compile it with --report)"},
                request.jsonDiagnostics);
    return kUserError;
  }
  if (isExecutable(request.import.path)) {
    return request.learningRates ? inspectExecutableRates(request.import.path, request)
                                 : inspectExecutable(request.import.path, request);
  }
  if (request.learningRates) {
    const CompileOptions &options = request.import.options;
    return printLearningRates(options.schedule, options.lr, request);
  }
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, func::FuncDialect>();
  DiagnosticPrinter printer(context, request.jsonDiagnostics);
  if (request.patterns) {
    printer.setStage(ErrorId::ImportNode);
    return printPatterns(context, request.import, request.json);
  }
  FailureOr<ModelInfo> info = inspectModel(context, request.import);
  if (failed(info)) {
    return kUserError;
  }
  std::optional<ReportRecorder> recorder;
  if (!request.report.empty()) {
    recorder.emplace();
  }
  TrainingPlan plan = planTraining(context, request.import, *info, recorder ? &*recorder : nullptr);
  if (recorder) {
    std::string wrong = plan.why.empty() ? writeInspectReport(*recorder, request, arguments)
                                         : "flag '--report' has no plan to show: " + plan.why;
    if (!wrong.empty()) {
      printer.error(wrong, plan.why.empty() ? ErrorId::FileUnreadable : ErrorId::FlagValue);
      return kUserError;
    }
  }
  request.json ? printModelJson(*info, plan, llvm::outs()) : printModel(*info, plan, llvm::outs());
  return kDone;
}
