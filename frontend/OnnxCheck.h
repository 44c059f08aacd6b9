// Limits that a model must keep before any of libonnx's algorithms sees it: its shape inference,
// converter and inliner crash or hang on sizes, axes and equations that its own checker accepts.

#ifndef DSC_FRONTEND_ONNXCHECK_H
#define DSC_FRONTEND_ONNXCHECK_H

#include "onnx/onnx_pb.h"

#include <optional>
#include <string>

namespace dsc {

/// The first fault of `model`, as a sentence; nothing where it keeps all limits.
std::optional<std::string> findFault(const onnx::ModelProto &model);

/// Cycles, dangling inputs and duplicate names of `graph`; `scope` names it in the message.
std::optional<std::string> findGraphFault(const onnx::GraphProto &graph);

/// `name` fit for a message: printable, at most 120 characters.
std::string printableName(const std::string &name);

} // namespace dsc

#endif // DSC_FRONTEND_ONNXCHECK_H
