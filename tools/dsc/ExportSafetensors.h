// Weights as the libraries around PyTorch read them: model.safetensors, or shards with an index.

#ifndef DSC_TOOLS_DSC_EXPORTSAFETENSORS_H
#define DSC_TOOLS_DSC_EXPORTSAFETENSORS_H

#include "runtime/Status.h"
#include "tools/dsc/TrainedWeights.h"

namespace dsc {

struct SafetensorsExport {
  std::string folder;
  std::string dtype;                  // "fp32", "fp16", "bf16"; "": as they are
  std::string stripPrefix;            // left out of names that begin with it
  int64_t shardBytes = 5'000'000'000; // largest file, unless one tensor is larger
  bool force = false;
};

struct WrittenShards {
  std::vector<std::string> files; // the index last, where there is one
  int64_t bytes = 0;              // of all tensors
};

/// Writes `weights` into the folder, which is made where it is missing, as Hugging Face's
/// `save_pretrained` lays it out: one model.safetensors, or model-00001-of-0000N.safetensors and
/// model.safetensors.index.json. Files of an earlier export that are no longer part of it are
/// removed. Error: a file there that dsc did not write; two names that are one without the prefix;
/// a prefix that no name has; a value out of the type's range.
Result<WrittenShards> exportSafetensors(const TrainedWeights &weights,
                                        const SafetensorsExport &request);

} // namespace dsc

#endif // DSC_TOOLS_DSC_EXPORTSAFETENSORS_H
