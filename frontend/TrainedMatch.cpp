// The table of parameters is decided as at import. Flags of the compilation that change it
// (--no-tie,
// --train) are told by the names that the trained weights have.

#include "frontend/TrainedMatch.h"

#include "frontend/OnnxReader.h"
#include "ir/Diagnostic.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::onnx_model;

/// "a, b and 3 more"
static std::string listed(ArrayRef<std::string> names) {
  constexpr size_t most = 8;
  std::string text;
  for (const std::string &name : names.take_front(most)) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return names.size() > most ? text + " and " + std::to_string(names.size() - most) + " more"
                             : text;
}

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t dim : shape) {
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  }
  return "[" + text + "]";
}

namespace {

class Matcher {
public:
  Matcher(Location loc, const ExportOptions &options, ArrayRef<TrainedTensor> tensors)
      : loc(loc), options(options) {
    for (const TrainedTensor &tensor : tensors) {
      byName[tensor.name] = &tensor;
    }
  }

  FailureOr<MatchedModel> run(MLIRContext &context) {
    FailureOr<std::unique_ptr<Model>> model =
        readModel(context, options.model, {options.allowSymlinks, /*allowMissing=*/true});
    if (failed(model)) {
      return failure();
    }
    FailureOr<std::unique_ptr<ParameterTable>> table = decide(**model);
    if (failed(table)) {
      return failure();
    }
    MatchedModel result;
    if (failed(match(**table, result))) {
      return failure();
    }
    result.writeBack = planWriteBack(**model, **table);
    return result;
  }

private:
  /// The table as it was when the weights were trained: names that it lacks tell of --no-tie and
  /// --train, which are flags of the compilation.
  FailureOr<std::unique_ptr<ParameterTable>> decide(const Model &model) {
    ImportOptions import;
    import.path = options.model;
    FailureOr<std::unique_ptr<ParameterTable>> table = ParameterTable::decide(model, import, loc);
    if (failed(table) || unknown(**table).empty()) {
      return table;
    }
    std::vector<std::string> strangers = unknown(**table);
    for (const ParameterInfo &constant : (*table)->constants()) {
      if (llvm::is_contained(strangers, constant.name)) {
        import.trainRegex +=
            (import.trainRegex.empty() ? "^(" : "|") + llvm::Regex::escape(constant.name);
      }
    }
    import.trainRegex += import.trainRegex.empty() ? "" : ")$";
    import.noTie = true;
    FailureOr<std::unique_ptr<ParameterTable>> untied = ParameterTable::decide(model, import, loc);
    if (succeeded(untied) && missing(**untied).empty()) {
      return untied;
    }
    if (!import.trainRegex.empty()) {
      import.noTie = false;
      return ParameterTable::decide(model, import, loc);
    }
    return table;
  }

  const TrainedTensor *find(const Parameter &parameter) const {
    return byName.lookup(parameter.name);
  }

  std::vector<std::string> unknown(const ParameterTable &table) const {
    llvm::StringSet<> known;
    for (const Parameter &parameter : table.parameters()) {
      known.insert(parameter.name);
    }
    std::vector<std::string> names;
    for (const auto &entry : byName) {
      if (!known.contains(entry.first())) {
        names.push_back(entry.first().str());
      }
    }
    llvm::sort(names);
    return names;
  }

  std::vector<std::string> missing(const ParameterTable &table) const {
    std::vector<std::string> names;
    for (const Parameter &parameter : table.parameters()) {
      // A buffer that no step writes may be part of the program instead.
      if (!parameter.folds && !find(parameter)) {
        names.push_back(parameter.name);
      }
    }
    return names;
  }

  LogicalResult match(const ParameterTable &table, MatchedModel &result) {
    std::vector<std::string> shapes;
    for (const Parameter &parameter : table.parameters()) {
      const TrainedTensor *tensor = find(parameter);
      result.trained.push_back(tensor);
      result.parameters += tensor && parameter.role == GlobalRole::trained;
      if (tensor && tensor->shape != parameter.dims) {
        shapes.push_back(parameter.name + " is " + shapeText(tensor->shape) + " there and " +
                         shapeText(parameter.dims) + " here");
      }
    }
    std::vector<std::string> lacking = missing(table), strangers = unknown(table);
    if (lacking.empty() && strangers.empty() && shapes.empty()) {
      return success();
    }
    InFlightDiagnostic error = dsc::emitError(loc, ErrorId::ModelWeights);
    error << options.weights << " does not hold the weights of this model";
    auto add = [&](StringRef what, const std::vector<std::string> &names) {
      if (!names.empty()) {
        error << "; " << what << " (" << names.size() << "): " << listed(names);
      }
    };
    add("missing there", lacking);
    add("not in the model", strangers);
    add("of another shape", shapes);
    error << "; give the model that was compiled ('dsc inspect' lists its parameters)";
    return error;
  }

  Location loc;
  const ExportOptions &options;
  llvm::StringMap<const TrainedTensor *> byName;
};

} // namespace

FailureOr<MatchedModel> dsc::matchTrained(MLIRContext &context, Location loc,
                                          const ExportOptions &options,
                                          ArrayRef<TrainedTensor> tensors) {
  return Matcher(loc, options, tensors).run(context);
}
