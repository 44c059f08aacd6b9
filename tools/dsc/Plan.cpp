// `dsc plan`: the table of plans, what was chosen, and the line that compiles it.

#include "tools/dsc/PlanSweep.h"

#include "ir/Recompute.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/ConfigFlags.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/MachineGpu.h"
#include "tools/dsc/ModelFlags.h"
#include "tools/dsc/Report.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace dsc;

namespace {
struct PlanCommand {
  PlanRequest plan;
  ConfigFlags config;
  AppliedConfig applied;
  std::string init = "model", diagnostics = "text", memory;
  bool json = false, help = false;
};
} // namespace

static void addPlanFlags(FlagTable &table, PlanCommand &command) {
  table.section("What is planned");
  table.text(
      "memory", "SIZE", command.memory,
      "what each rank has, e.g. 80GiB (default: nine tenths of this machine's, or of its GPU's)");
  table.add({"micro-batch", "N,..",
             "samples of a batch to list (default: powers of two as long as something fits)",
             [&](StringRef given) {
               llvm::SmallVector<StringRef> parts;
               given.split(parts, ',');
               for (StringRef part : parts) {
                 int64_t batch;
                 if (part.getAsInteger(10, batch) || batch < 1) {
                   return "is '" + given.str() + "', expected numbers such as 4,8,16";
                 }
                 command.plan.microBatches.push_back(batch);
               }
               return std::string();
             }});
  table.boolean("exact", command.plan.exact, "plan every row to the end, which takes longer");
  table.boolean("json", command.json, "print as JSON");
  table.choice("diagnostics", {"text", "json"}, command.diagnostics, "how errors are printed");
  table.boolean("help", command.help, "this help");
  addConfigFlags(table, command.config, "the number of ranks (default: 1)");
  addImportFlags(table, command.plan.import);
  table.choice("init", {"model", "random"}, command.init,
               "parameters start as the model's weights, or at random: the model may lack them");
  addTrainingFlags(table, command.plan.import.options);
}

/// Settings that a flag names are the only ones listed.
static Fault restrict(const FlagTable &table, PlanCommand &command) {
  CompileOptions &options = command.plan.import.options;
  if (llvm::is_contained(table.given(), "zero")) {
    command.plan.stages = {options.zero};
  }
  if (llvm::is_contained(table.given(), "recompute")) {
    if (!llvm::is_contained(command.plan.recompute, options.recompute)) {
      return "flag '--recompute' is " + options.recompute +
             "; plan lists none, cheap and full: give one of them, or compile with a bound and let "
             "--report say what it took";
    }
    command.plan.recompute = {options.recompute};
  }
  if (command.config.ranks < 0 ||
      (command.config.ranks == 0 && llvm::is_contained(table.given(), "ranks"))) {
    return "flag '--ranks' is " + std::to_string(command.config.ranks) + ", expected 1 or more";
  }
  command.plan.ranks = std::max<int64_t>(1, command.config.ranks);
  if (command.plan.ranks > options.maxRanks) {
    return "flag '--ranks' is " + std::to_string(command.plan.ranks) + ", and --max-ranks is " +
           std::to_string(options.maxRanks) + ": give both";
  }
  std::optional<int64_t> memory = parseBytes(command.memory);
  if (!command.memory.empty() && !memory) {
    return "flag '--memory' is '" + command.memory + "', expected bytes such as 80GiB";
  }
  command.plan.memory = memory ? *memory : memoryOfTarget(options.target);
  if (command.plan.memory == 0) {
    return {"the memory of a GPU is not known here: give --memory, e.g. --memory 80GiB"};
  }
  return {};
}

/// The `dsc compile` line of a row: the flags as they were given, without those of this command.
static std::string compileLine(ArrayRef<const char *> arguments, const PlanRow &row,
                               const MicroBatches &batches) {
  static const StringRef own[] = {"ranks", "memory", "micro-batch", "exact",
                                  "json",  "zero",   "recompute",   "diagnostics"};
  static const StringRef alone[] = {"exact", "json"}; // take no value
  std::string line = "dsc compile";
  for (size_t i = 0; i < arguments.size(); ++i) {
    StringRef argument = arguments[i];
    auto [name, value] = argument.ltrim('-').split('=');
    if (argument.starts_with("-") && llvm::is_contained(own, name)) {
      bool isApart = !argument.contains('=') && !llvm::is_contained(alone, name);
      i += isApart;
      continue;
    }
    line += " " + argument.str();
  }
  return line +
         llvm::formatv(" --zero={0} --recompute={1}", row.key.zero, row.key.recompute).str() +
         batches.flags(row.key.microBatch);
}

