// `dsc check`: a model's outputs against stored data, its gradients against finite differences.

#include "codegen/Pipeline.h"
#include "tools/dsc/CheckBatch.h"
#include "tools/dsc/CheckForward.h"
#include "tools/dsc/CheckGradients.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/ModelFlags.h"

#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace dsc;

/// ONNX's layout has one folder a data set below the model's; the folder of one data set may be
/// given too.
static std::vector<std::string> dataSets(const std::string &folder) {
  std::vector<std::string> sets;
  for (;;) {
    std::string set = folder + "/test_data_set_" + std::to_string(sets.size());
    if (!llvm::sys::fs::is_directory(set)) {
      break;
    }
    sets.push_back(set);
  }
  return sets.empty() ? std::vector<std::string>{folder} : sets;
}

int dsc::checkCommand(ArrayRef<const char *> arguments) {
  CheckedProgramOptions options;
  BatchOptions batch;
  Tolerance tolerance;
  GradientCheckOptions gradients;
  std::string testData;
  int64_t jobs = batch.jobs;
  bool help = false;
  FlagTable table;
  table.section("What is checked");
  table.text("test-data", "DIR", testData,
             "outputs against DIR/input_K.pb, output_K.pb, or each DIR/test_data_set_N; "
             "without it, gradients against central differences in f64");
  table.real("rtol", "X", tolerance.relative, "outputs: relative tolerance (default: 1e-3)");
  table.real("atol", "X", tolerance.absolute, "outputs: absolute tolerance (default: 1e-7)");
  table.integer("directions", "N", gradients.directions,
                "gradients: directions a parameter (default: 2)");
  table.text("batch", "MANIFEST", batch.manifest,
             "check the outputs of every model in this list, crash by crash");
  table.text("filter", "REGEX", batch.filter, "batch: only models whose name matches");
  table.integer("jobs", "N", jobs, "batch: processes (default: 2)");
  addPassFlags(table, options.passes);
  std::string diagnostics;
  table.choice("diagnostics", {"text", "json"}, diagnostics, "how errors are printed");
  table.boolean("help", help, "this help");
  addImportFlags(table, options.import);
  addTrainingFlags(table, options.import.options);
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc check MODEL.onnx [--test-data DIR] [flags]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && operands.size() != (batch.manifest.empty() ? 1 : 0)) {
    wrong = batch.manifest.empty()
                ? "expected one MODEL.onnx, got " + std::to_string(operands.size()) + " operands"
                : "--batch names the models, but '" + operands.front() + "' is given too";
  }
  if (PhaseRun checked; wrong.empty()) {
    wrong = applyPassFlags(options.passes, checked);
  }
  if (wrong.empty() && gradients.directions < 1) {
    wrong =
        "flag '--directions' is " + std::to_string(gradients.directions) + ", expected 1 or more";
  }
  if (wrong.empty() && (jobs < 1 || jobs > 256)) {
    wrong = "flag '--jobs' is " + std::to_string(jobs) + ", expected 1 to 256";
  }
  if (wrong.empty()) {
    wrong = checkOptions(options.import.options);
  }
  if (!wrong.empty()) {
    reportFault("dsc check", wrong, wantsJsonDiagnostics(arguments));
    return kUserError;
  }
  options.import.options.target = "cpu";
  if (!batch.manifest.empty()) {
    batch.jobs = static_cast<int>(jobs);
    return checkBatch(batch);
  }
  options.import.path = operands.front();
  DialectRegistry registry;
  registry.insert<DscDialect, func::FuncDialect>();
  registerCodegenDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  DiagnosticPrinter printer(context, diagnostics == "json");
  printer.setStage(ErrorId::ImportNode);
  if (testData.empty()) {
    return checkGradients(context, options, gradients);
  }
  int exitCode = kDone;
  for (const std::string &folder : dataSets(testData)) {
    ForwardCheck check = checkForward(context, options, folder, tolerance);
    bool differs = check.stage.empty() || check.stage == "wrong";
    (differs ? llvm::outs() : llvm::errs())
        << (differs ? ""
                    : "dsc check: " + check.stage + " failed" + (check.text.empty() ? "" : ": "))
        << check.text << (differs ? "" : "\n");
    exitCode = exitCode == kDone ? check.exitCode : exitCode;
    if (!differs) {
      break;
    }
  }
  return exitCode;
}
