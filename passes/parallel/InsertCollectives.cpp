// Pass: the step of one rank becomes that of one among several.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"

#include "ir/OpsOrder.h"
#include "ir/Options.h"
#include "ir/Ownership.h"
#include "ir/Phase.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace dsc {
#define GEN_PASS_DEF_INSERTCOLLECTIVES
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
/// The flat globals of one bucket, by slot kind; the parameters' own has kind "".
struct FlatBucket {
  std::string name;
  llvm::MapVector<StringRef, GlobalOp> flat;

  GlobalOp find(StringRef kind) const {
    auto it = flat.find(kind);
    return it == flat.end() ? GlobalOp() : it->second;
  }
  /// What forward and backward read.
  GlobalOp weights() const {
    for (auto [kind, global] : flat) {
      if (GlobalOp each = global; each.getRole() == GlobalRole::compute) {
        return each;
      }
    }
    return find("");
  }
};

class CollectiveInserter {
public:
  CollectiveInserter(ModuleOp module, const CompileOptions &options)
      : module(module), symbols(module), options(options), builder(module.getContext()) {}

  LogicalResult run();

private:
  ModuleOp module;
  SymbolTable symbols;
  const CompileOptions &options;
  OpBuilder builder;
  llvm::MapVector<Attribute, FlatBucket> buckets; // by the name of the parameters' flat global
  llvm::DenseMap<Attribute, Attribute> bucketOf;  // a parameter's name -> its bucket

  void findBuckets();
  void shard(const FlatBucket &bucket);
  LogicalResult reduceAtEnd(func::FuncOp last);
  void reduceBucket(Value flat, bool gathersAgain);
  void reduceNumber(Value gradient);
  void keepGradients(GradientsOp boundary);
  void gatherSums(func::FuncOp last);
  void gatherWeights(func::FuncOp last);
  void gatherReads(func::FuncOp entry);
};
} // namespace

/// The value behind views of it.
static Value behindViews(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<ReshapeOp, SliceOp>(op)) {
      break;
    }
    value = op->getOperand(0);
  }
  return value;
}

void CollectiveInserter::findBuckets() {
  for (auto global : module.getOps<GlobalOp>()) {
    std::optional<PlaceAttr> place = global.getWithin();
    if (!place) {
      continue;
    }
    auto flat = symbols.lookup<GlobalOp>(place->getFlat().getAttr());
    Attribute own =
        flat.getOfAttr() ? Attribute(flat.getOfAttr().getAttr()) : flat.getSymNameAttr();
    FlatBucket &bucket = buckets[own];
    bucket.name = cast<StringAttr>(own).str();
    bucket.flat[flat.getSlotKind().value_or("")] = flat;
    if (!flat.getOfAttr()) {
      bucketOf[global.getSymNameAttr()] = own;
    }
  }
}

/// Marks what the stage divides among the ranks.
void CollectiveInserter::shard(const FlatBucket &bucket) {
  GlobalOp weights = bucket.weights();
  for (auto [kind, global] : bucket.flat) {
    GlobalOp each = global;
    int64_t from = each == weights ? 3 : 1;
    // A step's micro-batches are added up whole and reduced once.
    if (options.zero >= from && kind != "accumulator" && each.getRole() != GlobalRole::runtime) {
      each.setSharded(true);
    }
  }
}

/// Reduces `flat`, a bucket's gradient, right behind it; all that read it read the result.
void CollectiveInserter::reduceBucket(Value flat, bool gathersAgain) {
  builder.setInsertionPointAfterValue(flat);
  auto scatter = builder.create<ReduceScatterOp>(flat.getLoc(), flat, IntegerAttr());
  Value reduced = scatter.getY();
  if (gathersAgain) {
    reduced = builder.create<AllGatherOp>(flat.getLoc(), reduced, IntegerAttr(), UnitAttr());
  }
  flat.replaceUsesWithIf(reduced, [&](OpOperand &use) {
    return use.getOwner() != scatter && use.getOwner() != reduced.getDefiningOp();
  });
}

