// Convolutions and what stands between them take the layout in which the machine computes them.
//
// One walk over each function: convolutions become channels_last, and ops that can follow an image
// they read do, so that islands grow as far as they reach. `inLast` has the channels-last twin of a
// channels-first value; a value whose twin exists is made from it only where something outside the
// island reads it. Weights are transposed once and for all: parameters are stored so.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"
#include "passes/raise/StoringGlobals.h"

#include "ir/Target.h"

#include "llvm/ADT/MapVector.h"

namespace dsc {
#define GEN_PASS_DEF_CHOOSELAYOUT
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The permutation that moves dimension 1 to the end, as TransposeOp takes it: 0, 2, .., 1.
static SmallVector<int64_t> toLastOrder(int64_t rank) {
  SmallVector<int64_t> order{0};
  for (int64_t i = 2; i < rank; ++i) {
    order.push_back(i);
  }
  order.push_back(1);
  return order;
}

/// The one that moves it back: 0, rank - 1, 1, ..
static SmallVector<int64_t> toFirstOrder(int64_t rank) {
  SmallVector<int64_t> order{0, rank - 1};
  for (int64_t i = 1; i < rank - 1; ++i) {
    order.push_back(i);
  }
  return order;
}

/// `array`, one entry a dimension, in channels-last order.
static SmallVector<int64_t> inLastOrder(ArrayRef<int64_t> array) {
  SmallVector<int64_t> result(array);
  std::rotate(result.begin() + 1, result.begin() + 2, result.end());
  return result;
}

/// Whether moving dimension 1 moves no element: nothing stands behind it or nothing but it.
static bool isOneChannelOrPixel(ArrayRef<int64_t> shape) {
  return shape[1] == 1 || llvm::all_of(shape.drop_front(2), [](int64_t size) { return size == 1; });
}

/// Changes the order of dimensions: a reshape where no element moves, else a transpose.
static Value reorder(OpBuilder &builder, Value value, ArrayRef<int64_t> order, bool movesNothing) {
  if (!movesNothing) {
    return createValue<TransposeOp>(builder, value.getLoc(), value, order);
  }
  SmallVector<int64_t> shape;
  for (int64_t dim : order) {
    shape.push_back(typeOf(value).getDimSize(dim));
  }
  return createValue<ReshapeOp>(builder, value.getLoc(), typeOf(value).clone(shape), value);
}

namespace {
/// The islands of one function.
class Islands {
public:
  Islands(func::FuncOp function, RewriteLimit &limit, PatternLog &log)
      : function(function), limit(limit), log(log), builder(function.getContext()) {}

  void run() {
    SmallVector<Operation *> ops;
    for (Operation &op : function.getBody().front()) {
      ops.push_back(&op);
    }
    Operation *first = nullptr;
    for (Operation *op : ops) {
      builder.setInsertionPoint(op);
      bool isConvolution = isa<ConvOp, ConvGradInputOp>(op) && isFirst(op);
      if (isConvolution && limit.take()) {
        convertImageOp(op);
        first = first ? first : op;
        ++convolutions;
      } else if (!isConvolution && follows(op)) {
        ++followers;
      }
    }
    if (first) {
      Operation *twin = inLast.lookup(first->getResult(0)).getDefiningOp();
      leave();
      log.found("channels_last", twin,
                Twine(convolutions) + " convolutions and " + Twine(followers) +
                    " ops between them, " + Twine(borders) + " images transposed");
    }
  }

private:
  func::FuncOp function;
  RewriteLimit &limit;
  PatternLog &log;
  OpBuilder builder;
  llvm::MapVector<Value, Value> inLast; // channels-first value -> its channels-last twin
  SmallVector<Operation *> converted;   // ops whose results have twins
  int64_t convolutions = 0, followers = 0, borders = 0;

  static bool isFirst(Operation *op) {
    auto layout = op->getAttrOfType<ConvLayoutAttr>("layout");
    return !layout || layout.getValue() == ConvLayout::channels_first;
  }

  /// The channels-last twin of `value`, made here if there is none yet.
  Value toLast(Value value) {
    Value &twin = inLast[value];
    if (!twin) {
      int64_t rank = typeOf(value).getRank();
      bool free = isOneChannelOrPixel(typeOf(value).getShape());
      borders += !free;
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointAfterValue(value); // for all readers of the function
      twin = reorder(builder, value, toLastOrder(rank), free);
    }
    return twin;
  }

  void setTwins(Operation *op, Operation *twin) {
    for (auto [result, other] : llvm::zip_equal(op->getResults(), twin->getResults())) {
      inLast[result] = other;
    }
    converted.push_back(op);
  }

  /// `op` with other operands and result types, otherwise the same.
  Operation *cloneWith(Operation *op, ArrayRef<Value> operands, ArrayRef<Type> types) {
    OperationState state(op->getLoc(), op->getName(), operands, types, op->getAttrs());
    state.propertiesAttr = op->getPropertiesAsAttribute();
    return builder.create(state);
  }

