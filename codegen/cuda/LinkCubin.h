// PTX -> machine code, by NVIDIA's assembler: nvJitLink in this process, else the program ptxas.

#ifndef DSC_CODEGEN_CUDA_LINKCUBIN_H
#define DSC_CODEGEN_CUDA_LINKCUBIN_H

#include "llvm/Support/Error.h"

#include <string>

namespace dsc::cuda {

struct Cubin {
  std::string bytes; // empty where the toolkit has no assembler: the driver then compiles the PTX
  std::string log;   // what the assembler says of registers, spills and shared memory
};

/// Machine code of `ptx` for `arch`; may be called from several threads. Error: the assembler
/// refuses the text.
llvm::Expected<Cubin> linkCubin(llvm::StringRef ptx, llvm::StringRef arch);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_LINKCUBIN_H
