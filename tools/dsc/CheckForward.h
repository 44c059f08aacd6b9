// Outputs of a program beside stored ones.

#ifndef DSC_TOOLS_DSC_CHECKFORWARD_H
#define DSC_TOOLS_DSC_CHECKFORWARD_H

#include "frontend/TestData.h"
#include "tools/dsc/CheckedProgram.h"

namespace dsc {

/// |value - expected| <= absolute + relative * |expected|; equal infinities and NaNs agree. The
/// defaults are those of ONNX's own runner.
struct Tolerance {
  double relative = 1e-3, absolute = 1e-7;
};

struct ForwardCheck {
  std::string stage; // what failed: a stage of CheckedProgram, "data", "run", "wrong"; empty: all
                     // outputs agree
  std::string text;  // one line an output, or why it failed
  int exitCode = 0;
};

/// Compiles the model forward only, runs it on FOLDER/input_K.pb and compares with
/// FOLDER/output_K.pb.
ForwardCheck checkForward(mlir::MLIRContext &context, CheckedProgramOptions options,
                          const std::string &folder, const Tolerance &tolerance);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CHECKFORWARD_H
