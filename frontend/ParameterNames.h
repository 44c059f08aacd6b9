// What the names that PyTorch's modules and exporters give to tensors say about them.

#ifndef DSC_FRONTEND_PARAMETERNAMES_H
#define DSC_FRONTEND_PARAMETERNAMES_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace dsc {

/// Whether a module gives this name to a buffer ("bn1.running_mean").
bool isBufferName(llvm::StringRef name);

/// Whether `name` may be a parameter's: it is no buffer's and none that an exporter gives to values
/// on the way ("val_12", "expand_3").
bool looksLikeParameter(llvm::StringRef name);

/// Whether the value of this name was computed from numbers rather than moved ("div_2", not
/// "permute").
bool isArithmeticName(llvm::StringRef name);

/// Whether later phases give this name to a function of the module: no parameter or constant can
/// have it.
bool isFunctionName(llvm::StringRef name);

/// Entries of a Python list of strings, as PyTorch's exporter prints it.
llvm::SmallVector<std::string> pythonStrings(llvm::StringRef text);

} // namespace dsc

#endif // DSC_FRONTEND_PARAMETERNAMES_H
