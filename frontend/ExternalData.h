// External data of a model: files below its folder, opened so that nothing outside it can be
// reached.

#ifndef DSC_FRONTEND_EXTERNALDATA_H
#define DSC_FRONTEND_EXTERNALDATA_H

#include "frontend/OnnxModel.h"

#include <utility>
#include <vector>

namespace dsc {

class ExternalData {
public:
  /// `folder` is the model's; with `allowSymlinks` links are followed as long as they stay below
  /// the folder's real path.
  ExternalData(std::string folder, bool allowSymlinks)
      : folder(std::move(folder)), allowSymlinks(allowSymlinks) {}
  ~ExternalData();

  /// Gives `tensor` its place in a file, from ONNX's key-value pairs. Returns a fault, "" if none.
  std::string locate(const std::vector<std::pair<std::string, std::string>> &entries,
                     onnx_model::Tensor &tensor);

private:
  std::string open(const std::string &location, std::shared_ptr<onnx_model::DataFile> &file);

  std::string folder;
  bool allowSymlinks;
  int folderDescriptor = -1;
  llvm::StringMap<std::shared_ptr<onnx_model::DataFile>> files;
};

} // namespace dsc

#endif // DSC_FRONTEND_EXTERNALDATA_H
