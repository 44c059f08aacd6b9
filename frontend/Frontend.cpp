// The public functions: read, decide, import; and what `inspect` and `ops` show.

#include "frontend/Frontend.h"

#include "frontend/FunctionExpander.h"
#include "frontend/Importer.h"
#include "frontend/InitialValues.h"
#include "frontend/OnnxReader.h"
#include "frontend/OpTable.h"
#include "frontend/WeightsWriter.h"
#include "ir/Diagnostic.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/Path.h"

#include <map>

using namespace mlir;
using namespace dsc;
using onnx_model::Dim;
using onnx_model::Model;
using onnx_model::nameOf;
using onnx_model::Node;
using onnx_model::ValueInfo;

static Location fileLocation(MLIRContext &context, const ImportOptions &options) {
  return FileLineColLoc::get(&context, llvm::sys::path::filename(options.path), 0, 0);
}

FailureOr<ImportedModel> dsc::importModel(MLIRContext &context, const ImportOptions &options) {
  context.loadDialect<DscDialect, func::FuncDialect>();
  Location loc = fileLocation(context, options);
  FailureOr<std::unique_ptr<Model>> model = readModel(
      context, options.path, {options.allowSymlinks, options.randomStart || options.namesOnly});
  if (failed(model)) {
    return failure();
  }
  FailureOr<std::unique_ptr<ParameterTable>> parameters =
      ParameterTable::decide(**model, options, loc);
  if (failed(parameters)) {
    return failure();
  }
  for (const Parameter &parameter : (*parameters)->parameters()) {
    if (parameter.tensor->isMissing && !parameter.start && !parameter.folds) {
      return dsc::emitError(loc, ErrorId::ModelWeights)
             << stringifyGlobalRole(parameter.role) << " '" << parameter.name
             << "' starts at the file's values, and their external data is not there: put the file "
                "beside the model, or start parameters with --init=random";
    }
  }
  FailureOr<ImportResult> imported = importGraph(context, **model, **parameters, options);
  if (failed(imported) || failed(verify(*imported->module))) {
    return failure();
  }
  ImportedModel result;
  result.module = std::move(imported->module);
  result.notices = (*model)->notices;
  llvm::append_range(result.notices, (*parameters)->notices);
  llvm::append_range(result.notices, imported->notices);
  result.weights = std::make_shared<WeightsWriter>(std::move(*model), std::move(*parameters));
  return result;
}

static ValueDeclaration declare(const ValueInfo &info) {
  ValueDeclaration result;
  result.name = info.name;
  result.type = info.isTensor ? nameOf(info.type) : "not a tensor";
  std::string shape;
  bool named = true;
  for (const Dim &dim : info.dims) {
    result.dims.push_back(dim.size ? std::to_string(*dim.size) : dim.name.empty() ? "?" : dim.name);
    shape += (shape.empty() ? "" : "x") + (dim.size ? std::to_string(*dim.size) : "N");
    if (!dim.size && !dim.name.empty()) {
      result.flag += (result.flag.empty() ? "--dim " : " --dim ") + dim.name + "=N";
    }
    named &= dim.size.has_value() || !dim.name.empty();
  }
  if (!named) {
    result.flag = "--input " + info.name + "=" + shape;
  }
  return result;
}

FailureOr<ModelInfo> dsc::inspectModel(MLIRContext &context, const ImportOptions &options) {
  context.loadDialect<DscDialect>();
  FailureOr<std::unique_ptr<Model>> model = readModel(
      context, options.path, {options.allowSymlinks, options.randomStart || options.namesOnly});
  if (failed(model)) {
    return failure();
  }
  FailureOr<std::unique_ptr<ParameterTable>> parameters =
      ParameterTable::decide(**model, options, fileLocation(context, options));
  if (failed(parameters)) {
    return failure();
  }
  ModelInfo info;
  info.producer = (*model)->producer + " " + (*model)->producerVersion;
  info.opset = (*model)->opset;
  info.nodes = static_cast<int64_t>((*model)->graph.nodes.size());
  for (const ValueInfo &input : (*model)->graph.inputs) {
    info.inputs.push_back(declare(input));
  }
  for (const ValueInfo &output : (*model)->graph.outputs) {
    info.outputs.push_back(declare(output));
  }
  for (const Parameter &parameter : (*parameters)->parameters()) {
    info.parameters.push_back({parameter.name, parameter.onnxNames, parameter.dims,
                               nameOf(parameter.tensor->type),
                               stringifyGlobalRole(parameter.role).str(), parameter.reason,
                               parameter.start ? describe(*parameter.start) : ""});
  }
  llvm::append_range(info.parameters, (*parameters)->constants());
  std::map<std::pair<std::string, std::string>, OpCount> ops;
  for (const Node &node : (*model)->graph.nodes) {
    OpCount &count = ops[{node.op, node.domain}];
    count.op = node.op;
    count.domain = node.domain;
    count.supported = findImport(node.domain, node.op) || hasFunctionBody(node.op, node.domain);
    ++count.count;
  }
  for (auto &entry : ops) {
    info.ops.push_back(entry.second);
  }
  info.notices = (*model)->notices;
  llvm::append_range(info.notices, (*parameters)->notices);
  return info;
}

std::vector<SupportedOp> dsc::supportedOps() {
  std::vector<SupportedOp> ops;
  for (const OpRow &row : opTable()) {
    ops.push_back({row.domain.str(), row.op.str(), true});
  }
  for (const auto &[domain, op] : functionOperators()) {
    if (!findImport(domain, op)) {
      ops.push_back({domain, op, false});
    }
  }
  llvm::sort(ops, [](const SupportedOp &a, const SupportedOp &b) {
    return std::tie(a.domain, a.op) < std::tie(b.domain, b.op);
  });
  return ops;
}

//===----------------------------------------------------------------------===//
// Diagnostics
//===----------------------------------------------------------------------===//

/// `model.onnx: node "x" (MatMul, #17): ` for a location of the importer; the stock form for
/// others.
static void printLocation(Location loc, llvm::raw_ostream &out) {
  if (auto fused = dyn_cast<FusedLoc>(loc); fused && !fused.getLocations().empty()) {
    return printLocation(fused.getLocations().front(), out);
  }
  if (auto file = dyn_cast<FileLineColLoc>(loc)) {
    out << file.getFilename().getValue() << ": ";
    return;
  }
  auto name = dyn_cast<NameLoc>(loc);
  auto op = name ? dyn_cast<NameLoc>(name.getChildLoc()) : NameLoc();
  auto file = op ? dyn_cast<FileLineColLoc>(op.getChildLoc()) : FileLineColLoc();
  if (file) {
    out << file.getFilename().getValue() << ": node \"" << name.getName().getValue() << "\" ("
        << op.getName().getValue() << ", #" << file.getLine() << "): ";
  } else if (name && isa<NameLoc>(name.getChildLoc())) {
    out << name.getName().getValue() << " of ";
    printLocation(name.getChildLoc(), out);
  } else if (name) {
    out << "\"" << name.getName().getValue() << "\": ";
  }
}

static StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
    return "note";
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  return "";
}

void dsc::printDiagnostic(Diagnostic &diagnostic, llvm::raw_ostream &out, StringRef id) {
  printLocation(diagnostic.getLocation(), out);
  out << severityName(diagnostic.getSeverity()) << ": " << diagnostic;
  out << (id.empty() ? "" : " [") << id << (id.empty() ? "\n" : "]\n");
  for (Diagnostic &note : diagnostic.getNotes()) {
    printDiagnostic(note, out);
  }
}
