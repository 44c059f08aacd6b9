// Casts between f32 and the compute type.

#include "passes/precision/Casts.h"

using namespace mlir;
using namespace dsc;

Type dsc::halfTypeOf(MLIRContext *context, const CompileOptions &options) {
  if (options.precision == "fp16") {
    return Float16Type::get(context);
  }
  return options.precision == "bf16" ? Type(BFloat16Type::get(context)) : Type();
}

static Type elementOf(Value value) { return getElementTypeOrSelf(value.getType()); }

bool dsc::isNarrowing(CastOp op, Type half) {
  return elementOf(op.getX()).isF32() && elementOf(op.getY()) == half;
}

bool dsc::isWidening(CastOp op, Type half) {
  return elementOf(op.getX()) == half && elementOf(op.getY()).isF32();
}

int64_t dsc::countCasts(ModuleOp module, Type half) {
  int64_t count = 0;
  module.walk([&](CastOp op) { count += isNarrowing(op, half) || isWidening(op, half); });
  return count;
}

DenseElementsAttr dsc::roundedConstant(DenseElementsAttr elements, Type half) {
  const llvm::fltSemantics &semantics = cast<FloatType>(half).getFloatSemantics();
  return cast<DenseFPElementsAttr>(elements).mapValues(half, [&](const APFloat &value) {
    APFloat rounded = value;
    bool losesInfo;
    rounded.convert(semantics, APFloat::rmNearestTiesToEven, &losesInfo);
    if (rounded.isInfinity() && !value.isInfinity()) {
      rounded = APFloat::getLargest(semantics, value.isNegative());
    }
    return rounded.bitcastToAPInt();
  });
}
