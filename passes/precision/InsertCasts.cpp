// Pass: casts around every op, as its row of the precision table says.
//
// Values between ops stay f32: what an op computes in half is cast back at once, and cast again
// where the next one reads it. "Half" therefore shows at the value: it was just widened. ElideCasts
// removes what that leaves; here nothing is clever, so the table alone decides the numerics.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"
#include "passes/precision/Casts.h"
#include "passes/precision/PrecisionTable.h"

namespace dsc {
#define GEN_PASS_DEF_INSERTCASTS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static bool isF32(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getElementType().isF32();
}

namespace {
class CastInserter {
public:
  CastInserter(ModuleOp module, Type half) : half(half), symbols(module) {
    module.walk([&](SetGlobalOp set) { written.insert(set.getNameAttr().getAttr()); });
  }

  LogicalResult run(func::FuncOp function);

private:
  enum class Source { Parameter, Weak, Other };

  Source sourceOf(GetGlobalOp get);
  void roundParameter(GetGlobalOp get);
  LogicalResult visit(Operation *op);
  bool decidesHalf(Operation *op, ComputeClass kind);
  Value narrow(OpBuilder &builder, Value value);
  Value hide(OpBuilder &builder, Value mask);
  LogicalResult makeHalf(Operation *op);

  /// Whether a value was widened from half just now.
  bool isHalf(Value value) {
    auto cast = value.getDefiningOp<CastOp>();
    return cast && typeOf(cast.getX()).getElementType() == half;
  }

  Type half;
  SymbolTable symbols;
  llvm::DenseSet<Attribute> written;
  llvm::DenseSet<Value> weak; // constants and what is computed of nothing else: they follow others
};
} // namespace

/// Parameters are read in half by everything but their update. What never changes and is small
/// (a frozen bias, running statistics of a frozen norm) takes the type of what it meets, as
/// constants do.
CastInserter::Source CastInserter::sourceOf(GetGlobalOp get) {
  auto global = symbols.lookup<GlobalOp>(get.getName());
  switch (global.getRole()) {
  case GlobalRole::trained:
    return Source::Parameter;
  case GlobalRole::constant:
    return Source::Weak;
  case GlobalRole::buffer:
    if (written.contains(get.getNameAttr().getAttr())) {
      return Source::Other;
    }
    return typeOf(get).getRank() > 1 ? Source::Parameter : Source::Weak;
  case GlobalRole::state:
  case GlobalRole::runtime:
  case GlobalRole::compute:
    return Source::Other;
  }
  llvm_unreachable("all roles handled");
}

/// The update reads the f32 parameter, all others what it is in half.
void CastInserter::roundParameter(GetGlobalOp get) {
  OpBuilder builder(get.getContext());
  builder.setInsertionPointAfter(get);
  RankedTensorType type = typeOf(get);
  Value rounded = builder.create<CastOp>(get.getLoc(), type.clone(half), get);
  Value wide = builder.create<CastOp>(get.getLoc(), type, rounded);
  get.getResult().replaceUsesWithIf(wide, [&](OpOperand &use) {
    Operation *user = use.getOwner();
    bool isMaster = (user->hasTrait<Update>() && use.getOperandNumber() == 0) ||
                    isa<ChunkSquaresOp>(user); // LAMB's norm of the parameter
    return !isMaster && user != rounded.getDefiningOp();
  });
}

/// `value` in half. Constants are rounded here and now, and what is finite stays finite: masks are
/// written with the largest f32.
Value CastInserter::narrow(OpBuilder &builder, Value value) {
  RankedTensorType type = typeOf(value).clone(half);
  auto constant = value.getDefiningOp<ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : nullptr;
  if (!elements) {
    return builder.create<CastOp>(value.getLoc(), type, value);
  }
  return builder.create<ConstantOp>(value.getLoc(), roundedConstant(elements, half));
}

/// `mask` with -inf for what hides a key by a large finite number. A row of such keys would be
/// their mean, but its log-sum-exp, about that number, has no digit left for how many they are, and
/// what cuDNN's backward computes of it is larger than the gradient by that factor. Hidden by -inf
/// they count for nothing, in both directions and on every target.
Value CastInserter::hide(OpBuilder &builder, Value mask) {
  constexpr float kHides = -32768; // f32 still has 1/256 there
  Location loc = mask.getLoc();
  auto constant = mask.getDefiningOp<ConstantOp>();
  if (auto elements = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : nullptr) {
    return builder.create<ConstantOp>(
        loc, elements.mapValues(builder.getF32Type(), [&](const APFloat &value) {
          bool hides = value.convertToFloat() <= kHides;
          return (hides ? APFloat::getInf(value.getSemantics(), true) : value).bitcastToAPInt();
        }));
  }
  ValueBuilder b(builder, loc);
  Value hides = b.compare(ComparePredicate::le, mask, kHides);
  return b.select(hides, b.scalar(-std::numeric_limits<double>::infinity(), mask), mask);
}

bool CastInserter::decidesHalf(Operation *op, ComputeClass kind) {
  if (kind == ComputeClass::Half) {
    return true;
  }
  // Affine weights do not decide: a norm computes in the type of what it normalizes.
  bool onlyFirst = isa<LayerNormOp, RmsNormOp, BatchNormOp, BatchNormGradOp>(op);
  bool any = false;
  for (OpOperand &operand : op->getOpOperands()) {
    Value value = operand.get();
    if (!isF32(value) || isStatistic(operand) || weak.contains(value)) {
      continue;
    }
    if (!isHalf(value)) {
      return false;
    }
    any = true;
    if (onlyFirst) {
      break;
    }
  }
  return any;
}