namespace {
/// The unit in which a table's numbers have two to five digits before the point.
struct TableUnit {
  StringRef name;
  double size;

  std::string operator()(int64_t number) const {
    return llvm::formatv("{0:f2}", static_cast<double>(number) / size).str();
  }
};
} // namespace

static TableUnit unitFor(int64_t largest, ArrayRef<TableUnit> units) {
  for (const TableUnit &unit : units.drop_back()) {
    if (static_cast<double>(largest) >= unit.size) {
      return unit;
    }
  }
  return units.back();
}

static void printTable(const PlanCommand &command, const PlanTable &table,
                       const MicroBatches &batches, const std::string &line) {
  llvm::raw_ostream &out = llvm::outs();
  const CompileOptions &options = command.plan.import.options;
  out << llvm::formatv(
      "{0}, {1}, {2}, {3} {4}, {5} on each\n", llvm::sys::path::filename(command.plan.import.path),
      options.precision, options.optimizer, command.plan.ranks,
      command.plan.ranks == 1 ? "rank" : "ranks", bytesInWords(command.plan.memory));
  int64_t most = 0, flops = 0;
  for (const PlanRow &row : table.rows) {
    most = std::max(most, row.bytes.peak);
    flops = std::max(flops, row.bytes.flops);
  }
  const TableUnit bytes = unitFor(most, {{"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}});
  const TableUnit work = unitFor(flops, {{"TFLOP", 1e12}, {"GFLOP", 1e9}, {"MFLOP", 1e6}});
  out << "in " << bytes.name
      << " of each rank; traffic: what a rank sends in a step; ~: estimated, *: chosen\n\n";
  out << llvm::formatv("  {0,4} {1,6} {2,-6} {3,9}", "zero", "batch", "recomp", "peak");
  for (size_t part = 0; part < kMemoryParts; ++part) {
    out << llvm::formatv(" {0,9}", memoryPartName(part).take_front(9));
  }
  out << llvm::formatv(" {0,8} {1,9}  {2}\n", "traffic", work.name, "fits");
  for (auto [i, row] : llvm::enumerate(table.rows)) {
    out << (row.isExact ? " " : "~") << (static_cast<int64_t>(i) == table.chosen ? "*" : " ");
    out << llvm::formatv("{0,4} {1,6} {2,-6} {3,9}", row.key.zero, row.key.microBatch,
                         row.key.recompute, bytes(row.bytes.peak));
    for (int64_t part : row.bytes.parts) {
      out << llvm::formatv(" {0,9}", bytes(part));
    }
    out << llvm::formatv(" {0,8} {1,9}  {2}\n", bytes(row.bytes.traffic), work(row.bytes.flops),
                         row.bytes.peak <= command.plan.memory ? "yes" : "no");
  }
  out << "\n";
  if (!batches.isFree()) {
    out << "one micro-batch: " << batches.reason() << "\n";
  }
  if (options.target == "cuda") {
    out << "beside these bytes the driver and the libraries of a GPU keep some hundred MiB\n";
  }
  if (table.chosen < 0) {
    out << "nothing fits: give more --memory or --ranks, or a smaller model\n";
    return;
  }
  const PlanRow &chosen = table.rows[table.chosen];
  out << llvm::formatv("* peak {0} bytes ({1}) on each of {2} {3}\n{4}\n", chosen.bytes.peak,
                       bytesInWords(chosen.bytes.peak), command.plan.ranks,
                       command.plan.ranks == 1 ? "rank" : "ranks", line);
}

static void printJson(const PlanCommand &command, const PlanTable &table,
                      const MicroBatches &batches, const std::string &line) {
  llvm::json::Array rows;
  for (const PlanRow &row : table.rows) {
    llvm::json::Object bytes;
    for (auto [part, value] : llvm::enumerate(row.bytes.parts)) {
      bytes[memoryPartName(part)] = value;
    }
    rows.push_back(llvm::json::Object{{"zero", row.key.zero},
                                      {"micro_batch", row.key.microBatch},
                                      {"recompute", row.key.recompute},
                                      {"exact", row.isExact},
                                      {"fits", row.bytes.peak <= command.plan.memory},
                                      {"peak_bytes", row.bytes.peak},
                                      {"bytes", std::move(bytes)},
                                      {"traffic_bytes", row.bytes.traffic},
                                      {"flops", row.bytes.flops}});
  }
  llvm::json::Object object{{"ranks", command.plan.ranks},
                            {"memory_bytes", command.plan.memory},
                            {"rows", std::move(rows)}};
  if (!batches.isFree()) {
    object["one_micro_batch"] = batches.reason();
  }
  if (table.chosen >= 0) {
    object["chosen"] = table.chosen;
    object["command"] = line;
  }
  llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(object))) << "\n";
}

static int runPlan(PlanCommand &command, ArrayRef<const char *> arguments) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, func::FuncDialect>();
  DiagnosticPrinter printer(context, command.diagnostics == "json");
  printer.setStage(ErrorId::ImportNode);
  if (command.applied.microBatch &&
      failed(bindMicroBatch(context, command.applied.microBatch, command.plan.import))) {
    return kUserError;
  }
  FailureOr<MicroBatches> batches = MicroBatches::of(context, command.plan.import);
  if (failed(batches)) {
    return kUserError;
  }
  if (!command.plan.microBatches.empty() && !batches->isFree()) {
    printer.error("flag '--micro-batch' cannot be followed: " + batches->reason(),
                  ErrorId::ImportDims);
    return kUserError;
  }
  FailureOr<PlanTable> table = sweepPlans(command.plan, *batches, [&](const PlanFault &fault) {
    if (command.diagnostics == "json") {
      printer.error(fault.text, fault.id);
    } else {
      llvm::errs() << fault.printed;
    }
  });
  if (failed(table)) {
    return kUserError;
  }
  for (const std::string &notice : command.applied.notices) {
    printer.notice(notice);
  }
  for (const std::string &notice : table->notices) {
    printer.notice(notice);
  }
  std::string line =
      table->chosen < 0 ? "" : compileLine(arguments, table->rows[table->chosen], *batches);
  (command.json ? printJson : printTable)(command, *table, *batches, line);
  return table->chosen < 0 ? kUserError : kDone;
}

