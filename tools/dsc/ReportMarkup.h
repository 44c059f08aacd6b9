// Text for the report's page: everything is written as XML that HTML reads alike.

#ifndef DSC_TOOLS_DSC_REPORTMARKUP_H
#define DSC_TOOLS_DSC_REPORTMARKUP_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace dsc {

/// `text` with what markup gives a meaning to as references; invalid UTF-8 is replaced.
std::string escaped(llvm::StringRef text);

/// 1234567 as 1 234 567, with narrow spaces that do not break.
std::string grouped(int64_t number);

/// "16 x 64 x 128", "scalar"
std::string shapeInMarkup(llvm::ArrayRef<int64_t> shape);

/// 1234567890 operations as "1.23 GFLOP".
std::string flopsInWords(int64_t flops);

} // namespace dsc

#endif // DSC_TOOLS_DSC_REPORTMARKUP_H
