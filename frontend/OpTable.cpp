// The table itself, made from the lists in the header, and its index.

#include "frontend/OpTable.h"

#include "llvm/ADT/StringMap.h"

using namespace dsc;

llvm::ArrayRef<OpRow> dsc::opTable() {
#define DSC_ROW(name) {"", #name, import##name},
  static const OpRow rows[] = {DSC_ONNX_OPS(DSC_ROW)};
#undef DSC_ROW
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
