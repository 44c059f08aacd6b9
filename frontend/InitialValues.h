// How --init=random fills each parameter: PyTorch's default for the kind of module that the graph
// shows it to be. docs/parameters.md has the rule for users.

#ifndef DSC_FRONTEND_INITIALVALUES_H
#define DSC_FRONTEND_INITIALVALUES_H

#include "frontend/ParameterRule.h"

namespace dsc {

/// Decides the start of every trained parameter and of running statistics of `table`, by the nodes
/// that read them. `splits` and `places` of the table tell which operand is which parameter.
void chooseInitialValues(const onnx_model::Model &model, const ParameterTable &table,
                         llvm::MutableArrayRef<Parameter> parameters);

/// "uniform within 0.0442 (a matrix of 512 inputs)", for people.
std::string describe(const InitialValue &value);

} // namespace dsc

#endif // DSC_FRONTEND_INITIALVALUES_H
