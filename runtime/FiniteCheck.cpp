// Looks for the first infinity or NaN.

#include "runtime/FiniteCheck.h"

#include <cmath>

using namespace dsc;

void FiniteCheck::begin(int32_t op) {
  // A kernel of several launches has its results after the last of them.
  if (op != running) {
    (void)finish(); // told at the end
    running = op;
  }
}

Status FiniteCheck::finish() {
  if (running >= 0 && static_cast<size_t>(running) < manifest.ops.size() && !found && status.ok()) {
    examine(running);
  }
  running = -1;
  return status;
}

void FiniteCheck::examine(int32_t op) {
  for (const PlannedTensor &result : manifest.ops[static_cast<size_t>(op)].results) {
    Result<std::vector<std::byte>> data = read(result);
    if (data.failed()) {
      status = data.status();
      return;
    }
    const int64_t count = elementCount(result.shape).value_or(0);
    for (int64_t i = 0; i < count; ++i) {
      double value = loadAsDouble(result.dtype, data->data(), i);
      if (std::isfinite(value)) {
        continue;
      }
      if (!(std::isinf(value) && value < 0)) {
        found = Finding{op, value};
        return;
      }
      hidden = hidden ? hidden : Finding{op, value};
    }
  }
}

std::string FiniteCheck::describe() const {
  if (!first()) {
    return "every value of forward and backward is finite, their squares' sum is not";
  }
  const OpSpec &op = manifest.ops[static_cast<size_t>(first()->op)];
  std::string nodes;
  for (size_t i = 0; i < op.onnxNames.size() && i < 4; ++i) {
    nodes += (i ? ", " : "") + op.onnxNames[i];
  }
  nodes += op.onnxNames.size() > 4 ? ", .." : "";
  return format("the first op that gives %s is %s%s%s%s",
                std::isnan(first()->value) ? "NaN" : "infinity", op.name.c_str(),
                nodes.empty() ? "" : " (ONNX nodes: ", nodes.c_str(), nodes.empty() ? "" : ")");
}
