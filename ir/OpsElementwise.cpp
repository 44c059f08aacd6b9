// Verifiers and folds of elementwise ops that their base classes do not generate.

#include "ir/Dialect.h"

using namespace mlir;
using namespace dsc;

OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getY().getType()) {
    return getX();
  }
  return foldByEvaluation(getOperation(), adaptor.getOperands());
}

LogicalResult BitcastOp::verify() {
  Type from = getElementTypeOrSelf(getX()), to = getElementTypeOrSelf(getY());
  unsigned have = from.getIntOrFloatBitWidth(), want = to.getIntOrFloatBitWidth();
  if (have != want || have < 8) { // bitcast_2
    return emitOpError("element types are ")
           << from << " and " << to << ", which do not have the same number of whole bytes";
  }
  return success();
}

OpFoldResult BitcastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getY().getType()) {
    return getX();
  }
  if (auto inner = getX().getDefiningOp<BitcastOp>()) {
    setOperand(inner.getX());
    return getResult();
  }
  return foldByEvaluation(getOperation(), adaptor.getOperands());
}

LogicalResult IotaOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  if (getAxis() >= static_cast<uint64_t>(type.getRank())) { // iota_1
    return emitOpError("axis is ")
           << static_cast<int64_t>(getAxis()) << ", rank is " << type.getRank();
  }
  unsigned bits = type.getElementType().getIntOrFloatBitWidth();
  if (bits < 32 && type.getDimSize(getAxis()) > (int64_t(1) << (bits - 1))) { // iota_2
    return emitOpError("has ") << type.getDimSize(getAxis()) << " indices, more than "
                               << type.getElementType() << " holds";
  }
  return success();
}
