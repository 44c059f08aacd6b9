// The rule functions that GradTable.cpp lists, by family: each file of rules implements its block.
// dy is the gradient of the first result, y the result itself.

#ifndef DSC_PASSES_AUTODIFF_GRADRULES_H
#define DSC_PASSES_AUTODIFF_GRADRULES_H

#include "passes/autodiff/GradTable.h"

namespace dsc {

// GradElementwise.cpp
void gradNeg(NegOp op, Grad &g);
void gradAbs(AbsOp op, Grad &g);
void gradExp(ExpOp op, Grad &g);
void gradExpm1(Expm1Op op, Grad &g);
void gradLog(LogOp op, Grad &g);
void gradLog1p(Log1pOp op, Grad &g);
void gradSqrt(SqrtOp op, Grad &g);
void gradRsqrt(RsqrtOp op, Grad &g);
void gradReciprocal(ReciprocalOp op, Grad &g);
void gradSin(SinOp op, Grad &g);
void gradCos(CosOp op, Grad &g);
void gradTan(TanOp op, Grad &g);
void gradAsin(AsinOp op, Grad &g);
void gradAcos(AcosOp op, Grad &g);
void gradAtan(AtanOp op, Grad &g);
void gradSinh(SinhOp op, Grad &g);
void gradCosh(CoshOp op, Grad &g);
void gradAsinh(AsinhOp op, Grad &g);
void gradAcosh(AcoshOp op, Grad &g);
void gradAtanh(AtanhOp op, Grad &g);
void gradTanh(TanhOp op, Grad &g);
void gradErf(ErfOp op, Grad &g);
void gradSigmoid(SigmoidOp op, Grad &g);
void gradSoftplus(SoftplusOp op, Grad &g);
void gradRelu(ReluOp op, Grad &g);
void gradGelu(GeluOp op, Grad &g);
void gradCast(CastOp op, Grad &g);
void gradAdd(AddOp op, Grad &g);
void gradSub(SubOp op, Grad &g);
void gradMul(MulOp op, Grad &g);
void gradDiv(DivOp op, Grad &g);
void gradMax(MaxOp op, Grad &g);
void gradMin(MinOp op, Grad &g);
void gradPow(PowOp op, Grad &g);
void gradMod(ModOp op, Grad &g);
void gradSelect(SelectOp op, Grad &g);

// GradShape.cpp
void gradReshape(ReshapeOp op, Grad &g);
void gradTranspose(TransposeOp op, Grad &g);
void gradBroadcast(BroadcastOp op, Grad &g);
void gradSlice(SliceOp op, Grad &g);
void gradPad(PadOp op, Grad &g);
void gradConcat(ConcatOp op, Grad &g);
void gradGather(GatherOp op, Grad &g);
void gradGatherGrad(GatherGradOp op, Grad &g);
void gradGatherElements(GatherElementsOp op, Grad &g);
void gradScatterElements(ScatterElementsOp op, Grad &g);
void gradGatherNd(GatherNdOp op, Grad &g);
void gradScatterNd(ScatterNdOp op, Grad &g);

// GradReduction.cpp
void gradReduce(ReduceOp op, Grad &g);
void gradCumulative(CumulativeOp op, Grad &g);

// GradContraction.cpp
void gradMatmul(MatmulOp op, Grad &g);
void gradAttention(AttentionOp op, Grad &g);

// GradConvolution.cpp
void gradConv(ConvOp op, Grad &g);
void gradConvGradInput(ConvGradInputOp op, Grad &g);
void gradConvGradWeight(ConvGradWeightOp op, Grad &g);
void gradMaxPool(MaxPoolOp op, Grad &g);
void gradAvgPool(AvgPoolOp op, Grad &g);
void gradAvgPoolGrad(AvgPoolGradOp op, Grad &g);

// GradNormalization.cpp
void gradSoftmax(SoftmaxOp op, Grad &g);
void gradLogSoftmax(LogSoftmaxOp op, Grad &g);
void gradLayerNorm(LayerNormOp op, Grad &g);
void gradRmsNorm(RmsNormOp op, Grad &g);
void gradBatchNorm(BatchNormOp op, Grad &g);
void gradCrossEntropy(CrossEntropyOp op, Grad &g);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_GRADRULES_H
