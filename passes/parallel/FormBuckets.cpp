// Pass: parameters, their state and their gradients become buckets of ZeRO's flat order, and the
// optimizer one op a bucket.
//
// Flat order: parameters as @last's `gradients` lists them, each from a chunk on. Elementwise ops
// work on the same numbers as before and the norm adds the same sums of chunks in the same order,
// so no bit depends on the pass or on the size of buckets.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"
#include "passes/parallel/FlattenUpdates.h"

#include "ir/Options.h"
#include "ir/Phase.h"

namespace dsc {
#define GEN_PASS_DEF_FORMBUCKETS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
/// Rewrites one entry.
class EntryRewriter {
public:
  EntryRewriter(func::FuncOp entry, const FlatGlobals &globals) : entry(entry), globals(globals) {
    for (const Bucket &bucket : globals.buckets()) {
      flatteners.push_back(std::make_unique<BucketFlattener>(bucket, globals, entry));
    }
  }

  LogicalResult run() {
    if (failed(flattenWrites()) || failed(flattenSquares())) {
      return failure();
    }
    exposeGradients();
    joinSquares();
    readViews();
    removeDead();
    return success();
  }

private:
  func::FuncOp entry;
  const FlatGlobals &globals;
  std::vector<std::unique_ptr<BucketFlattener>> flatteners;

  Block &body() { return entry.getBody().front(); }
  size_t count() const { return globals.buckets().size(); }

  /// The end of backward; null where the entry does not update.
  GradientsOp gradients() {
    auto ops = body().getOps<GradientsOp>();
    return ops.empty() ? GradientsOp() : *ops.begin();
  }

  size_t indexOf(const Bucket *bucket) const { return bucket - globals.buckets().data(); }

  /// The writes of all members of a bucket become one.
  LogicalResult flattenWrites();
  /// The sums of squares of all members' chunks become one reduction a bucket.
  LogicalResult flattenSquares();
  /// Operands of dsc.gradients are parts of the flat gradients.
  void exposeGradients();
  /// Concatenations of consecutive parts of one value are that value.
  void joinSquares();
  /// Reads of members are parts of reads of the bucket.
  void readViews();
  void removeDead();
};
} // namespace

LogicalResult EntryRewriter::flattenWrites() {
  llvm::MapVector<std::pair<size_t, StringRef>, SmallVector<SetGlobalOp>> writes;
  for (auto set : body().getOps<SetGlobalOp>()) {
    const FlatPlace *place = globals.find(set.getNameAttr().getAttr());
    if (!place) {
      continue;
    }
    auto &list = writes[{indexOf(place->bucket), place->kind}];
    list.resize(place->bucket->parameters.size());
    if (list[place->member]) {
      return set.emitError("writes '") << set.getName() << "' a second time in this entry";
    }
    list[place->member] = set;
  }
  GradientsOp boundary = gradients();
  for (auto &[key, list] : writes) {
    auto [index, kind] = key;
    const Bucket &bucket = globals.buckets()[index];
    SmallVector<Value> values;
    for (auto [i, set] : llvm::enumerate(list)) {
      if (!set) {
        return entry.emitError("writes a part of ")
               << bucket.name << (kind.empty() ? "" : ".") << kind << ", but not that of '"
               << const_cast<ShardedParameter &>(bucket.parameters[i]).parameter.getSymName()
               << "'";
      }
      values.push_back(set.getValue());
    }
    Value flat = flatteners[index]->flatten(values);
    // Collectives stand on flat gradients, so updates that read others would miss them.
    Operation *update = values.front().getDefiningOp();
    if (update && update->hasTrait<Update>() && flat.getDefiningOp<PackOp>()) {
      return update->emitError("updates a parameter of ")
             << bucket.name << " in another way than its neighbours are updated";
    }
    GlobalOp global = bucket.flat.find(kind)->second;
    OpBuilder builder(entry.getContext());
    BucketFlattener::setBehind(builder, flat);
    // What the runner may leave out stays behind the boundary.
    bool isUpdate = boundary && boundary->isBeforeInBlock(list.front());
    if (isUpdate && (!flat.getDefiningOp() || flat.getDefiningOp()->isBeforeInBlock(boundary))) {
      builder.setInsertionPointAfter(boundary);
    }
    builder.create<SetGlobalOp>(NameLoc::get(builder.getStringAttr(bucket.name)),
                                FlatSymbolRefAttr::get(global.getSymNameAttr()), flat);
    for (SetGlobalOp set : list) {
      set.erase();
    }
  }
  return success();
}

