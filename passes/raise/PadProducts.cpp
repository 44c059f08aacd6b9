// Logits get a width that matrix units like: the parameter that makes them is stored with more
// classes than it has, and so is its bias.
//
// Only the last product of a classifier is padded: what follows it, a cross-entropy, can tell
// classes from padding at no cost, whereas anything else would have to have its part copied out.
// Everything that reads the parameter reads the padded one, the embedding that is tied to it too.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"
#include "passes/raise/StoringGlobals.h"

#include "ir/Options.h"
#include "ir/Target.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace dsc {
#define GEN_PASS_DEF_PADPRODUCTS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

namespace {
/// y = x w (+ b), where y is a result of the model or the logits of a loss.
struct Logits {
  MatmulOp product;
  AddOp sum; // null without a bias
  Value y;
};
} // namespace

static GlobalOp globalOf(Value value, SymbolTable &symbols) {
  auto get = value.getDefiningOp<GetGlobalOp>();
  return get ? symbols.lookup<GlobalOp>(get.getName()) : GlobalOp();
}

/// Whether padding behind the last dimension of `y` can stay there: all that reads it is a loss, or
/// the end of the function, where the classes are copied out for the user.
static bool endsInClasses(Value y) {
  return !y.use_empty() && llvm::all_of(y.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto reshape = dyn_cast<ReshapeOp>(user)) {
      return typeOf(reshape.getResult()).getRank() > 0 &&
             typeOf(reshape.getResult()).getShape().back() == typeOf(y).getShape().back() &&
             endsInClasses(reshape.getResult());
    }
    return isa<func::ReturnOp>(user) || (isa<CrossEntropyOp>(user) && use.getOperandNumber() == 0);
  });
}

/// The logits that `product` makes, with the bias that is added to it alone.
static std::optional<Logits> matchLogits(MatmulOp product) {
  if (product.getTransposeA() || product.getBias() || product.getAccumulator()) {
    return std::nullopt;
  }
  Logits logits{product, {}, product.getResult()};
  if (logits.y.hasOneUse()) {
    if (auto sum = dyn_cast<AddOp>(*logits.y.user_begin());
        sum && sum.getType() == logits.y.getType()) {
      logits.sum = sum;
      logits.y = sum.getResult();
    }
  }
  return endsInClasses(logits.y) ? std::optional(logits) : std::nullopt;
}

/// The first `width` columns of `padded`, or all of its leading elements of `shape`.
static Value leading(OpBuilder &builder, Location loc, Value padded, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> starts(shape.size(), 0), steps(shape.size(), 1);
  return createValue<SliceOp>(builder, loc, padded, starts, shape, steps);
}

namespace {
class Padder {
public:
  Padder(ModuleOp module, const Target &target, Type compute, int64_t alignment, int64_t limit)
      : module(module), symbols(module), target(target), compute(compute), alignment(alignment),
        limit(limit) {}

  void run() {
    // A parameter is padded for the sake of any function, and then in all of them.
    llvm::MapVector<Operation *, SmallVector<Logits>> byWeight;
    module.walk([&](MatmulOp product) {
      GlobalOp weight = globalOf(product.getB(), symbols);
      if (!weight || weight.getRole() != GlobalRole::trained ||
          weight.getTensorType().getRank() != 2) {
        return;
      }
      if (std::optional<Logits> logits = matchLogits(product)) {
        byWeight[weight].push_back(*logits);
      }
    });
    for (auto &[weight, uses] : byWeight) {
      pad(cast<GlobalOp>(weight), uses);
    }
    log.attach(module);
  }

private:
  ModuleOp module;
  SymbolTable symbols;
  const Target &target;
  Type compute;
  int64_t alignment;
  RewriteLimit limit;
  PatternLog log;
  DenseSet<Operation *> widened; // products and sums whose result has padding

  int64_t paddedSize(int64_t size) const {
    int64_t multiple = alignment ? alignment : target.gemmAlignment(compute, size);
    return llvm::alignTo(size, std::max<int64_t>(multiple, 1));
  }

  void pad(GlobalOp weight, MutableArrayRef<Logits> uses) {
    Logits &first = uses.front();
    int64_t classes = typeOf(first.y).getShape().back(), padded = paddedSize(classes);
    bool transposed = first.product.getTransposeB();
    if (padded == classes) {
      return;
    }
    if (std::string why = whyNot(weight, uses); !why.empty()) {
      return log.missed("padded_product", first.product, why);
    }
    if (!limit.take()) {
      return;
    }
    log.found("padded_product", first.product,
              "'" + weight.getSymName() + "': " + Twine(classes) + " classes stored as " +
                  Twine(padded));
    GlobalOp bias = first.sum ? biasOf(first) : GlobalOp();
    for (Logits &logits : uses) {
      widen(logits, padded);
    }
    grow(weight, transposed ? 0 : 1, padded);
    if (bias) {
      grow(bias, 0, padded);
    }
  }

  GlobalOp biasOf(Logits &logits) {
    return globalOf(otherOperand(logits.sum, logits.product.getResult()), symbols);
  }