/// The mean of one number of no bucket, rounded once.
void CollectiveInserter::reduceNumber(Value gradient) {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : gradient.getUses()) {
    uses.push_back(&use);
  }
  builder.setInsertionPointAfterValue(gradient);
  ValueBuilder b(builder, gradient.getLoc());
  RankedTensorType type = tensorType(gradient);
  Type wide = statisticsType(type.getElementType());
  auto global = symbols.lookup<GlobalOp>("rt.ranks");
  Value ranks = b.create<GetGlobalOp>(global.getTensorType(),
                                      FlatSymbolRefAttr::get(global.getSymNameAttr()));
  Value line = b.reshape(b.cast(gradient, wide), {type.getNumElements()});
  Value mean = b.div(b.create<AllReduceOp>(line, IntegerAttr()), b.cast(ranks, wide));
  mean = b.reshape(b.cast(mean, type.getElementType()), type.getShape());
  for (OpOperand *use : uses) {
    use->set(mean);
  }
}

LogicalResult CollectiveInserter::reduceAtEnd(func::FuncOp last) {
  for (auto boundary : llvm::to_vector(last.getOps<GradientsOp>())) {
    SmallVector<Value> flats, numbers;
    for (auto [value, name] : boundary.getParameters()) {
      if (tensorType(value).getNumElements() == 0) {
        continue;
      }
      bool isFlat = bucketOf.contains(name);
      if (!isFlat && tensorType(value).getNumElements() > 1) {
        return boundary.emitError("gradient of '")
               << name.getValue() << "' is " << value.getType() << " and lies in no bucket";
      }
      Value gradient = isFlat ? behindViews(value) : value;
      SmallVector<Value> &list = isFlat ? flats : numbers;
      if (!llvm::is_contained(list, gradient)) {
        list.push_back(gradient);
      }
    }
    for (Value number : numbers) {
      reduceNumber(number);
    }
    for (Value flat : flats) {
      reduceBucket(flat, /*gathersAgain=*/options.zero == 0);
    }
    if (options.zero >= 2) {
      keepGradients(boundary);
    }
  }
  return success();
}

/// From here to the update, own chunks of the gradient lie in a sharded global: the place in which
/// all of it was reduced is free.
void CollectiveInserter::keepGradients(GradientsOp boundary) {
  llvm::MapVector<Attribute, Value> flats; // by bucket
  for (auto [value, name] : boundary.getParameters()) {
    if (Attribute own = bucketOf.lookup(name)) {
      flats[own] = behindViews(value);
    }
  }
  for (auto [own, flat] : flats) {
    const FlatBucket &bucket = buckets[own];
    GlobalOp parameters = bucket.find("");
    RankedTensorType type = tensorType(flat);
    builder.setInsertionPointAfter(parameters);
    auto global = builder.create<GlobalOp>(
        parameters.getLoc(), builder.getStringAttr(bucket.name + ".gradient"), TypeAttr::get(type),
        GlobalRoleAttr::get(module.getContext(), GlobalRole::state),
        DenseElementsAttr::get(type, builder.getZeroAttr(type.getElementType())), SourceAttr(),
        ArrayAttr(), StringAttr(), FlatSymbolRefAttr::get(parameters.getSymNameAttr()),
        builder.getStringAttr("gradient"), SlotAttr(), StorageAttr(), PlaceAttr(),
        builder.getUnitAttr());
    symbols.insert(global, Block::iterator(global));
    builder.setInsertionPointAfterValue(flat);
    auto symbol = FlatSymbolRefAttr::get(global.getSymNameAttr());
    auto set = builder.create<SetGlobalOp>(flat.getLoc(), symbol, flat);
    Value kept = builder.create<GetGlobalOp>(flat.getLoc(), type, symbol);
    flat.replaceAllUsesExcept(kept, set);
  }
}

/// Norms add the sums of all their chunks, in one order on all ranks. What is made of gathered sums
/// is no value of own chunks any more, so sums of such values are looked at again afterwards; norms
/// of all buckets are found at once.
void CollectiveInserter::gatherSums(func::FuncOp last) {
  llvm::DenseSet<Operation *> gathered;
  while (true) {
    Ownership ownership(last);
    SmallVector<ReduceOp> sums;
    llvm::DenseSet<Value> unknown; // made of sums found in this round
    for (Operation &op : last.getBody().front()) {
      bool depends = llvm::any_of(op.getOperands(), [&](Value v) { return unknown.contains(v); });
      auto reduce = dyn_cast<ReduceOp>(op);
      if (!depends && reduce && tensorType(reduce.getY()).getRank() == 2 &&
          reduce.getAxes()[0] == 1 && ownership.chunksOf(reduce.getY()) &&
          gathered.insert(reduce).second) {
        sums.push_back(reduce);
        depends = true;
      }
      if (depends) {
        unknown.insert(op.result_begin(), op.result_end());
      }
    }
    if (sums.empty()) {
      return;
    }
    for (ReduceOp reduce : sums) {
      builder.setInsertionPointAfter(reduce);
      auto gather =
          builder.create<AllGatherOp>(reduce.getLoc(), reduce.getY(), IntegerAttr(), UnitAttr());
      reduce.getY().replaceAllUsesExcept(gather.getY(), gather);
    }
  }
}

