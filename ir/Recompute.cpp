// Texts and attributes of recomputation.

#include "ir/Recompute.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kBoundAttr = "dsc.arena_bound";
static constexpr llvm::StringLiteral kEstimateAttr = "dsc.arena_estimate";
static constexpr llvm::StringLiteral kExhaustedAttr = "dsc.arena_exhausted";

std::optional<int64_t> dsc::parseBytes(StringRef text) {
  size_t digits = text.find_first_not_of("0123456789.");
  StringRef number = text.take_front(digits),
            unit = digits == StringRef::npos ? "" : text.drop_front(digits).trim();
  double scale = llvm::StringSwitch<double>(unit)
                     .Cases("", "B", 1)
                     .Case("KiB", 0x1p10)
                     .Case("MiB", 0x1p20)
                     .Case("GiB", 0x1p30)
                     .Case("TiB", 0x1p40)
                     .Case("KB", 1e3)
                     .Case("MB", 1e6)
                     .Case("GB", 1e9)
                     .Case("TB", 1e12)
                     .Default(0);
  double value = 0;
  if (number.empty() || number.getAsDouble(value) || scale == 0) {
    return std::nullopt;
  }
  value *= scale;
  if (!(value >= 1 && value < 0x1p62)) {
    return std::nullopt;
  }
  return static_cast<int64_t>(value);
}

std::optional<RecomputeMode> dsc::parseRecompute(StringRef text) {
  static const std::pair<StringRef, RecomputeMode::Kind> names[] = {
      {"none", RecomputeMode::none},
      {"cheap", RecomputeMode::cheap},
      {"full", RecomputeMode::full},
      {"auto", RecomputeMode::automatic}};
  for (auto [name, kind] : names) {
    if (text == name) {
      return RecomputeMode{kind, 0};
    }
  }
  bool isAuto = text.consume_front("auto:");
  std::optional<int64_t> bytes = parseBytes(text);
  return bytes ? std::optional(RecomputeMode{
                     isAuto ? RecomputeMode::automatic : RecomputeMode::bytes, *bytes})
               : std::nullopt;
}

std::optional<int64_t> dsc::arenaBound(ModuleOp module) {
  auto attribute = module->getAttrOfType<IntegerAttr>(kBoundAttr);
  return attribute ? std::optional(attribute.getInt()) : std::nullopt;
}

void dsc::setArenaBound(ModuleOp module, int64_t bytes) {
  module->setAttr(kBoundAttr, Builder(module.getContext()).getI64IntegerAttr(bytes));
}

ArenaEstimate dsc::arenaEstimate(ModuleOp module) {
  auto attribute = module->getAttrOfType<IntegerAttr>(kEstimateAttr);
  return {attribute ? attribute.getInt() : 0, module->hasAttr(kExhaustedAttr)};
}

void dsc::setArenaEstimate(ModuleOp module, ArenaEstimate estimate) {
  Builder b(module.getContext());
  module->setAttr(kEstimateAttr, b.getI64IntegerAttr(estimate.bytes));
  if (estimate.isExhausted) {
    module->setAttr(kExhaustedAttr, b.getUnitAttr());
  }
}
