// Every op of the dialect and the type it computes in. An op without a row fails
// arch/precision_coverage and PrecisionTableTest.
//
// "Half" is for what has fast half units and accumulates in f32 anyway. "Float" is for what
// overflows or cancels in a half type: exponentials, reductions, comparisons. Norms, softmax and
// losses follow: they read and write what their input is, and compute in f32 inside, so no f32
// tensor stands between them and their neighbours.

#include "passes/precision/PrecisionTable.h"

#include "ir/OpsOrder.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;

template <typename OpT> static PrecisionRow half(StringRef why = "") {
  return {OpT::getOperationName(), ComputeClass::Half, why};
}
template <typename OpT> static PrecisionRow full(StringRef why = "") {
  return {OpT::getOperationName(), ComputeClass::Float, why};
}
template <typename OpT> static PrecisionRow follow(StringRef why = "") {
  return {OpT::getOperationName(), ComputeClass::Follow, why};
}
template <typename OpT> static PrecisionRow untouched(StringRef why) {
  return {OpT::getOperationName(), ComputeClass::Untouched, why};
}

static constexpr llvm::StringLiteral kAccumulates = "accumulates in f32, rounds once";
static constexpr llvm::StringLiteral kInside = "f32 inside, statistics f32";
static constexpr llvm::StringLiteral kRange = "leaves the range of a half type";
static constexpr llvm::StringLiteral kCancels = "inaccurate where it cancels";
static constexpr llvm::StringLiteral kSums = "a sum";
static constexpr llvm::StringLiteral kIntegers = "of integers and booleans";
static constexpr llvm::StringLiteral kExact = "a half operand is compared exactly";
static constexpr llvm::StringLiteral kLater = "is made by a later phase";
static constexpr llvm::StringLiteral kGlobal = "a global has its own type";