  static Type lastType(Type type) {
    auto tensor = cast<RankedTensorType>(type);
    return tensor.clone(inLastOrder(tensor.getShape()));
  }

  /// A convolution, pool or batch norm: it has an attribute for its layout.
  void convertImageOp(Operation *op) {
    bool hasWeight = isa<ConvOp, ConvGradInputOp>(op);
    SmallVector<Value> operands(op->getOperands());
    operands[0] = toLast(operands[0]);
    if (hasWeight) { // always by a transpose, which storeWeights recognises
      operands[1] = createValue<TransposeOp>(builder, operands[1].getLoc(), operands[1],
                                             toLastOrder(typeOf(operands[1]).getRank()));
    }
    SmallVector<Type> types;
    for (Type type : op->getResultTypes()) { // statistics of a batch norm have no pixels
      bool isImage = cast<RankedTensorType>(type).getRank() == typeOf(operands[0]).getRank();
      types.push_back(isImage ? lastType(type) : type);
    }
    Operation *twin = cloneWith(op, operands, types);
    twin->setAttr("layout", ConvLayoutAttr::get(op->getContext(), ConvLayout::channels_last));
    for (auto [result, other] : llvm::zip_equal(op->getResults(), twin->getResults())) {
      if (result.getType() == other.getType() && typeOf(result).getRank() == 1) {
        result.replaceAllUsesWith(other);
      } else {
        inLast[result] = other;
      }
    }
    converted.push_back(op);
  }

  /// Converts `op` if it reads an image of an island and can compute on the twin.
  bool follows(Operation *op) {
    bool readsImage = llvm::any_of(op->getOperands(), [&](Value v) { return inLast.contains(v); });
    if (!readsImage || op->getNumResults() == 0) {
      return false;
    }
    if (isa<MaxPoolOp, AvgPoolOp, BatchNormOp>(op)) {
      if (!isFirst(op) || !inLast.contains(op->getOperand(0)) ||
          typeOf(op->getOperand(0)).getRank() < 3) {
        return false;
      }
      convertImageOp(op);
      return true;
    }
    if (op->hasTrait<Elementwise>()) {
      return followElementwise(op);
    }
    int64_t rank = typeOf(op->getOperand(0)).getRank();
    auto lastDim = [&](int64_t dim) { return dim == 0 ? 0 : dim == 1 ? rank - 1 : dim - 1; };
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      SmallVector<int64_t> axes;
      for (int64_t axis : reduce.getAxes()) {
        axes.push_back(lastDim(axis));
      }
      llvm::sort(axes);
      setTwins(op, builder.create<ReduceOp>(op->getLoc(), toLast(reduce.getX()), reduce.getKind(),
                                            axes));
      return true;
    }
    if (auto concat = dyn_cast<ConcatOp>(op)) {
      SmallVector<Value> operands;
      for (Value operand : op->getOperands()) {
        if (!inLast.contains(operand)) {
          return false;
        }
        operands.push_back(toLast(operand));
      }
      setTwins(op, builder.create<ConcatOp>(op->getLoc(), operands, lastDim(concat.getAxis())));
      return true;
    }
    if (auto pad = dyn_cast<PadOp>(op)) {
      setTwins(op, builder.create<PadOp>(op->getLoc(), toLast(pad.getX()),
                                         inLastOrder(pad.getLow()), inLastOrder(pad.getHigh()),
                                         inLastOrder(pad.getInterior()), pad.getValue()));
      return true;
    }
    if (auto slice = dyn_cast<SliceOp>(op)) {
      setTwins(op, builder.create<SliceOp>(
                       op->getLoc(), toLast(slice.getX()), inLastOrder(slice.getStarts()),
                       inLastOrder(slice.getSizes()), inLastOrder(slice.getSteps())));
      return true;
    }
    return false;
  }

  /// An elementwise op follows if what else it reads has twins, or is no image: a scalar, or one
  /// number a channel.
  bool followElementwise(Operation *op) {
    int64_t rank = typeOf(op->getResult(0)).getRank();
    if (rank < 3) {
      return false;
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      ArrayRef<int64_t> shape = typeOf(operand).getShape();
      SmallVector<int64_t> full(rank - shape.size(), 1);
      full.append(shape.begin(), shape.end());
      bool isSmall = isOneChannelOrPixel(full) &&
                     llvm::all_of(ArrayRef(full).drop_front(2), [](int64_t s) { return s == 1; });
      if (!inLast.contains(operand) && !isSmall && !splatValue(operand)) {
        return false;
      }
    }
    for (Value operand : op->getOperands()) {
      RankedTensorType type = typeOf(operand);
      if (inLast.contains(operand)) {
        operands.push_back(toLast(operand));
        continue;
      }
      if (type.getNumElements() == 1) {
        operands.push_back(operand);
        continue;
      }
      SmallVector<int64_t> shape(rank - type.getRank(), 1);
      shape.append(type.getShape().begin(), type.getShape().end());
      shape = inLastOrder(shape);
      if (auto splat = operand.getDefiningOp<ConstantOp>(); splat && splatValue(operand)) {
        auto value = cast<DenseElementsAttr>(splat.getValue()).resizeSplat(type.clone(shape));
        operands.push_back(createValue<ConstantOp>(builder, operand.getLoc(), value));
      } else if (splatValue(operand)) { // a broadcast, or a global: any order of equal elements
        operands.push_back(
            createValue<ReshapeOp>(builder, operand.getLoc(), type.clone(shape), operand));
      } else {
        operands.push_back(
            createValue<ReshapeOp>(builder, operand.getLoc(), type.clone(shape), operand));
      }
    }
    setTwins(op, cloneWith(op, operands, lastType(op->getResult(0).getType())));
    return true;
  }

