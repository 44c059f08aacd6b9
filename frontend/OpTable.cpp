// The table itself, made from the lists in the header, and its index.

#include "frontend/OpTable.h"

#include "llvm/ADT/StringMap.h"

using namespace dsc;

llvm::ArrayRef<OpRow> dsc::opTable() {
#define DSC_ROW(name) {"", #name, import##name},
#define DSC_MICROSOFT_ROW(name) {"com.microsoft", #name, importMicrosoft##name},
  static const OpRow rows[] = {DSC_ONNX_OPS(DSC_ROW) DSC_MICROSOFT_OPS(DSC_MICROSOFT_ROW)};
#undef DSC_ROW
#undef DSC_MICROSOFT_ROW
  return rows;
}

ImportFunction dsc::findImport(llvm::StringRef domain, llvm::StringRef op) {
  static const llvm::StringMap<ImportFunction> index = [] {
    llvm::StringMap<ImportFunction> map;
    for (const OpRow &row : opTable()) {
      map[(row.domain + ":" + row.op).str()] = row.import;
    }
    return map;
  }();
  return index.lookup((domain + ":" + op).str());
}
