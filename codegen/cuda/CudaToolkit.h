// Where the parts of NVIDIA's toolkit that compiling needs are: a system's toolkit or NVIDIA's
// Python packages. None of them needs a GPU.

#ifndef DSC_CODEGEN_CUDA_CUDATOOLKIT_H
#define DSC_CODEGEN_CUDA_CUDATOOLKIT_H

#include "llvm/ADT/SmallVector.h"

#include <string>

namespace dsc::cuda {

/// Folders that may hold a toolkit, the most specific first: DSC_CUDA_PATH, CUDA_HOME, CUDA_PATH,
/// the system's places, Python's nvidia packages (of VIRTUAL_ENV and of the system's Python).
llvm::SmallVector<std::string> toolkitFolders();

/// The first of `names`, each relative to a toolkit's folder, that exists; empty where none does.
std::string findToolkitFile(llvm::ArrayRef<llvm::StringRef> names);

/// For messages: how to get what was not found.
std::string toolkitHint();

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_CUDATOOLKIT_H