  /// Makes channels-first values for what is outside of the islands, and erases what was converted.
  void leave() {
    DenseSet<Operation *> gone(converted.begin(), converted.end());
    for (Operation *op : llvm::reverse(converted)) {
      for (Value result : op->getResults()) {
        if (result.use_empty()) {
          continue;
        }
        Value twin = inLast.lookup(result);
        bool free = isOneChannelOrPixel(typeOf(result).getShape());
        builder.setInsertionPointAfterValue(twin);
        if (!free) {
          ++borders;
          log.missed("channels_last", op,
                     "'" + (*result.user_begin())->getName().getStringRef() +
                         "' reads the image channels first");
        }
        result.replaceAllUsesWith(
            reorder(builder, twin, toFirstOrder(typeOf(twin).getRank()), free));
      }
      op->erase();
    }
  }
};

/// Stores parameters that are only read transposed as they are read.
class WeightStorage {
public:
  explicit WeightStorage(ModuleOp module) : module(module) {}

  void run() {
    llvm::MapVector<GlobalOp, SmallVector<GetGlobalOp>> reads;
    SymbolTable symbols(module);
    module.walk([&](GetGlobalOp get) {
      if (auto global = symbols.lookup<GlobalOp>(get.getName())) {
        reads[global].push_back(get);
      }
    });
    for (auto &[global, list] : reads) {
      if (canStore(global, list)) {
        store(global, list);
      }
    }
  }

private:
  ModuleOp module;

  static bool canStore(GlobalOp global, ArrayRef<GetGlobalOp> reads) {
    int64_t rank = global.getTensorType().getRank();
    bool isParameter = global.getRole() == GlobalRole::trained && isUsersTensor(global) &&
                       !global.getStorage() && rank >= 3;
    SmallVector<int64_t> order = isParameter ? toLastOrder(rank) : SmallVector<int64_t>();
    return isParameter && llvm::all_of(reads, [&](GetGlobalOp get) {
             return llvm::all_of(get->getUsers(), [&](Operation *user) {
               auto transpose = dyn_cast<TransposeOp>(user);
               return transpose && transpose.getPermutation() == ArrayRef<int64_t>(order) &&
                      llvm::all_of(transpose->getUsers(), [](Operation *reader) {
                        return isa<ConvOp, ConvGradInputOp>(reader);
                      });
             });
           });
  }

  void store(GlobalOp global, ArrayRef<GetGlobalOp> reads) {
    RankedTensorType type = global.getTensorType();
    RankedTensorType stored = type.clone(inLastOrder(type.getShape()));
    GlobalOp storing =
        createStoringGlobal(global, (global.getSymName() + ".channels_last").str(), stored);
    // Dimension i of the part runs along dimension permutation[i] of the storage.
    storeIn(global, storing, SmallVector<int64_t>(type.getRank(), 0), toFirstOrder(type.getRank()));
    for (GetGlobalOp get : reads) {
      OpBuilder builder(get);
      Value whole = builder.create<GetGlobalOp>(get.getLoc(), stored, storing.getSymName());
      for (Operation *user : llvm::make_early_inc_range(get->getUsers())) {
        user->getResult(0).replaceAllUsesWith(whole);
        user->erase();
      }
      get.erase();
    }
  }
};

struct ChooseLayout : dsc::impl::ChooseLayoutBase<ChooseLayout> {
  using ChooseLayoutBase::ChooseLayoutBase;
  void runOnOperation() override {
    std::optional<ConvLayout> chosen = symbolizeConvLayout(layout);
    if (!layout.empty() && !chosen) {
      getOperation().emitError() << "layout is '" << layout
                                 << "', expected channels_first or channels_last";
      return signalPassFailure();
    }
    if (chosen.value_or(targetOf(getOperation())->convLayout()) == ConvLayout::channels_first) {
      return;
    }
    PatternLog log;
    RewriteLimit left(limit);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      Islands(function, left, log).run();
    }
    WeightStorage(getOperation()).run();
    log.attach(getOperation());
  }
};
} // namespace