LogicalResult EntryRewriter::flattenSquares() {
  GradientsOp boundary = gradients();
  if (!boundary) {
    return success();
  }
  // Each op belongs to the parameter whose gradient it reads, behind conversions and scalings.
  DenseMap<Value, const FlatPlace *> owners;
  for (auto [value, name] : boundary.getParameters()) {
    if (const FlatPlace *place = globals.find(name)) {
      owners[value] = place;
    }
  }
  std::vector<SmallVector<ChunkSquaresOp>> squares(count());
  for (Operation &op : body()) {
    if (auto sum = dyn_cast<ChunkSquaresOp>(op)) {
      if (const FlatPlace *place = owners.lookup(sum.getX())) {
        auto &list = squares[indexOf(place->bucket)];
        list.resize(place->bucket->parameters.size());
        if (list[place->member]) {
          return sum.emitError("adds the squares of one gradient a second time");
        }
        list[place->member] = sum;
      }
    } else if (op.hasTrait<Elementwise>() && op.getNumResults() == 1) {
      for (Value operand : op.getOperands()) {
        if (const FlatPlace *place = owners.lookup(operand)) {
          owners.try_emplace(op.getResult(0), place);
        }
      }
    }
  }
  for (auto [index, list] : llvm::enumerate(squares)) {
    if (list.empty() || llvm::is_contained(list, ChunkSquaresOp())) {
      continue; // the norm does not read all of this bucket
    }
    const Bucket &bucket = globals.buckets()[index];
    SmallVector<Value> values;
    for (ChunkSquaresOp sum : list) {
      values.push_back(sum.getX());
    }
    Value sums = flatteners[index]->squaresOf(flatteners[index]->flatten(values));
    if (list.size() == 1) {
      list[0].getY().replaceAllUsesWith(sums);
      continue;
    }
    for (auto [member, sum] : llvm::zip(bucket.plan.members, list)) {
      OpBuilder builder(sum);
      sum.getY().replaceAllUsesWith(
          builder.create<SliceOp>(sum.getLoc(), sums, ArrayRef<int64_t>{member.firstChunk},
                                  ArrayRef<int64_t>{member.chunks}, ArrayRef<int64_t>{1}));
    }
  }
  return success();
}

void EntryRewriter::exposeGradients() {
  GradientsOp boundary = gradients();
  if (!boundary) {
    return;
  }
  std::vector<SmallVector<std::pair<OpOperand *, Value>>> byBucket(count());
  auto parameters = boundary->getOpOperands().drop_back(boundary.getKept());
  for (auto [operand, name] : llvm::zip(parameters, boundary.getNames().getAsRange<StringAttr>())) {
    if (const FlatPlace *place = globals.find(name)) {
      auto &list = byBucket[indexOf(place->bucket)];
      list.resize(place->bucket->parameters.size());
      list[place->member] = {&operand, operand.get()};
    }
  }
  for (auto [index, list] : llvm::enumerate(byBucket)) {
    SmallVector<Value> values;
    for (auto [operand, value] : list) {
      values.push_back(value);
    }
    Value flat = flatteners[index]->flatten(values);
    for (auto [i, each] : llvm::enumerate(list)) {
      OpBuilder builder(boundary);
      each.first->set(flatteners[index]->memberOf(builder, flat, i));
    }
  }
}

