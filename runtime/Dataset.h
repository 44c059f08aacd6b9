// The user's samples.
// Finds, for each input of a program, where its values are: arrays by name in .npz, safetensors or
// a folder of NAME.npy, windows of token files, or a folder of such files as shards. Checks shapes
// and types once when opened; values when they are copied, or all of them by checkValues.

#ifndef DSC_RUNTIME_DATASET_H
#define DSC_RUNTIME_DATASET_H

#include "runtime/Convert.h"
#include "runtime/Manifest.h"
#include "runtime/Npz.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dsc {

struct DataOptions {
  std::string path;
  /// --tokens: the width of tokens in files without a header.
  std::optional<Dtype> tokenWidth;
  /// --tokens-to: the input that token windows feed; empty for the only candidate.
  std::string tokensTo;
};

/// Where one input's samples lie: sample i starts at element first + i * stride.
struct Column {
  TensorView source;
  int64_t first = 0;
  int64_t stride = 0;
};

/// One file or folder of arrays.
struct Shard {
  std::string where;
  int64_t samples = 0;
  /// Beside the manifest's inputs; empty for those that the runner makes itself.
  std::vector<std::optional<Column>> columns;
  std::vector<std::shared_ptr<void>> owners;
  /// Set for archives that carry checksums.
  std::shared_ptr<Npz> archive;
  bool tokens = false;
};

class Dataset {
public:
  static Result<std::unique_ptr<Dataset>> open(const Manifest &manifest,
                                               const DataOptions &options);

  int64_t samples() const { return total; }
  /// Bytes of all samples in the files.
  int64_t bytes() const;
  const std::vector<Shard> &shards() const { return parts; }
  /// What the user should know: conversions that round, arrays that are not used.
  const std::vector<std::string> &notes() const { return remarks; }

  /// Copies sample `sample` into slot `slot` of input number `input` at `target`.
  Status copy(size_t input, int64_t sample, std::byte *target, int64_t slot) const;
  /// Asks the kernel to read a sample ahead; does nothing for data that is small enough to stay in
  /// its cache.
  void prefetch(int64_t sample) const;
  /// Checks every value of every sample, and the archives' checksums. NaN in an input is a note,
  /// not an error: a graph may mean it.
  Status checkValues();

private:
  explicit Dataset(const Manifest &manifest) : manifest(manifest) {}
  Status addFile(const std::string &path, const DataOptions &options);
  Status addFolder(const DataOptions &options);
  Status addArrays(Shard shard, const std::vector<TensorView> &arrays);
  Status addTokens(const std::string &path, const DataOptions &options);
  /// The shard of a sample, whose number within it is written to `local`.
  const Shard &shardOf(int64_t sample, int64_t &local) const;
  Status describeBad(const Shard &shard, size_t input, int64_t sample, const BadValue &bad) const;
  ValueRange rangeOf(const InputSpec &input) const;
  std::string placeOf(const InputSpec &input, int64_t sample, int64_t element) const;
  void note(const std::string &text);

  const Manifest &manifest;
  std::vector<Shard> parts;
  /// First sample of each shard, and the total at the end.
  std::vector<int64_t> begins;
  int64_t total = 0;
  bool large = false;
  std::vector<std::string> remarks;
};

} // namespace dsc

#endif // DSC_RUNTIME_DATASET_H
