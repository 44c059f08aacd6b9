// Every op of the dialect and its gradient rule. An op without a row fails arch/grad_coverage and
// GradTableTest.

#include "passes/autodiff/GradTable.h"

#include "ir/OpsOrder.h"
#include "passes/autodiff/GradRules.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace dsc;

/// The op has this rule.
template <typename OpT, void (*function)(OpT, Grad &)> static GradRow rule() {
  return {OpT::getOperationName(), [](Operation *op, Grad &grad) { function(cast<OpT>(op), grad); },
          "", false};
}

/// The derivative is 0 wherever it exists: the walk ends here.
template <typename OpT> static GradRow zero(StringRef reason) {
  return {OpT::getOperationName(), nullptr, reason, true};
}

/// The op does not stand between a parameter and a loss; an error where it does.
template <typename OpT> static GradRow never(StringRef reason) {
  return {OpT::getOperationName(), nullptr, reason, false};
}

static constexpr llvm::StringLiteral kSteps = "piecewise constant";
static constexpr llvm::StringLiteral kIntegers = "integers and booleans have no gradient";
static constexpr llvm::StringLiteral kSecond = "second derivatives are not taken";
static constexpr llvm::StringLiteral kUpdate = "stands after the gradients";
static constexpr llvm::StringLiteral kLater = "is made by a later phase";

ArrayRef<GradRow> dsc::gradTable() {
  static const GradRow rows[] = {
      // Elementwise
      rule<NegOp, gradNeg>(),
      rule<AbsOp, gradAbs>(),
      zero<SignOp>(kSteps),
      rule<ExpOp, gradExp>(),
      rule<Expm1Op, gradExpm1>(),
      rule<LogOp, gradLog>(),
      rule<Log1pOp, gradLog1p>(),
      rule<SqrtOp, gradSqrt>(),
      rule<RsqrtOp, gradRsqrt>(),
      rule<ReciprocalOp, gradReciprocal>(),
      rule<SinOp, gradSin>(),
      rule<CosOp, gradCos>(),
      rule<TanOp, gradTan>(),
      rule<AsinOp, gradAsin>(),
      rule<AcosOp, gradAcos>(),
      rule<AtanOp, gradAtan>(),
      rule<SinhOp, gradSinh>(),
      rule<CoshOp, gradCosh>(),
      rule<AsinhOp, gradAsinh>(),
      rule<AcoshOp, gradAcosh>(),
      rule<AtanhOp, gradAtanh>(),
      rule<TanhOp, gradTanh>(),
      rule<ErfOp, gradErf>(),
      rule<SigmoidOp, gradSigmoid>(),
      rule<SoftplusOp, gradSoftplus>(),
      rule<ReluOp, gradRelu>(),
      zero<FloorOp>(kSteps),
      zero<CeilOp>(kSteps),
      zero<RoundOp>(kSteps),
      zero<NotOp>(kIntegers),
      rule<GeluOp, gradGelu>(),
      zero<IsNanOp>(kIntegers),
      zero<IsInfOp>(kIntegers),
      rule<CastOp, gradCast>(),
      zero<BitcastOp>("bits have no gradient"),
      rule<AddOp, gradAdd>(),
      rule<SubOp, gradSub>(),
      rule<MulOp, gradMul>(),
      rule<DivOp, gradDiv>(),
      rule<MaxOp, gradMax>(),
      rule<MinOp, gradMin>(),
      rule<PowOp, gradPow>(),
      zero<AndOp>(kIntegers),
      zero<OrOp>(kIntegers),
      zero<XorOp>(kIntegers),
      zero<ShiftLeftOp>(kIntegers),
      zero<ShiftRightOp>(kIntegers),
      rule<ModOp, gradMod>(),
      zero<CompareOp>(kIntegers),
      rule<SelectOp, gradSelect>(),
      never<GeluGradOp>(kSecond),
      zero<IotaOp>(kIntegers),
      // Shape
      zero<ConstantOp>("is a constant"),
      rule<ReshapeOp, gradReshape>(),
      rule<TransposeOp, gradTranspose>(),
      rule<BroadcastOp, gradBroadcast>(),
      rule<SliceOp, gradSlice>(),
      rule<PadOp, gradPad>(),
      rule<ConcatOp, gradConcat>(),
      rule<GatherOp, gradGather>(),
      rule<GatherGradOp, gradGatherGrad>(),
      rule<GatherElementsOp, gradGatherElements>(),
      rule<ScatterElementsOp, gradScatterElements>(),
      rule<GatherNdOp, gradGatherNd>(),
      rule<ScatterNdOp, gradScatterNd>(),
      // Reduction
      rule<ReduceOp, gradReduce>(),
      zero<ArgReduceOp>(kIntegers),
      rule<CumulativeOp, gradCumulative>(),
      // Contraction
      rule<MatmulOp, gradMatmul>(),
      rule<AttentionOp, gradAttention>(),
      never<AttentionGradOp>(kSecond),
      // Convolution
      rule<ConvOp, gradConv>(),
      rule<ConvGradInputOp, gradConvGradInput>(),
      rule<ConvGradWeightOp, gradConvGradWeight>(),
      rule<MaxPoolOp, gradMaxPool>(),
      never<MaxPoolGradOp>(kSecond),
      rule<AvgPoolOp, gradAvgPool>(),
      rule<AvgPoolGradOp, gradAvgPoolGrad>(),
      // Normalization
      rule<SoftmaxOp, gradSoftmax>(),
      rule<LogSoftmaxOp, gradLogSoftmax>(),
      rule<LayerNormOp, gradLayerNorm>(),
      never<LayerNormGradOp>(kSecond),
      rule<RmsNormOp, gradRmsNorm>(),
      never<RmsNormGradOp>(kSecond),
      rule<BatchNormOp, gradBatchNorm>(),
      never<BatchNormGradOp>(kSecond),
      rule<CrossEntropyOp, gradCrossEntropy>(),
      never<CrossEntropyGradOp>(kSecond),
      // Random
      zero<RandomOp>("depends on counters only"),
      // Optimizer
      never<ChunkSquaresOp>(kUpdate),
      never<AdamOp>(kUpdate),
      never<SgdOp>(kUpdate),
      never<LionOp>(kUpdate),
      never<AdagradOp>(kUpdate),
      never<LambOp>(kUpdate),
      never<LambStepOp>(kUpdate),
      // Memory
      zero<GlobalOp>("is a declaration"),
      zero<GetGlobalOp>("is where gradients end"),
      zero<SetGlobalOp>("has no result"),
      never<GradientsOp>(kUpdate),
      never<PackOp>(kLater),
      never<AfterOp>(kLater),
      never<KernelOp>(kLater),
      never<YieldOp>(kLater),
      never<LaunchOp>(kLater),
      // Collective
      never<ReduceScatterOp>(kUpdate),
      never<AllGatherOp>(kLater),
      never<AllReduceOp>(kUpdate),
      never<WaitOp>(kLater),
  };
  return rows;
}

