// A size in the file can be replaced where the graph computes with it nowhere: an import with
// another one tells.

#include "tools/dsc/MicroBatches.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace dsc;

FailureOr<MicroBatches> MicroBatches::of(MLIRContext &context, const ImportOptions &options) {
  ImportOptions plain = options;
  plain.noTie = plain.namesOnly = true; // weights are not looked at
  FailureOr<ModelInfo> info = inspectModel(context, plain);
  if (failed(info)) {
    return failure();
  }
  MicroBatches batches;
  bool isBound = false, isOpen = false;
  for (const ValueDeclaration &input : info->inputs) {
    if (options.bind.contains(input.name)) {
      continue;
    }
    if (auto shape = options.inputs.find(input.name); shape != options.inputs.end()) {
      isBound |= !shape->second.empty();
      batches.size = shape->second.empty() ? batches.size : shape->second.front();
      continue;
    }
    if (input.dims.empty()) {
      continue;
    }
    const std::string &first = input.dims.front();
    int64_t size = 0;
    if (!StringRef(first).getAsInteger(10, size)) {
      batches.size = batches.size ? batches.size : size;
      std::vector<int64_t> shape(input.dims.size());
      bool isStatic = true;
      for (auto [i, dim] : llvm::enumerate(input.dims)) {
        auto bound = options.dims.find(dim);
        isStatic &= bound != options.dims.end() ? (shape[i] = bound->second, true)
                                                : !StringRef(dim).getAsInteger(10, shape[i]);
      }
      if (isStatic && size == batches.size) {
        batches.inputs.emplace_back(input.name, shape);
      }
    } else if (options.dims.contains(first)) {
      isBound = true;
      batches.size = options.dims.lookup(first);
    } else if (first != "?") {
      isOpen = true;
      if (!llvm::is_contained(batches.dims, first)) {
        batches.dims.push_back(first);
      }
    }
  }
  const std::string wayOut =
      "; leave the batch open when exporting (dynamic_shapes={0: \"batch\"}, docs/exporting.md)";
  if (isBound && !isOpen) {
    batches.fixedReason = "the flags give the micro-batch; without them others are listed, too";
  } else if (!isOpen && batches.inputs.empty()) {
    batches.fixedReason = "no input of the model has a batch that can be chosen" + wayOut;
  } else if (!isOpen) {
    ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
    ImportOptions other = batches.bind(options, 2 * batches.size);
    other.noTie = true;
    if (failed(importModel(context, other))) {
      batches.fixedReason = "the graph computes with its batch of " + std::to_string(batches.size) +
                            ", so it can be no other" + wayOut;
    }
  }
  return batches;
}

ImportOptions MicroBatches::bind(ImportOptions options, int64_t batch) const {
  for (const std::string &dim : dims) {
    options.dims[dim] = batch;
  }
  if (dims.empty() && batch != size) {
    for (const auto &[name, shape] : inputs) {
      SmallVector<int64_t> replaced(shape.begin(), shape.end());
      replaced.front() = batch;
      options.inputs[name] = replaced;
    }
  }
  return options;
}

std::string MicroBatches::flags(int64_t batch) const {
  std::string text;
  for (const std::string &dim : dims) {
    text += " --dim " + dim + "=" + std::to_string(batch);
  }
  if (dims.empty() && batch != size) {
    for (const auto &[name, shape] : inputs) {
      text += " --input " + name + "=" + std::to_string(batch);
      for (int64_t dim : ArrayRef<int64_t>(shape).drop_front()) {
        text += "x" + std::to_string(dim);
      }
    }
  }
  return text;
}