static bool isMask(OpOperand &operand) {
  Operation *op = operand.getOwner();
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    return operand.get() == attention.getMask();
  }
  auto grad = dyn_cast<AttentionGradOp>(op);
  return grad && operand.get() == grad.getMask();
}

/// Rewrites `op` to compute in half, between casts.
LogicalResult CastInserter::makeHalf(Operation *op) {
  OpBuilder builder(op);
  for (OpOperand &operand : op->getOpOperands()) {
    if (isF32(operand.get()) && !isStatistic(operand)) {
      bool hides = isMask(operand);
      operand.set(narrow(builder, hides ? hide(builder, operand.get()) : operand.get()));
    }
  }
  SmallVector<Type> types;
  if (auto inferring = dyn_cast<InferTypeOpInterface>(op)) {
    if (failed(inferring.inferReturnTypes(op->getContext(), op->getLoc(), op->getOperands(),
                                          op->getAttrDictionary(), op->getPropertiesStorage(),
                                          op->getRegions(), types))) {
      return failure();
    }
  } else {
    for (Value result : op->getResults()) {
      types.push_back(isF32(result) ? typeOf(result).clone(half) : result.getType());
    }
  }
  builder.setInsertionPointAfter(op);
  for (auto [result, type] : llvm::zip_equal(op->getResults(), types)) {
    Type wide = result.getType();
    if (type == wide) {
      continue;
    }
    result.setType(type);
    auto back = builder.create<CastOp>(op->getLoc(), wide, result);
    result.replaceAllUsesExcept(back.getY(), back);
  }
  return success();
}

LogicalResult CastInserter::visit(Operation *op) {
  const PrecisionRow *row = precisionRowOf(op);
  if (!row) {
    if (op->hasTrait<OpTrait::IsTerminator>()) {
      return success();
    }
    return op->emitError() << "'" << op->getName() << "' op has no row in the precision table";
  }
  if (auto get = dyn_cast<GetGlobalOp>(op)) {
    if (!isF32(get)) {
      return success();
    }
    Source source = sourceOf(get);
    if (source == Source::Parameter) {
      roundParameter(get);
    } else if (source == Source::Weak) {
      weak.insert(get);
    }
    return success();
  }
  if (isa<ConstantOp>(op)) {
    weak.insert(op->getResult(0));
    return success();
  }
  if (op->hasTrait<Update>()) {
    // The update widens the gradient itself.
    OpOperand &gradient = op->getOpOperand(1);
    if (isHalf(gradient.get())) {
      gradient.set(gradient.get().getDefiningOp<CastOp>().getX());
    }
    return success();
  }
  if (row->kind == ComputeClass::Untouched || row->kind == ComputeClass::Float) {
    return success();
  }
  if (decidesHalf(op, row->kind)) {
    SmallVector<Value> read(op->getOperands());
    if (failed(makeHalf(op))) {
      return failure();
    }
    if (isa<GradientsOp>(op)) {
      // What follows reads the rounded gradients, and of a constant one, too, the rounded one.
      OpBuilder builder(op);
      builder.setInsertionPointAfter(op);
      for (auto [whole, rounded] : llvm::zip_equal(read, op->getOperands())) {
        if (whole.getType() == rounded.getType()) {
          continue;
        }
        Value wide = builder.create<CastOp>(rounded.getLoc(), whole.getType(), rounded);
        whole.replaceUsesWithIf(wide, [&](OpOperand &use) {
          return use.getOwner()->getBlock() == op->getBlock() &&
                 op->isBeforeInBlock(use.getOwner()) && use.getOwner() != wide.getDefiningOp();
        });
      }
    }
    return success();
  }
  bool onlyWeak = llvm::all_of(op->getOperands(),
                               [&](Value value) { return !isF32(value) || weak.contains(value); });
  bool anyFloat = llvm::any_of(op->getOperands(), isF32);
  if (onlyWeak && anyFloat) {
    weak.insert(op->result_begin(), op->result_end());
  }
  return success();
}

LogicalResult CastInserter::run(func::FuncOp function) {
  SmallVector<Operation *> ops;
  function.walk([&](Operation *op) {
    if (op != function) {
      ops.push_back(op);
    }
  });
  for (Operation *op : ops) {
    if (failed(visit(op))) {
      return failure();
    }
  }
  return success();
}

namespace {
struct InsertCasts : public dsc::impl::InsertCastsBase<InsertCasts> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<CompileOptions> options = CompileOptions::from(module);
    if (failed(options)) {
      return signalPassFailure();
    }
    Type half = halfTypeOf(&getContext(), *options);
    if (!half) {
      return;
    }
    CastInserter inserter(module, half);
    for (auto function : module.getOps<func::FuncOp>()) {
      if (failed(inserter.run(function))) {
        return signalPassFailure();
      }
    }
    Builder b(&getContext());
    int64_t count = countCasts(module, half);
    module->setAttr(kCastsAttr,
                    b.getDictionaryAttr(b.getNamedAttr("inserted", b.getI64IntegerAttr(count))));
  }
};
} // namespace
