// Verifiers of collectives.

#include "ir/Dialect.h"

using namespace mlir;
using namespace dsc;

static LogicalResult verifyChunks(Operation *op) {
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  if (type.getRank() != 2) { // reduce_scatter_1, all_gather_1
    return op->emitOpError("operand is ") << type << ", expected [chunks, elements]";
  }
  return success();
}

LogicalResult ReduceScatterOp::verify() { return verifyChunks(*this); }

LogicalResult AllGatherOp::verify() { return verifyChunks(*this); }

LogicalResult AllReduceOp::verify() {
  auto type = cast<RankedTensorType>(getX().getType());
  if (type.getRank() > 1) { // all_reduce_1
    return emitOpError("operand is ") << type << ", expected rank 0 or 1";
  }
  if (!type.getElementType().isF32() && !type.getElementType().isF64()) { // all_reduce_2
    return emitOpError("operand is ") << type << ", expected f32 or f64";
  }
  return success();
}
