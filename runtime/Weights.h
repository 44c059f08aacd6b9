// Parameters in.
// Loads trained parameters and buffers from the file beside the executable (checked by its hash),
// or from the user's safetensors by the program's or PyTorch's names. Storage that is padded or
// permuted is filled here; files always hold the manifest's shapes.

#ifndef DSC_RUNTIME_WEIGHTS_H
#define DSC_RUNTIME_WEIGHTS_H

#include "runtime/Safetensors.h"
#include "runtime/Session.h"

#include <map>
#include <string>
#include <vector>

namespace dsc {

/// Tensors by name from one file or from the shards of an index.
class TensorSet {
public:
  /// A safetensors file, an index (.json), a folder that holds one of either, a checkpoint or a
  /// folder of checkpoints.
  static Result<TensorSet> open(const std::string &path);

  const TensorView *find(const std::string &name) const;
  const std::map<std::string, TensorView> &tensors() const { return byName; }
  const std::vector<Safetensors> &files() const { return parts; }

private:
  Status addIndex(const std::string &path);

  std::vector<Safetensors> parts;
  std::map<std::string, TensorView> byName;
};

/// Loads the file that the compiler wrote beside the executable, found by its name in the manifest
/// or the executable's and checked by its hash; makes weights that start at random from `seed`.
Status loadInitialWeights(Session &session, int64_t seed);

/// Loads from the user's `path`. Names that are missing, unexpected or of another shape are listed;
/// with `partial` they keep their initial values (of `seed`) and the list goes to `notes`.
Status loadWeights(Session &session, const std::string &path, bool partial, int64_t seed,
                   std::vector<std::string> &notes);

/// Copies `tensor`, whose shape is that of the global, into it. Error: a value does not convert.
Status storeTensor(Session &session, const GlobalSpec &spec, const TensorView &tensor);

} // namespace dsc

#endif // DSC_RUNTIME_WEIGHTS_H
