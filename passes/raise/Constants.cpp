// Constant operands of patterns: through `constant`, `broadcast` and globals of role constant.

#include "passes/raise/Constants.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

DenseElementsAttr dsc::constantElements(Value value) {
  if (auto constant = value.getDefiningOp<ConstantOp>()) {
    return dyn_cast<DenseElementsAttr>(constant.getValue());
  }
  if (auto get = value.getDefiningOp<GetGlobalOp>()) {
    auto global = SymbolTable::lookupNearestSymbolFrom<GlobalOp>(get, get.getNameAttr());
    if (global && global.getRole() == GlobalRole::constant && global.getValue()) {
      return dyn_cast<DenseElementsAttr>(*global.getValue());
    }
  }
  return {};
}

std::optional<double> dsc::splatValue(Value value) {
  if (auto broadcast = value.getDefiningOp<BroadcastOp>()) {
    return splatValue(broadcast.getX());
  }
  DenseElementsAttr elements = constantElements(value);
  if (!elements || !elements.isSplat()) {
    return std::nullopt;
  }
  if (isa<FloatType>(elements.getElementType())) {
    APFloat number = elements.getSplatValue<APFloat>();
    bool losesInfo;
    number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return number.convertToDouble();
  }
  if (elements.getElementType().isSignlessInteger() && !elements.getElementType().isInteger(1)) {
    return static_cast<double>(elements.getSplatValue<APInt>().getSExtValue());
  }
  return std::nullopt;
}

bool dsc::sameNumber(double a, double b, Type element) {
  double tolerance = 1e-5;
  if (auto type = dyn_cast<FloatType>(element)) {
    tolerance =
        std::max(tolerance, std::ldexp(1.0, 1 - static_cast<int>(type.getFPMantissaWidth())));
  }
  return std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

std::optional<ScaledValue> dsc::matchScaled(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isa<MulOp, DivOp>(op)) {
    return std::nullopt;
  }
  std::optional<ScaledValue> scaled;
  if (std::optional<double> c = splatValue(op->getOperand(1))) {
    scaled = ScaledValue{op->getOperand(0), isa<DivOp>(op) ? 1 / *c : *c};
  } else if (std::optional<double> c = splatValue(op->getOperand(0)); c && isa<MulOp>(op)) {
    scaled = ScaledValue{op->getOperand(1), *c};
  }
  // A constant of higher rank would change the shape.
  bool valid = scaled && scaled->x.getType() == value.getType() && std::isfinite(scaled->scale) &&
               scaled->scale != 0;
  return valid ? scaled : std::nullopt;
}
