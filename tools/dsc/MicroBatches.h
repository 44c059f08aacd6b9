// Which micro-batches a model can be compiled for, and with which flags.

#ifndef DSC_TOOLS_DSC_MICROBATCHES_H
#define DSC_TOOLS_DSC_MICROBATCHES_H

#include "frontend/Frontend.h"

namespace dsc {

/// The first dimension of the model's data inputs.
class MicroBatches {
public:
  /// Reads it from the model: free where a dimension of that name is not bound, and, if `tries`
  /// (which imports the model again), where the file's size can be replaced. Errors have been
  /// emitted.
  static mlir::FailureOr<MicroBatches> of(mlir::MLIRContext &context, const ImportOptions &options);

  bool isFree() const { return fixedReason.empty(); }
  /// Why there is one micro-batch only, and the way out; "" where it is free.
  const std::string &reason() const { return fixedReason; }
  /// The file's or the flags' size; 0 where it has a name only.
  int64_t given() const { return size; }

  /// `options` for a micro-batch of `batch`.
  ImportOptions bind(ImportOptions options, int64_t batch) const;
  /// The flags that do the same at `dsc compile`, " --dim batch=8"; "" for the size given.
  std::string flags(int64_t batch) const;

private:
  std::vector<std::string> dims;                                    // symbolic first dimensions
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs; // replaced shapes
  int64_t size = 0;
  std::string fixedReason;
};

} // namespace dsc

#endif // DSC_TOOLS_DSC_MICROBATCHES_H
