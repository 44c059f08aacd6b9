// Types through MLIR's type replacer, constants by their values; casts that no longer change
// anything are removed.

#include "tools/dsc/WidenFloats.h"

#include "mlir/IR/AttrTypeSubElements.h"

using namespace mlir;
using namespace dsc;

static Attribute widen(DenseElementsAttr value) {
  auto type = cast<ShapedType>(value.getType());
  if (!type.getElementType().isF32()) {
    return value;
  }
  auto wide = Float64Type::get(value.getContext());
  return value.mapValues(wide, [](const APFloat &element) {
    APFloat copy = element;
    bool loses;
    copy.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
    return copy.bitcastToAPInt();
  });
}

void dsc::widenFloats(ModuleOp module) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([](FloatType type) -> std::optional<Type> {
    return type.isF32() ? Type(Float64Type::get(type.getContext())) : Type(type);
  });
  replacer.addReplacement(
      [](DenseElementsAttr value) { return std::make_pair(widen(value), WalkResult::skip()); });
  module.walk([&](Operation *op) {
    auto global = dyn_cast<GlobalOp>(op);
    if (!global || global.getRole() != GlobalRole::runtime) {
      replacer.replaceElementsIn(op, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                 /*replaceTypes=*/true);
    }
  });
  module.walk([](CastOp cast) {
    if (cast->getOperand(0).getType() == cast->getResult(0).getType()) {
      cast->getResult(0).replaceAllUsesWith(cast->getOperand(0));
      cast.erase();
    }
  });
}
