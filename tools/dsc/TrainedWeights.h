// Trained weights from where training left them: one file, shards with their index, or the folder
// of either.

#ifndef DSC_TOOLS_DSC_TRAINEDWEIGHTS_H
#define DSC_TOOLS_DSC_TRAINEDWEIGHTS_H

#include "frontend/TrainedTensor.h"
#include "runtime/Tensor.h"

#include <memory>
#include <string>
#include <vector>

namespace dsc {

class TensorSet;

/// Keeps the files mapped; tensors are read out of them piece by piece.
class TrainedWeights {
public:
  /// Error: no such file, another format, damaged, or tensors of types that weights never have.
  static Result<TrainedWeights> open(const std::string &path);

  /// What `open` was given, or what it found there.
  const std::string &source() const { return path; }
  /// In the order of the files.
  const std::vector<TensorView> &views() const { return ordered; }
  /// For the frontend; valid while this object lives.
  std::vector<TrainedTensor> tensors() const;

private:
  TrainedWeights(std::string path, std::shared_ptr<const TensorSet> set)
      : path(std::move(path)), set(std::move(set)) {}

  std::string path;
  std::shared_ptr<const TensorSet> set; // keeps the views' bytes
  std::vector<TensorView> ordered;
};

} // namespace dsc

#endif // DSC_TOOLS_DSC_TRAINEDWEIGHTS_H
