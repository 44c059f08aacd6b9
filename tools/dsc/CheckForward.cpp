// Test data in ONNX's layout: input_K.pb and output_K.pb, in the order of the graph's declarations;
// a stored name wins over it.

#include "tools/dsc/CheckForward.h"

#include "tools/dsc/Commands.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

static std::string textOf(const std::string &name, int32_t type,
                          const std::vector<int64_t> &shape) {
  return "'" + name + "' " + dtypeName(static_cast<Dtype>(type)) + " " + shapeText(shape);
}

/// Files FOLDER/KIND_0.pb, FOLDER/KIND_1.pb, ... Error: one of them is no tensor.
static FailureOr<std::vector<StoredTensor>> readAll(Location loc, const std::string &folder,
                                                    StringRef kind,
                                                    ArrayRef<ValueDeclaration> declared) {
  std::vector<StoredTensor> tensors;
  for (;;) {
    std::string path = llvm::formatv("{0}/{1}_{2}.pb", folder, kind, tensors.size());
    if (!llvm::sys::fs::exists(path)) {
      return tensors;
    }
    FailureOr<StoredTensor> tensor = readTensorFile(loc, path);
    if (failed(tensor)) {
      return failure();
    }
    if (tensor->name.empty() && tensors.size() < declared.size()) {
      tensor->name = declared[tensors.size()].name;
    }
    tensors.push_back(std::move(*tensor));
  }
}

static TensorView viewOf(const StoredTensor &tensor) {
  return {tensor.name, static_cast<Dtype>(tensor.type), tensor.shape,
          reinterpret_cast<const std::byte *>(tensor.bytes.data()),
          static_cast<int64_t>(tensor.bytes.size())};
}

/// "[1, 2]" of element `index`.
static std::string positionText(int64_t index, const Shape &shape) {
  Shape position(shape.size());
  for (size_t i = shape.size(); i-- > 0; index /= shape[i]) {
    position[i] = index % shape[i];
  }
  return shapeText(position);
}

/// The comparison of one output as a line; whether it agrees.
static std::pair<bool, std::string>
compareOutput(const TensorView &value, const TensorView &expected, const Tolerance &tolerance) {
  std::string line = "output " + textOf(expected.name, expected.dtype, expected.shape) + ": ";
  if (value.dtype != expected.dtype || value.shape != expected.shape) {
    return {false,
            line + "the program has " + dtypeName(value.dtype) + " " + shapeText(value.shape)};
  }
  int64_t outside = 0, worst = -1;
  double largest = 0, largestRelative = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    double x = loadAsDouble(value.dtype, value.data, i),
           y = loadAsDouble(expected.dtype, expected.data, i);
    if (x == y || (std::isnan(x) && std::isnan(y))) {
      continue;
    }
    double distance = std::isfinite(x) && std::isfinite(y) ? std::fabs(x - y) : INFINITY;
    largestRelative = std::max(largestRelative, y != 0 ? distance / std::fabs(y) : INFINITY);
    if (distance > largest) {
      largest = distance;
      worst = i;
    }
    outside += !(distance <= tolerance.absolute + tolerance.relative * std::fabs(y));
  }
  if (worst < 0) {
    return {true, line + "equal"};
  }
  line += llvm::formatv("largest difference {0} ({1} relative) at {2}: {3} instead of {4}",
                        format("%.2e", largest), format("%.2e", largestRelative),
                        positionText(worst, expected.shape),
                        format("%.9g", loadAsDouble(value.dtype, value.data, worst)),
                        format("%.9g", loadAsDouble(expected.dtype, expected.data, worst)));
  if (outside) {
    line += llvm::formatv("; {0} of {1} elements are outside the tolerance", outside,
                          expected.elements());
  }
  return {outside == 0, line};
}

ForwardCheck dsc::checkForward(MLIRContext &context, CheckedProgramOptions options,
                               const std::string &folder, const Tolerance &tolerance) {
  options.import.options.loss = "none";
  Location loc = FileLineColLoc::get(&context, options.import.path, 0, 0);
  CheckedProgram program = compileAndLoad(context, options);
  if (!program.run) {
    return {program.failedStage, program.message, program.exitCode};
  }
  FailureOr<ModelInfo> info = inspectModel(context, options.import);
  if (failed(info)) {
    return {"import", "", kUserError};
  }
  FailureOr<std::vector<StoredTensor>> inputs = readAll(loc, folder, "input", info->inputs);
  FailureOr<std::vector<StoredTensor>> outputs = readAll(loc, folder, "output", info->outputs);
  if (failed(inputs) || failed(outputs)) {
    return {"data", "", kUserError};
  }
  if (outputs->empty()) {
    return {"data", folder + " holds no output_0.pb", kUserError};
  }
  for (const StoredTensor &input : *inputs) {
    if (Status status = program.run->setInput(viewOf(input)); status.failed()) {
      return {"data", status.message(), kUserError};
    }
  }
  if (Status status = program.run->run("eval"); status.failed()) {
    return {"run", status.message(), static_cast<int>(status.exitCode())};
  }
  ForwardCheck check;
  for (const StoredTensor &expected : *outputs) {
    std::optional<TensorView> value = program.run->result("eval", expected.name);
    auto [agrees, line] =
        value ? compareOutput(*value, viewOf(expected), tolerance)
              : std::pair(false, "output '" + expected.name + "' is none of the program's");
    check.text += line + "\n";
    if (!agrees) {
      check.stage = "wrong";
      check.exitCode = kDifference;
    }
  }
  return check;
}
