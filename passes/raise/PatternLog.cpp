// The report of the raise phase as an attribute of the module.

#include "passes/raise/PatternLog.h"

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kPatternsAttr = "dsc.patterns";

std::string dsc::locationName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    return name.getName().str();
  }
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations()) {
      if (std::string name = locationName(part); !name.empty()) {
        return name;
      }
    }
  }
  if (auto line = dyn_cast<FileLineColLoc>(loc)) {
    return ("line " + Twine(line.getLine())).str();
  }
  return "";
}

void PatternLog::add(StringRef pattern, Operation *at, bool found, const Twine &detail) {
  MLIRContext *context = at->getContext();
  auto function = at->getParentOfType<func::FuncOp>();
  auto entry = [&](StringRef name, Attribute value) {
    return NamedAttribute(StringAttr::get(context, name), value);
  };
  entries.push_back(DictionaryAttr::get(
      context,
      {entry("pattern", StringAttr::get(context, pattern)),
       entry("function", StringAttr::get(context, function ? function.getName() : StringRef())),
       entry("at", StringAttr::get(context, locationName(at->getLoc()))),
       entry("found", BoolAttr::get(context, found)),
       entry("detail", StringAttr::get(context, detail))}));
}

void PatternLog::attach(ModuleOp module) {
  SmallVector<Attribute> all;
  if (auto before = module->getAttrOfType<ArrayAttr>(kPatternsAttr)) {
    llvm::append_range(all, before);
  }
  llvm::append_range(all, entries);
  if (!all.empty()) {
    module->setAttr(kPatternsAttr, ArrayAttr::get(module.getContext(), all));
  }
}
