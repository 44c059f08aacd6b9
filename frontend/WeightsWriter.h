// The weights file of an executable: all trained and buffer tensors as safetensors, streamed from
// the model's files.

#ifndef DSC_FRONTEND_WEIGHTSWRITER_H
#define DSC_FRONTEND_WEIGHTSWRITER_H

#include "frontend/Frontend.h"
#include "frontend/ParameterRule.h"

namespace dsc {

/// Owns the model and its table of parameters, so that their bytes stay readable after import.
class WeightsWriter {
public:
  WeightsWriter(std::unique_ptr<onnx_model::Model> model,
                std::unique_ptr<ParameterTable> parameters)
      : model(std::move(model)), parameters(std::move(parameters)) {}

  std::unique_ptr<onnx_model::Model> model;
  std::unique_ptr<ParameterTable> parameters;
  /// First 16 hex digits of each tensor's SHA-256, by name; known once the file is written.
  mutable llvm::StringMap<std::string> hashes;
};

} // namespace dsc

#endif // DSC_FRONTEND_WEIGHTSWRITER_H
