// Costs by op: contractions exactly, everything else one operation a result element.

#include "ir/Cost.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static int64_t attentionFlops(Value lse, Value out, ValueRange qkv, bool causal, int64_t products) {
  // Each product of q_len x kv_len x width for every head; causal visits half of the pairs.
  int64_t kvLength = typeOf(qkv.size() == 3 ? qkv[1] : qkv[0]).getDimSize(1);
  int64_t width = typeOf(out).getDimSize(2) / typeOf(lse).getDimSize(1);
  return typeOf(lse).getNumElements() * kvLength * width * 2 * products / (causal ? 2 : 1);
}

/// Multiply-adds of a convolution: y elements times the elements of one filter.
static int64_t convFlops(Value y, Value w) {
  return 2 * typeOf(y).getNumElements() * typeOf(w).getNumElements() / typeOf(w).getDimSize(0);
}

Cost dsc::costOf(Operation *op) {
  Cost cost;
  for (Value value : op->getOperands()) {
    cost.bytes += tensorBytes(typeOf(value));
  }
  for (Value value : op->getResults()) {
    cost.bytes += tensorBytes(typeOf(value));
  }
  cost.flops =
      llvm::TypeSwitch<Operation *, int64_t>(op)
          .Case<MatmulOp>([](MatmulOp matmul) {
            RankedTensorType a = typeOf(matmul.getA());
            int64_t inner = a.getShape().end()[matmul.getTransposeA() ? -2 : -1];
            return 2 * typeOf(matmul.getResult()).getNumElements() * inner;
          })
          .Case<ConvOp>([](ConvOp conv) { return convFlops(conv.getY(), conv.getW()); })
          .Case<ConvGradInputOp>(
              [](ConvGradInputOp conv) { return convFlops(conv.getDy(), conv.getW()); })
          .Case<ConvGradWeightOp>(
              [](ConvGradWeightOp conv) { return convFlops(conv.getDy(), conv.getDw()); })
          .Case<AttentionOp>([](AttentionOp attention) {
            return attentionFlops(attention.getLse(), attention.getOut(), attention.getQkv(),
                                  attention.getCausal(), 2);
          })
          .Case<AttentionGradOp>([](AttentionGradOp grad) {
            return attentionFlops(grad.getLse(), grad.getOut(), grad.getQkv(), grad.getCausal(), 5);
          })
          .Default([](Operation *other) {
            int64_t elements = 0;
            for (Value value : other->getResults()) {
              elements += typeOf(value).getNumElements();
            }
            return elements;
          });
  return cost;
}
