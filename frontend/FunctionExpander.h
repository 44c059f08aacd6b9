// Bodies of ONNX operators that are defined as functions: an operator without a row of its own is
// imported as these nodes.

#ifndef DSC_FRONTEND_FUNCTIONEXPANDER_H
#define DSC_FRONTEND_FUNCTIONEXPANDER_H

#include "frontend/OnnxModel.h"

#include <optional>
#include <string>

namespace dsc {

struct FunctionBody {
  std::vector<std::string> inputs, outputs; // formal names
  std::vector<onnx_model::Node> nodes;      // in order; attributes are bound to the call's
};

/// A tensor type as libonnx's body builders want it.
struct OperandType {
  onnx_model::DataType type = onnx_model::DataType::Undefined; // Undefined: the operand is left out
  std::vector<int64_t> dims;
};

/// Whether `op` has a body, of any kind.
bool hasFunctionBody(const std::string &op, const std::string &domain);

/// The body of `node` for operands of these types; nothing where it has none.
std::optional<FunctionBody> expandFunction(const onnx_model::Node &node,
                                           const std::vector<OperandType> &operands);

/// All operators with a body, as (domain, name).
std::vector<std::pair<std::string, std::string>> functionOperators();

} // namespace dsc

#endif // DSC_FRONTEND_FUNCTIONEXPANDER_H
