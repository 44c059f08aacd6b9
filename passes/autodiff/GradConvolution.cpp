// Gradients of convolution and pooling. The three convolutions are bilinear, so each one's
// gradients are the others.

#include "passes/autodiff/GradRules.h"

using namespace mlir;
using namespace dsc;

template <typename GradOp, typename Source>
static Value convLike(Grad &g, Type result, Value first, Value second, Source op) {
  return g.create<GradOp>(result, first, second, op.getStrides(), op.getDilations(),
                          op.getPadsBegin(), op.getPadsEnd(), op.getGroups(), op.getLayout());
}

template <typename Source> static Value convOf(Grad &g, Value x, Value w, Source op) {
  return g.create<ConvOp>(x, w, Value(), op.getStrides(), op.getDilations(), op.getPadsBegin(),
                          op.getPadsEnd(), op.getGroups(), op.getLayout(), Epilogue::none);
}

// dx = conv_grad_input(dy, w), dw = conv_grad_weight(x, dy), dbias = dy summed over all but
// channels
void dsc::gradConv(ConvOp op, Grad &g) {
  if (op.getActivation() != Epilogue::none) {
    return g.refuse("activation is set by the fusion phase only");
  }
  Value dy = g.of();
  if (g.wants(0)) {
    g.give(0, convLike<ConvGradInputOp>(g, op.getX().getType(), dy, op.getW(), op));
  }
  if (g.wants(1)) {
    g.give(1, convLike<ConvGradWeightOp>(g, op.getW().getType(), op.getX(), dy, op));
  }
  if (op.getBias() && g.wants(2)) {
    int64_t rank = tensorType(dy).getRank(),
            channel = op.getLayout() == ConvLayout::channels_last ? rank - 1 : 1;
    SmallVector<int64_t> axes;
    for (int64_t i = 0; i < rank; ++i) {
      if (i != channel) {
        axes.push_back(i);
      }
    }
    g.give(2, g.reshape(g.reduce(ReduceKind::sum, dy, axes), tensorType(op.getBias()).getShape()));
  }
}

// y = conv_grad_input(x, w): dx = conv(dy, w), dw = conv_grad_weight(dy, x)
void dsc::gradConvGradInput(ConvGradInputOp op, Grad &g) {
  if (g.wants(0)) {
    g.give(0, convOf(g, g.of(), op.getW(), op));
  }
  if (g.wants(1)) {
    g.give(1, convLike<ConvGradWeightOp>(g, op.getW().getType(), g.of(), op.getDy(), op));
  }
}

// y = conv_grad_weight(x, z): dx = conv_grad_input(z, dy), dz = conv(x, dy)
void dsc::gradConvGradWeight(ConvGradWeightOp op, Grad &g) {
  if (g.wants(0)) {
    g.give(0, convLike<ConvGradInputOp>(g, op.getX().getType(), op.getDy(), g.of(), op));
  }
  if (g.wants(1)) {
    g.give(1, convOf(g, op.getX(), g.of(), op));
  }
}

// dx = dy at the element that each window chose
void dsc::gradMaxPool(MaxPoolOp op, Grad &g) {
  if (Value dy = g.of()) {
    g.give(0, g.create<MaxPoolGradOp>(op.getX().getType(), dy, op.getIndex(), op.getWindow(),
                                      op.getStrides(), op.getDilations(), op.getPadsBegin(),
                                      op.getPadsEnd(), op.getLayout()));
  }
}

// dx = dy / count, spread over the elements that each window counted
void dsc::gradAvgPool(AvgPoolOp op, Grad &g) {
  g.give(0, g.create<AvgPoolGradOp>(op.getX().getType(), g.of(), op.getWindow(), op.getStrides(),
                                    op.getDilations(), op.getPadsBegin(), op.getPadsEnd(),
                                    op.getLayout(), op.getCountIncludePad(), op.getPadsCeilAttr()));
}

// avg_pool is linear: the gradient of its gradient is itself
void dsc::gradAvgPoolGrad(AvgPoolGradOp op, Grad &g) {
  g.give(0, g.create<AvgPoolOp>(g.of(), op.getWindow(), op.getStrides(), op.getDilations(),
                                op.getPadsBegin(), op.getPadsEnd(), op.getLayout(),
                                op.getCountIncludePad(), op.getPadsCeilAttr()));
}
