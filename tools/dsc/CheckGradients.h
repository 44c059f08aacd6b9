// Gradients of a program beside central differences of its loss.

#ifndef DSC_TOOLS_DSC_CHECKGRADIENTS_H
#define DSC_TOOLS_DSC_CHECKGRADIENTS_H

#include "tools/dsc/CheckedProgram.h"

namespace dsc {

struct GradientCheckOptions {
  int64_t directions = 2; // for each parameter
};

/// Compiles the model in f64 with the loss that `compile` would choose, and compares, on made-up
/// inputs, each parameter's gradient along random directions with (loss(p + h d) - loss(p - h d)) /
/// 2h. Prints a line a parameter; returns the exit code.
int checkGradients(mlir::MLIRContext &context, CheckedProgramOptions options,
                   const GradientCheckOptions &gradients);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CHECKGRADIENTS_H