const GradRow *dsc::gradRowOf(Operation *op) {
  static const llvm::StringMap<const GradRow *> byName = [] {
    llvm::StringMap<const GradRow *> map;
    for (const GradRow &row : gradTable()) {
      map[row.op] = &row;
    }
    return map;
  }();
  return byName.lookup(op->getName().getStringRef());
}

//===----------------------------------------------------------------------===//
// Grad
//===----------------------------------------------------------------------===//

Grad::Grad(OpBuilder &builder, Operation *op, ArrayRef<Value> results, ArrayRef<bool> wanted)
    : ValueBuilder(builder, NameLoc::get(builder.getStringAttr("grad"), op->getLoc())), op(op),
      results(results), wanted(wanted), gradients(op->getNumOperands()) {}

void Grad::give(unsigned operand, Value gradient) {
  if (!wants(operand)) {
    return;
  }
  gradient = sumToShape(gradient, tensorType(op->getOperand(operand)));
  Value &slot = gradients[operand];
  slot = slot ? add(slot, gradient) : gradient;
}

Value Grad::underSelect(Value dy, function_ref<Value(Value)> rule) {
  auto choice = dy.getDefiningOp<SelectOp>();
  if (choice && isSplat(choice.getY(), 0)) {
    Value value = rule(choice.getX());
    return select(choice.getCondition(), value, scalar(0, value));
  }
  if (choice && isSplat(choice.getX(), 0)) {
    Value value = rule(choice.getY());
    return select(choice.getCondition(), scalar(0, value), value);
  }
  return rule(dy);
}

Value Grad::chain(Value dy, Value factor) {
  return underSelect(dy, [&](Value value) { return mul(value, factor); });
}

Value Grad::chainDiv(Value dy, Value divisor) {
  return underSelect(dy, [&](Value value) { return div(value, divisor); });
}

void Grad::refuse(const Twine &why) {
  isRefused = true;
  op->emitError() << "'" << op->getName() << "' op has no gradient here: " << why;
}