  std::string whyNot(GlobalOp weight, MutableArrayRef<Logits> uses) {
    Logits &first = uses.front();
    if (weight.getStorage() ||
        (!isUsersTensor(weight) && !storedParts(module).contains(weight.getSymNameAttr()))) {
      return "the weight '" + weight.getSymName().str() + "' is no parameter of the file";
    }
    for (Logits &logits : uses) {
      if (logits.product.getTransposeB() != first.product.getTransposeB()) {
        return "the weight '" + weight.getSymName().str() + "' is used in two orientations";
      }
      if (bool(logits.sum) != bool(first.sum)) {
        return "the bias is added in one function only";
      }
      if (!logits.sum) {
        continue;
      }
      GlobalOp bias = biasOf(logits);
      bool fits = bias && bias == biasOf(first) && bias.getRole() == GlobalRole::trained &&
                  bias.getTensorType().getRank() == 1 && isUsersTensor(bias) && !bias.getStorage();
      if (!fits) {
        return "what is added to the logits is no bias that is trained";
      }
    }
    return "";
  }

  /// Makes `logits` of `padded` classes; what read them reads the first ones.
  void widen(Logits &logits, int64_t padded) {
    auto withLast = [&](RankedTensorType type) {
      SmallVector<int64_t> shape(type.getShape());
      shape.back() = padded;
      return type.clone(shape);
    };
    SmallVector<int64_t> shape(typeOf(logits.y).getShape());
    logits.product.getResult().setType(withLast(typeOf(logits.product.getResult())));
    widened.insert(logits.product);
    if (logits.sum) {
      widened.insert(logits.sum);
      logits.sum.getResult().setType(withLast(typeOf(logits.sum.getResult())));
    }
    cutOff(logits.y, shape);
  }

  /// Gives the readers of the padded `y` the part of `shape` that they knew. Reshapes stay above
  /// the cut, so that what reads them can still tell the padding.
  void cutOff(Value y, ArrayRef<int64_t> shape) {
    OpBuilder builder(y.getContext());
    builder.setInsertionPointAfterValue(y);
    Value cut;
    for (OpOperand &use : llvm::make_early_inc_range(y.getUses())) {
      Operation *user = use.getOwner();
      if (auto reshape = dyn_cast<ReshapeOp>(user)) {
        SmallVector<int64_t> before(typeOf(reshape.getResult()).getShape()), after(before);
        after.back() = typeOf(y).getShape().back();
        reshape.getResult().setType(typeOf(y).clone(after));
        cutOff(reshape.getResult(), before);
      } else if (auto loss = dyn_cast<CrossEntropyOp>(user)) {
        if (!loss.getClasses()) {
          loss.setClasses(shape.back());
        }
      } else {
        cut = cut ? cut : leading(builder, y.getLoc(), y, shape);
        use.set(cut);
      }
    }
  }

  /// Stores `global` with `size` elements along `dim`. Reads that cannot tell the padding, such as
  /// a lookup by index, read it; the others get the part that they knew.
  void grow(GlobalOp global, int64_t dim, int64_t size) {
    RankedTensorType before = global.getTensorType();
    SmallVector<int64_t> shape(before.getShape());
    shape[dim] = size;
    RankedTensorType type = before.clone(shape);
    GlobalOp storing = global;
    StringAttr oldName = global.getSymNameAttr();
    if (storedParts(module).contains(oldName)) {
      storing.setType(type);
      storing.setValueAttr(DenseElementsAttr::get(
          type, Builder(type.getContext()).getZeroAttr(type.getElementType())));
    } else {
      storing = createStoringGlobal(global, (global.getSymName() + ".padded").str(), type);
      SmallVector<int64_t> offsets(shape.size(), 0);
      storeIn(global, storing, offsets, llvm::to_vector(llvm::seq<int64_t>(0, shape.size())));
    }
    module.walk([&](GetGlobalOp get) {
      if (get.getNameAttr().getAttr() != oldName || get.getType() == type) {
        return;
      }
      OpBuilder builder(get);
      Value whole = builder.create<GetGlobalOp>(get.getLoc(), type, storing.getSymName());
      Value part;
      for (OpOperand &use : llvm::make_early_inc_range(get.getResult().getUses())) {
        Operation *user = use.getOwner();
        auto gather = dyn_cast<GatherOp>(user);
        bool takesWhole =
            (gather && use.getOperandNumber() == 0 && int64_t(gather.getAxis()) == dim) ||
            widened.contains(user);
        if (!takesWhole) {
          part = part ? part : leading(builder, get.getLoc(), whole, before.getShape());
        }
        use.set(takesWhole ? whole : part);
      }
      get.erase();
    });
  }
};

struct PadProducts : dsc::impl::PadProductsBase<PadProducts> {
  using PadProductsBase::PadProductsBase;
  void runOnOperation() override {
    FailureOr<CompileOptions> options = CompileOptions::from(getOperation());
    if (failed(options)) {
      return signalPassFailure();
    }
    // The precision phase will have products computed in this type.
    Type compute = options->precision == "bf16"   ? Type(BFloat16Type::get(&getContext()))
                   : options->precision == "fp16" ? Type(Float16Type::get(&getContext()))
                                                  : Type(Float32Type::get(&getContext()));
    Padder(getOperation(), *makeTarget(*options), compute, alignment, limit).run();
  }
};
} // namespace
