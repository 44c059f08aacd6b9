// Search for NVIDIA's toolkit.

#include "codegen/cuda/CudaToolkit.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

using namespace llvm;

/// Folders of the packages nvidia-* below `lib` of a Python environment: nvidia/cu13 and such, and
/// one folder a component for CUDA 12.
static void addPythonFolders(StringRef lib, SmallVectorImpl<std::string> &folders) {
  std::error_code error;
  for (sys::fs::directory_iterator python(lib, error), end; python != end && !error;
       python.increment(error)) {
    if (!sys::path::filename(python->path()).starts_with("python3")) {
      continue;
    }
    for (StringRef packages : {"/site-packages/nvidia", "/dist-packages/nvidia"}) {
      std::error_code none;
      SmallVector<std::string> found;
      for (sys::fs::directory_iterator at(python->path() + packages, none), last;
           at != last && !none; at.increment(none)) {
        found.push_back(at->path());
      }
      llvm::sort(found);
      folders.append(found.rbegin(), found.rend());
    }
  }
}

SmallVector<std::string> dsc::cuda::toolkitFolders() {
  SmallVector<std::string> folders;
  for (const char *variable : {"DSC_CUDA_PATH", "CUDA_HOME", "CUDA_PATH"}) {
    if (std::optional<std::string> path = sys::Process::GetEnv(variable); path && !path->empty()) {
      folders.push_back(*path);
    }
  }
  folders.push_back("/usr/local/cuda");
  folders.push_back("/opt/cuda");
  if (std::optional<std::string> path = sys::Process::GetEnv("VIRTUAL_ENV")) {
    addPythonFolders(*path + "/lib", folders);
  }
  for (StringRef lib : {"/usr/local/lib", "/usr/lib"}) {
    addPythonFolders(lib, folders);
  }
  return folders;
}

std::string dsc::cuda::findToolkitFile(ArrayRef<StringRef> names) {
  for (const std::string &folder : toolkitFolders()) {
    for (StringRef name : names) {
      std::string path = (folder + "/" + name).str();
      if (sys::fs::exists(path)) {
        return path;
      }
    }
  }
  return "";
}

std::string dsc::cuda::toolkitHint() {
  return "looked in " + llvm::join(toolkitFolders(), ", ") +
         "; install the CUDA toolkit or `pip install nvidia-cuda-nvcc nvidia-nvvm "
         "nvidia-nvjitlink`, and set DSC_CUDA_PATH where it is elsewhere";
}
