// `dsc inspect`: what a model file holds and how dsc understands it.

#include "passes/Pipeline.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/ModelFlags.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace dsc;

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [i, size] : llvm::enumerate(shape)) {
    text += (i ? ", " : "") + std::to_string(size);
  }
  return text + "]";
}

static void printText(const ModelInfo &info, llvm::raw_ostream &out) {
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
                         parameter.type, shapeText(parameter.shape), parameter.reason);
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
  for (const std::string &notice : info.notices) {
    out << "note: " << notice << "\n";
  }
}

static void printJson(const ModelInfo &info, llvm::raw_ostream &out) {
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
    parameters.push_back(llvm::json::Object{{"name", parameter.name},
                                            {"onnx_names", strings(parameter.onnxNames)},
                                            {"shape", llvm::json::Array(parameter.shape)},
                                            {"dtype", parameter.type},
                                            {"role", parameter.role},
                                            {"reason", parameter.reason}});
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

int dsc::inspectCommand(ArrayRef<const char *> arguments) {
  ImportOptions options;
  bool json = false, patterns = false, help = false;
  FlagTable table;
  table.section("Output");
  table.boolean("json", json, "print as JSON");
  table.boolean("patterns", patterns,
                "what the raise phase recognised where, and near misses; dims must be bound");
  table.refused("lr", "", "the table of learning rates comes with schedules");
  table.boolean("help", help, "this help");
  addImportFlags(table, options);
  std::vector<std::string> operands;
  std::string wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc inspect MODEL.onnx [flags]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && operands.size() != 1) {
    wrong = "expected one file, got " + std::to_string(operands.size());
  }
  if (!wrong.empty()) {
    llvm::errs() << "dsc inspect: " << wrong << "\n";
    return kUserError;
  }
  options.path = operands.front();
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, func::FuncDialect>();
  DiagnosticPrinter printer(context, false);
  if (patterns) {
    return printPatterns(context, options, json);
  }
  FailureOr<ModelInfo> info = inspectModel(context, options);
  if (failed(info)) {
    return kUserError;
  }
  json ? printJson(*info, llvm::outs()) : printText(*info, llvm::outs());
  return kDone;
}