int dsc::planCommand(ArrayRef<const char *> arguments) {
  PlanCommand command;
  FlagTable table;
  addPlanFlags(table, command);
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (command.help) {
    llvm::outs() << "usage: dsc plan MODEL.onnx --ranks N --memory SIZE [flags of dsc compile]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  CompileOptions &options = command.plan.import.options;
  if (wrong.empty() && !command.config.file.empty()) {
    wrong = applyConfig(table, command.config, options.accumulate, command.applied);
  }
  for (StringRef flag : {"config-ignore", "ds-compat"}) {
    if (wrong.empty() && command.config.file.empty() && llvm::is_contained(table.given(), flag)) {
      wrong = "flag '--" + flag.str() + "' says how --config is read, and that is not given";
    }
  }
  settleOptimizerDefaults(options, table.given());
  if (std::string notice = settleTarget(options, table.given()); !notice.empty()) {
    command.applied.notices.push_back(notice);
  }
  if (wrong.empty()) {
    wrong = restrict(table, command);
  }
  if (wrong.empty()) {
    wrong = checkOptions(options);
  }
  if (wrong.empty() && operands.size() != 1) {
    wrong = "expected one MODEL.onnx, got " + std::to_string(operands.size()) + " operands";
  }
  if (wrong.empty() && options.loss == "none") {
    wrong = {"flag '--loss=none' leaves nothing to train, and plan is about training"};
  }
  if (!wrong.empty()) {
    reportFault("dsc plan", wrong, wantsJsonDiagnostics(arguments));
    return kUserError;
  }
  command.plan.import.path = operands.front();
  command.plan.import.randomStart = command.init == "random";
  return runPlan(command, arguments);
}
