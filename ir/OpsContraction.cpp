// Type rules of matrix products and attention.

#include "ir/Dialect.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

//===----------------------------------------------------------------------===//
// MatmulOp
//===----------------------------------------------------------------------===//

void MatmulOp::build(OpBuilder &builder, OperationState &state, Value a, Value b, bool transposeA,
                     bool transposeB) {
  build(builder, state, a, b, Value(), Value(), transposeA, transposeB, Epilogue::none);
}

LogicalResult MatmulOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         MatmulOp::Adaptor adaptor, SmallVectorImpl<Type> &types) {
  RankedTensorType a = typeOf(adaptor.getA()), b = typeOf(adaptor.getB());
  if (a.getElementType() != b.getElementType()) { // matmul_1
    return emitOptionalError(loc, "'dsc.matmul' op element types differ: ", a, " and ", b);
  }
  if (a.getRank() < 2 || b.getRank() < 2) { // matmul_2
    return emitOptionalError(loc, "'dsc.matmul' op ranks must be at least 2: ", a, " and ", b);
  }
  int64_t m = a.getDimSize(a.getRank() - 2), k = a.getDimSize(a.getRank() - 1);
  int64_t kb = b.getDimSize(b.getRank() - 2), n = b.getDimSize(b.getRank() - 1);
  if (adaptor.getTransposeA()) {
    std::swap(m, k);
  }
  if (adaptor.getTransposeB()) {
    std::swap(kb, n);
  }
  if (k != kb) { // matmul_3
    return emitOptionalError(loc, "'dsc.matmul' op inner dimensions differ: ", k, " in ", a,
                             " and ", kb, " in ", b);
  }
  FailureOr<SmallVector<int64_t>> shape =
      broadcastShapes(a.getShape().drop_back(2), b.getShape().drop_back(2));
  if (failed(shape)) { // matmul_4
    return emitOptionalError(loc, "'dsc.matmul' op batch dimensions do not broadcast: ", a, " and ",
                             b);
  }
  shape->push_back(m);
  shape->push_back(n);
  RankedTensorType result = a.clone(*shape);
  if (Value bias = adaptor.getBias(); bias && typeOf(bias) != a.clone({n})) { // matmul_5
    return emitOptionalError(loc, "'dsc.matmul' op bias is ", bias.getType(), ", expected ",
                             a.clone({n}));
  }
  if (Value acc = adaptor.getAccumulator(); acc && acc.getType() != result) { // matmul_6
    return emitOptionalError(loc, "'dsc.matmul' op accumulator is ", acc.getType(), ", result is ",
                             result);
  }
  types.push_back(result);
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

namespace {
/// The sizes of one attention, from its operands; see AttentionOp.
struct AttentionShape {
  int64_t batch, qLength, kvLength, heads, kvHeads, width;
};
} // namespace

static FailureOr<AttentionShape> attentionShape(StringRef name, std::optional<Location> loc,
                                                ValueRange qkv, Value mask, int64_t heads,
                                                int64_t kvHeads) {
  if (qkv.size() != 1 && qkv.size() != 3) { // attention_1
    return emitOptionalError(loc, "'", name, "' op takes 1 packed operand or 3, not ", qkv.size());
  }
  for (Value operand : qkv) {
    if (typeOf(operand).getRank() != 3) { // attention_2
      return emitOptionalError(loc, "'", name, "' op operands have rank 3, not ",
                               operand.getType());
    }
  }
  RankedTensorType q = typeOf(qkv.front());
  int64_t columns = q.getDimSize(2);
  // No more heads than columns, so that their number does not overflow below.
  bool counts = heads >= 1 && heads <= columns && kvHeads >= 1 && heads % kvHeads == 0;
  int64_t parts = !counts ? 1 : qkv.size() == 1 ? heads + 2 * kvHeads : heads;
  if (!counts || columns % parts != 0) { // attention_3
    return emitOptionalError(loc, "'", name, "' op ", heads, " heads and ", kvHeads,
                             " kv_heads do not divide ", q);
  }
  AttentionShape shape{q.getDimSize(0), q.getDimSize(1), q.getDimSize(1),
                       heads,           kvHeads,         columns / parts};
  if (qkv.size() == 3) {
    RankedTensorType k = typeOf(qkv[1]), v = typeOf(qkv[2]);
    shape.kvLength = k.getDimSize(1);
    if (k != v ||
        k != q.clone({shape.batch, shape.kvLength, kvHeads * shape.width})) { // attention_4
      return emitOptionalError(loc, "'", name, "' op k and v do not fit q: ", q, ", ", k, ", ", v);
    }
  }
  if (mask) {
    RankedTensorType type = typeOf(mask);
    bool element =
        type.getElementType().isInteger(1) || type.getElementType() == q.getElementType();
    if (!element || type.getRank() != 4 ||
        !broadcastsTo(type.getShape(),
                      {shape.batch, heads, shape.qLength, shape.kvLength})) { // attention_5
      return emitOptionalError(loc, "'", name, "' op mask ", type, " does not broadcast to [",
                               shape.batch, ", ", heads, ", ", shape.qLength, ", ", shape.kvLength,
                               "]");
    }
  }
  return shape;
}

/// Types of out and lse.
static std::pair<RankedTensorType, RankedTensorType> attentionResults(const AttentionShape &shape,
                                                                      Type element) {
  return {
      RankedTensorType::get({shape.batch, shape.qLength, shape.heads * shape.width}, element),
      RankedTensorType::get({shape.batch, shape.heads, shape.qLength}, statisticsType(element))};
}

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            AttentionOp::Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  FailureOr<AttentionShape> shape =
      attentionShape("dsc.attention", loc, adaptor.getQkv(), adaptor.getMask(), adaptor.getHeads(),
                     adaptor.getKvHeads());
  if (failed(shape)) {
    return failure();
  }
  auto [out, lse] = attentionResults(*shape, typeOf(adaptor.getQkv().front()).getElementType());
  types.append({out, lse});
  return success();
}

LogicalResult AttentionGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                AttentionGradOp::Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  FailureOr<AttentionShape> shape =
      attentionShape("dsc.attention_grad", loc, adaptor.getQkv(), adaptor.getMask(),
                     adaptor.getHeads(), adaptor.getKvHeads()); // attention_grad_1
  if (failed(shape)) {
    return failure();
  }
  auto [out, lse] = attentionResults(*shape, typeOf(adaptor.getQkv().front()).getElementType());
  if (adaptor.getOut().getType() != out || adaptor.getDout().getType() != out ||
      adaptor.getLse().getType() != lse) { // attention_grad_2
    return emitOptionalError(loc, "'dsc.attention_grad' op out, lse and dout are ",
                             adaptor.getOut().getType(), ", ", adaptor.getLse().getType(), " and ",
                             adaptor.getDout().getType(), ", attention gives ", out, " and ", lse);
  }
  llvm::append_range(types, adaptor.getQkv().getTypes());
  return success();
}