ArrayRef<PrecisionRow> dsc::precisionTable() {
  static const PrecisionRow rows[] = {
      // Elementwise
      follow<NegOp>(),
      follow<AbsOp>(),
      follow<SignOp>(),
      full<ExpOp>(kRange),
      full<Expm1Op>(kRange),
      full<LogOp>(kCancels),
      full<Log1pOp>(kCancels),
      follow<SqrtOp>(),
      full<RsqrtOp>(kRange),
      full<ReciprocalOp>(kRange),
      follow<SinOp>(),
      follow<CosOp>(),
      full<TanOp>(kRange),
      full<AsinOp>(kCancels),
      full<AcosOp>(kCancels),
      follow<AtanOp>(),
      full<SinhOp>(kRange),
      full<CoshOp>(kRange),
      follow<AsinhOp>(),
      full<AcoshOp>(kCancels),
      full<AtanhOp>(kRange),
      follow<TanhOp>(),
      follow<ErfOp>(),
      follow<SigmoidOp>(),
      full<SoftplusOp>(kCancels),
      follow<ReluOp>(),
      follow<FloorOp>(),
      follow<CeilOp>(),
      follow<RoundOp>(),
      untouched<NotOp>(kIntegers),
      follow<GeluOp>(),
      full<IsNanOp>(kExact),
      full<IsInfOp>(kExact),
      untouched<CastOp>("written by the model"),
      full<BitcastOp>(kExact),
      follow<AddOp>(),
      follow<SubOp>(),
      follow<MulOp>(),
      follow<DivOp>(),
      follow<MaxOp>(),
      follow<MinOp>(),
      full<PowOp>(kRange),
      untouched<AndOp>(kIntegers),
      untouched<OrOp>(kIntegers),
      untouched<XorOp>(kIntegers),
      untouched<ShiftLeftOp>(kIntegers),
      untouched<ShiftRightOp>(kIntegers),
      full<ModOp>(kCancels),
      full<CompareOp>(kExact),
      follow<SelectOp>(),
      follow<GeluGradOp>(),
      untouched<IotaOp>(kIntegers),
      // Shape
      untouched<ConstantOp>("takes the type of its users"),
      follow<ReshapeOp>(),
      follow<TransposeOp>(),
      follow<BroadcastOp>(),
      follow<SliceOp>(),
      follow<PadOp>(),
      follow<ConcatOp>(),
      follow<GatherOp>(),
      follow<GatherGradOp>(kAccumulates),
      follow<GatherElementsOp>(),
      full<ScatterElementsOp>(kSums),
      follow<GatherNdOp>(),
      full<ScatterNdOp>(kSums),
      // Reduction
      full<ReduceOp>(kSums),
      follow<ArgReduceOp>(),
      full<CumulativeOp>(kSums),
      // Contraction
      half<MatmulOp>(kAccumulates),
      half<AttentionOp>("scores and softmax in f32, log-sum-exp f32"),
      half<AttentionGradOp>("scores and softmax in f32"),
      // Convolution
      half<ConvOp>(kAccumulates),
      half<ConvGradInputOp>(kAccumulates),
      half<ConvGradWeightOp>(kAccumulates),
      follow<MaxPoolOp>(),
      full<MaxPoolGradOp>(kSums),
      follow<AvgPoolOp>(kAccumulates),
      full<AvgPoolGradOp>(kSums),
      // Normalization
      follow<SoftmaxOp>(kInside),
      follow<LogSoftmaxOp>(kInside),
      follow<LayerNormOp>(kInside),
      follow<LayerNormGradOp>(kInside),
      follow<RmsNormOp>(kInside),
      follow<RmsNormGradOp>(kInside),
      follow<BatchNormOp>(kInside),
      follow<BatchNormGradOp>(kInside),
      follow<CrossEntropyOp>("f32 inside, the loss is f32"),
      follow<CrossEntropyGradOp>("f32 inside, half logits have half gradients"),
      // Random
      untouched<RandomOp>("numbers are drawn in f32"),
      // Optimizer
      follow<ChunkSquaresOp>("squares and sums in f32"),
      untouched<AdamOp>("f32 parameters and moments, the gradient as it comes"),
      untouched<SgdOp>("f32 parameters and moments, the gradient as it comes"),
      untouched<LionOp>("f32 parameters and moments, the gradient as it comes"),
      untouched<AdagradOp>("f32 parameters and sums, the gradient as it comes"),
      untouched<LambOp>("f32 parameters and moments, the gradient as it comes"),
      untouched<LambStepOp>("f32 parameters and directions"),
      // Memory
      untouched<GlobalOp>(kGlobal),
      untouched<GetGlobalOp>(kGlobal),
      untouched<SetGlobalOp>(kGlobal),
      half<GradientsOp>("gradients are rounded to the compute type once"),
      untouched<KernelOp>(kLater),
      untouched<PackOp>(kLater),
      untouched<AfterOp>(kLater),
      untouched<YieldOp>(kLater),
      untouched<LaunchOp>(kLater),
      // Collective
      untouched<ReduceScatterOp>(kLater),
      untouched<AllGatherOp>(kLater),
      untouched<AllReduceOp>("sums over ranks of single numbers, in f32"),
      untouched<WaitOp>(kLater),
  };
  return rows;
}

StringRef dsc::computeClassName(ComputeClass kind) {
  switch (kind) {
  case ComputeClass::Half:
    return "half";
  case ComputeClass::Float:
    return "float";
  case ComputeClass::Follow:
    return "follow";
  case ComputeClass::Untouched:
    return "as is";
  }
  llvm_unreachable("all classes handled");
}

const PrecisionRow *dsc::precisionRowOf(Operation *op) {
  static const llvm::StringMap<const PrecisionRow *> byName = [] {
    llvm::StringMap<const PrecisionRow *> map;
    for (const PrecisionRow &row : precisionTable()) {
      map[row.op] = &row;
    }
    return map;
  }();
  return byName.lookup(op->getName().getStringRef());
}

bool dsc::isStatistic(OpOperand &operand) {
  auto isOneOf = [&](std::initializer_list<OpOperand *> list) {
    return llvm::is_contained(list, &operand);
  };
  return llvm::TypeSwitch<Operation *, bool>(operand.getOwner())
      .Case(
          [&](LayerNormGradOp op) { return isOneOf({&op.getMeanMutable(), &op.getRstdMutable()}); })
      .Case([&](RmsNormGradOp op) { return isOneOf({&op.getRstdMutable()}); })
      .Case(
          [&](BatchNormGradOp op) { return isOneOf({&op.getMeanMutable(), &op.getRstdMutable()}); })
      .Case([&](CrossEntropyGradOp op) {
        return isOneOf({&op.getLseMutable(), &op.getDlossMutable()});
      })
      .Case([&](AttentionGradOp op) { return isOneOf({&op.getLseMutable()}); })
      .Default([](Operation *) { return false; });
}