void EntryRewriter::joinSquares() {
  for (auto concat : llvm::make_early_inc_range(body().getOps<ConcatOp>())) {
    SmallVector<Value> joined;
    for (size_t i = 0; i < concat.getOperands().size();) {
      auto first = concat.getOperands()[i].getDefiningOp<SliceOp>();
      if (!first || tensorType(first.getX()).getRank() != 1) {
        joined.push_back(concat.getOperands()[i++]);
        continue;
      }
      int64_t end = 0;
      size_t j = i;
      for (; j < concat.getOperands().size(); ++j) {
        auto next = concat.getOperands()[j].getDefiningOp<SliceOp>();
        if (!next || next.getX() != first.getX() || next.getStarts()[0] != end ||
            next.getSteps()[0] != 1) {
          break;
        }
        end += next.getSizes()[0];
      }
      if (end == tensorType(first.getX()).getNumElements()) {
        joined.push_back(first.getX());
        i = j;
      } else {
        joined.push_back(concat.getOperands()[i++]);
      }
    }
    if (joined.size() == 1) {
      concat.getResult().replaceAllUsesWith(joined[0]);
    } else if (joined.size() != concat.getOperands().size()) {
      OpBuilder builder(concat);
      concat.getResult().replaceAllUsesWith(
          builder.create<ConcatOp>(concat.getLoc(), joined, concat.getAxis()).getResult());
    }
  }
}

void EntryRewriter::readViews() {
  for (auto get : llvm::make_early_inc_range(body().getOps<GetGlobalOp>())) {
    const FlatPlace *place = globals.find(get.getNameAttr().getAttr());
    if (!place) {
      continue;
    }
    if (!get.use_empty()) {
      BucketFlattener &flattener = *flatteners[indexOf(place->bucket)];
      OpBuilder builder(get);
      Value flat = flattener.read(place->kind);
      get.getResult().replaceAllUsesWith(place->isNumber
                                             ? flattener.numberOf(builder, flat, place->member)
                                             : flattener.memberOf(builder, flat, place->member));
    }
    get.erase();
  }
}

void EntryRewriter::removeDead() {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body()))) {
    if (isOpTriviallyDead(&op)) {
      op.erase();
    }
  }
}

/// Reads stand for the value at the entry's start: one behind a write would see another one.
static LogicalResult checkReads(func::FuncOp entry, const FlatGlobals &globals) {
  llvm::DenseSet<Attribute> written;
  for (Operation &op : entry.getBody().front()) {
    if (auto set = dyn_cast<SetGlobalOp>(op)) {
      written.insert(set.getNameAttr().getAttr());
    } else if (auto get = dyn_cast<GetGlobalOp>(op)) {
      if (globals.find(get.getNameAttr().getAttr()) &&
          written.contains(get.getNameAttr().getAttr())) {
        return get.emitError("reads '") << get.getName() << "' after it was written in this entry";
      }
    }
  }
  return success();
}

namespace {
struct FormBuckets : public dsc::impl::FormBucketsBase<FormBuckets> {
  using FormBucketsBase::FormBucketsBase;

  void runOnOperation() override {
    if (failed(run(getOperation()))) {
      signalPassFailure();
    }
  }

  LogicalResult run(ModuleOp module) {
    FailureOr<CompileOptions> options = CompileOptions::from(module);
    auto last = module.lookupSymbol<func::FuncOp>("last");
    if (failed(options) || !last) {
      return options;
    }
    SmallVector<GlobalOp> parameters;
    SmallVector<Type> types;
    for (auto boundary : last.getOps<GradientsOp>()) {
      for (auto [value, name] : boundary.getParameters()) {
        auto parameter = module.lookupSymbol<GlobalOp>(name);
        if (!parameter) {
          return boundary.emitError("names '") << name.getValue() << "', which is no parameter";
        }
        if (parameter.getTensorType().getShape() != tensorType(value).getShape()) {
          return boundary.emitError("gradient of '")
                 << name.getValue() << "' is " << value.getType() << ", the parameter is "
                 << parameter.getType();
        }
        if (tensorType(value).getNumElements() > 0) {
          parameters.push_back(parameter);
          types.push_back(tensorType(value).getElementType());
        }
      }
    }
    FlatGlobals globals(module, parameters, types,
                        bucketBytes > 0 ? int64_t(bucketBytes) : options->bucketBytes);
    for (func::FuncOp entry : entriesOf(module)) {
      if (failed(checkReads(entry, globals)) || failed(EntryRewriter(entry, globals).run())) {
        return failure();
      }
    }
    globals.placeParts();
    return success();
  }
};
} // namespace