/// What forward and backward read is whole again behind the update.
void CollectiveInserter::gatherWeights(func::FuncOp last) {
  Ownership ownership(last);
  for (auto set : llvm::to_vector(last.getOps<SetGlobalOp>())) {
    auto global = symbols.lookup<GlobalOp>(set.getNameAttr().getAttr());
    if (!global.getSharded() && ownership.chunksOf(set.getValue())) {
      builder.setInsertionPoint(set);
      set.getValueMutable().set(
          builder.create<AllGatherOp>(set.getLoc(), set.getValue(), IntegerAttr(), UnitAttr()));
    }
  }
}

/// Stage 3: each op that reads weights gathers them right before, whatever else has.
void CollectiveInserter::gatherReads(func::FuncOp entry) {
  for (auto get : llvm::to_vector(entry.getOps<GetGlobalOp>())) {
    auto global = symbols.lookup<GlobalOp>(get.getNameAttr().getAttr());
    if (!global.getSharded()) {
      continue;
    }
    // What reads the flat value itself works on own chunks; members are views of it.
    SmallVector<Value> shown{get.getResult()};
    SmallVector<OpOperand *> reads;
    for (size_t i = 0; i < shown.size(); ++i) {
      for (OpOperand &use : shown[i].getUses()) {
        if (isa<ReshapeOp, SliceOp, AfterOp>(use.getOwner())) {
          if (use.getOperandNumber() == 0) {
            shown.push_back(use.getOwner()->getResult(0));
          }
        } else if (i > 0 && !isa<GradientsOp>(use.getOwner())) {
          reads.push_back(&use);
        }
      }
    }
    for (OpOperand *read : reads) {
      builder.setInsertionPoint(read->getOwner());
      Value whole = builder.create<AllGatherOp>(get.getLoc(), get.getResult(), IntegerAttr(),
                                                builder.getUnitAttr());
      SmallVector<Operation *> views;
      for (Value value = read->get(); value != get.getResult();
           value = value.getDefiningOp()->getOperand(0)) {
        views.push_back(value.getDefiningOp());
      }
      for (Operation *view : llvm::reverse(views)) {
        Operation *clone = builder.clone(*view);
        clone->setOperand(0, whole);
        whole = clone->getResult(0);
      }
      read->set(whole);
    }
    for (Value value : llvm::reverse(shown)) {
      if (value != get.getResult() && value.use_empty()) {
        value.getDefiningOp()->erase();
      }
    }
  }
}

LogicalResult CollectiveInserter::run() {
  auto last = module.lookupSymbol<func::FuncOp>("last");
  if (!last || options.maxRanks == 1) {
    return success();
  }
  // Without this pass (--disable=parallel) the program is one rank's.
  module->setAttr("dsc.max_ranks", builder.getI64IntegerAttr(options.maxRanks));
  findBuckets();
  for (auto &[own, bucket] : buckets) {
    shard(bucket);
  }
  if (options.zero >= 3) {
    for (func::FuncOp entry : entriesOf(module)) {
      gatherReads(entry); // first: behind it forward and backward have nothing of own chunks
    }
  }
  if (failed(reduceAtEnd(last))) {
    return failure();
  }
  if (options.zero >= 1) {
    gatherSums(last);
    gatherWeights(last);
  }
  return success();
}

namespace {
struct InsertCollectives : public dsc::impl::InsertCollectivesBase<InsertCollectives> {
  void runOnOperation() override {
    FailureOr<CompileOptions> options = CompileOptions::from(getOperation());
    if (failed(options) || failed(CollectiveInserter(getOperation(), *options).run())) {
      signalPassFailure();
    }
  }
};
} // namespace
