// The table of ONNX operators that dsc imports by a function of its own, in the form of the newest
// opset. An operator that is not here is imported through its function body, if ONNX gives it one.

#ifndef DSC_FRONTEND_OPTABLE_H
#define DSC_FRONTEND_OPTABLE_H

#include "frontend/NodeImport.h"

// One row an operator of ONNX's own domain: ROW(Name) is imported by importName.
// clang-format off
#define DSC_ELEMENTWISE_OPS(ROW) \
  ROW(Abs) ROW(Acos) ROW(Acosh) ROW(Add) ROW(And) ROW(Asin) ROW(Asinh) ROW(Atan) ROW(Atanh) \
  ROW(BitCast) ROW(BitShift) ROW(BitwiseAnd) ROW(BitwiseNot) ROW(BitwiseOr) ROW(BitwiseXor) ROW(Cast) \
  ROW(CastLike) ROW(Ceil) ROW(Celu) ROW(Clip) ROW(Cos) ROW(Cosh) ROW(Div) ROW(Elu) ROW(Equal) \
  ROW(Erf) ROW(Exp) ROW(Floor) ROW(Gelu) ROW(Greater) ROW(GreaterOrEqual) ROW(HardSigmoid) \
  ROW(HardSwish) ROW(IsInf) ROW(IsNaN) ROW(LeakyRelu) ROW(Less) ROW(LessOrEqual) ROW(Log) \
  ROW(Max) ROW(Mean) ROW(Min) ROW(Mish) ROW(Mod) ROW(Mul) ROW(Neg) ROW(Not) ROW(Or) ROW(PRelu) \
  ROW(Pow) ROW(Reciprocal) ROW(Relu) ROW(Round) ROW(Selu) ROW(Sigmoid) ROW(Sign) ROW(Sin) \
  ROW(Sinh) ROW(Softplus) ROW(Sqrt) ROW(Sub) ROW(Sum) ROW(Swish) ROW(Tan) ROW(Tanh) \
  ROW(ThresholdedRelu) ROW(Where) ROW(Xor)
#define DSC_CONTRACTION_OPS(ROW) \
  ROW(Attention) ROW(Einsum) ROW(Gemm) ROW(MatMul)
#define DSC_CONVOLUTION_OPS(ROW) \
  ROW(AveragePool) ROW(Col2Im) ROW(Conv) ROW(ConvTranspose) ROW(GlobalAveragePool) \
  ROW(GlobalLpPool) ROW(GlobalMaxPool) ROW(LpPool) ROW(MaxPool) ROW(MaxUnpool) ROW(Resize)
#define DSC_NORMALIZATION_OPS(ROW) \
  ROW(BatchNormalization) ROW(GroupNormalization) ROW(InstanceNormalization) ROW(LRN) \
  ROW(LayerNormalization) ROW(LogSoftmax) ROW(LpNormalization) ROW(MeanVarianceNormalization) \
  ROW(RMSNormalization) ROW(Softmax)
#define DSC_REDUCTION_OPS(ROW) \
  ROW(ArgMax) ROW(ArgMin) ROW(CumProd) ROW(CumSum) ROW(Hardmax) ROW(ReduceL1) ROW(ReduceL2) \
  ROW(ReduceLogSum) ROW(ReduceLogSumExp) ROW(ReduceMax) ROW(ReduceMean) ROW(ReduceMin) \
  ROW(ReduceProd) ROW(ReduceSum) ROW(ReduceSumSquare)
#define DSC_SHAPE_OPS(ROW) \
  ROW(Compress) ROW(Concat) ROW(ConcatFromSequence) ROW(Constant) ROW(ConstantOfShape) \
  ROW(DepthToSpace) ROW(Expand) ROW(EyeLike) ROW(Flatten) ROW(Gather) ROW(GatherElements) \
  ROW(GatherND) ROW(Identity) ROW(NonZero) ROW(OneHot) ROW(Pad) ROW(Range) ROW(Reshape) \
  ROW(ReverseSequence) ROW(Scatter) ROW(ScatterElements) ROW(ScatterND) ROW(SequenceAt) \
  ROW(SequenceConstruct) ROW(SequenceLength) ROW(Shape) ROW(Size) ROW(Slice) ROW(SpaceToDepth) \
  ROW(Split) ROW(SplitToSequence) ROW(Squeeze) ROW(TensorScatter) ROW(Tile) ROW(TopK) \
  ROW(Transpose) ROW(Trilu) ROW(Unsqueeze)
#define DSC_RANDOM_OPS(ROW) \
  ROW(Bernoulli) ROW(Dropout) ROW(RandomNormal) ROW(RandomNormalLike) ROW(RandomUniform) \
  ROW(RandomUniformLike)

#define DSC_ONNX_OPS(ROW) \
  DSC_ELEMENTWISE_OPS(ROW) \
  DSC_CONTRACTION_OPS(ROW) \
  DSC_CONVOLUTION_OPS(ROW) \
  DSC_NORMALIZATION_OPS(ROW) \
  DSC_REDUCTION_OPS(ROW) \
  DSC_SHAPE_OPS(ROW) \
  DSC_RANDOM_OPS(ROW)

// The same for com.microsoft: ROW(Name) is imported by importMicrosoftName.
#define DSC_MICROSOFT_OPS(ROW) \
  ROW(BiasGelu) ROW(FastGelu) ROW(FusedConv) ROW(FusedGemm) ROW(FusedMatMul) ROW(Gelu) ROW(QuickGelu) \
  ROW(SimplifiedLayerNormalization) ROW(SkipLayerNormalization) \
  ROW(SkipSimplifiedLayerNormalization)
// clang-format on

namespace dsc {

using ImportFunction = mlir::LogicalResult (*)(NodeImport &node);

struct OpRow {
  llvm::StringRef domain, op;
  ImportFunction import;
};

/// All rows.
llvm::ArrayRef<OpRow> opTable();

/// The function for (domain, op); null where there is no row.
ImportFunction findImport(llvm::StringRef domain, llvm::StringRef op);

#define DSC_DECLARE_IMPORT(name) mlir::LogicalResult import##name(NodeImport &n);
DSC_ONNX_OPS(DSC_DECLARE_IMPORT)
#undef DSC_DECLARE_IMPORT
#define DSC_DECLARE_IMPORT(name) mlir::LogicalResult importMicrosoft##name(NodeImport &n);
DSC_MICROSOFT_OPS(DSC_DECLARE_IMPORT)
#undef DSC_DECLARE_IMPORT

} // namespace dsc

#endif // DSC_FRONTEND_OPTABLE_H
