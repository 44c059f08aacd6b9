// External data of a model: files below its folder, opened so that nothing outside it can be
// reached.

#ifndef DSC_FRONTEND_EXTERNALDATA_H
#define DSC_FRONTEND_EXTERNALDATA_H

#include "frontend/OnnxModel.h"

#include <map>
#include <utility>
#include <vector>

namespace dsc {

class ExternalData {
public:
  /// `folder` is the model's; with `allowSymlinks` links are followed as long as they stay below
  /// the folder's real path.
  /// With `allowMissing` a file that is not there leaves its tensors without data.
  ExternalData(std::string folder, bool allowSymlinks, bool allowMissing)
      : folder(std::move(folder)), allowSymlinks(allowSymlinks), allowMissing(allowMissing) {}
  ~ExternalData();

  /// Gives `tensor` its place in a file, from ONNX's key-value pairs. Returns a fault, "" if none.
  std::string locate(const std::vector<std::pair<std::string, std::string>> &entries,
                     onnx_model::Tensor &tensor);

  /// Files that were missing, and how many tensors they hold.
  const std::map<std::string, int64_t> &missingFiles() const { return missing; }

private:
  std::string open(const std::string &location, std::shared_ptr<onnx_model::DataFile> &file);

  std::string folder;
  bool allowSymlinks, allowMissing;
  std::map<std::string, int64_t> missing;
  int folderDescriptor = -1;
  llvm::StringMap<std::shared_ptr<onnx_model::DataFile>> files;
};

} // namespace dsc

#endif // DSC_FRONTEND_EXTERNALDATA_H
