// Recognising alike values, and writing their flat form.

#include "passes/parallel/FlattenUpdates.h"

#include "ir/Updates.h"
#include "passes/autodiff/ValueBuilder.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

BucketFlattener::BucketFlattener(const Bucket &bucket, const FlatGlobals &globals,
                                 func::FuncOp entry)
    : bucket(bucket), globals(globals), entry(entry), builder(entry.getContext()),
      loc(NameLoc::get(builder.getStringAttr(bucket.name))) {}

void BucketFlattener::setBehind(OpBuilder &builder, Value value) {
  if (Operation *op = value.getDefiningOp()) {
    builder.setInsertionPointAfter(op);
  } else {
    builder.setInsertionPointToStart(value.getParentBlock());
  }
}

//===----------------------------------------------------------------------===//
// What values of the members are alike
//===----------------------------------------------------------------------===//

const BucketFlattener::Tuple &BucketFlattener::intern(ArrayRef<Value> values, bool perMember) {
  std::vector<const void *> key{perMember ? this : nullptr};
  for (Value value : values) {
    key.push_back(value.getAsOpaquePointer());
  }
  auto [it, inserted] = tuples.try_emplace(std::move(key));
  if (inserted) {
    it->second.values.assign(values.begin(), values.end());
    classify(it->second, perMember);
    if (it->second.form == Form::pack) {
      it->second.packs = {&it->second};
    }
  }
  return it->second;
}

bool BucketFlattener::isMemberShaped(const Tuple &tuple) const {
  for (auto [i, value] : llvm::enumerate(tuple.values)) {
    if (typeOf(value).getShape() != bucket.memberType(i).getShape()) {
      return false;
    }
  }
  return true;
}

/// Whether the values are reads of the members' state, or of their numbers.
bool BucketFlattener::isState(Tuple &tuple) {
  for (auto [i, value] : llvm::enumerate(tuple.values)) {
    auto get = value.getDefiningOp<GetGlobalOp>();
    const FlatPlace *place = get ? globals.find(get.getNameAttr().getAttr()) : nullptr;
    if (!place || place->bucket != &bucket || place->member != i ||
        (i > 0 && place->kind != tuple.kind)) {
      return false;
    }
    tuple.kind = place->kind;
    tuple.isNumber = place->isNumber;
  }
  return true;
}

void BucketFlattener::classify(Tuple &tuple, bool perMember) {
  if (isState(tuple)) {
    tuple.form = Form::state;
    return;
  }
  tuple.isNumber = false;
  const bool isOne = llvm::all_equal(tuple.values);
  if (typeOf(tuple.values[0]).getRank() == 0 && isOne) {
    // In a bucket of one member also the member's own numbers are one value.
    if (perMember && tuple.values.size() == 1 &&
        (classifySumOfSquares(tuple) || classifyOps(tuple, perMember))) {
      return;
    }
    bool isMember = tuple.values.size() == 1 && bucket.memberType(0).getRank() == 0 &&
                    !tuple.values[0].getDefiningOp<ConstantOp>();
    if (!isMember) {
      tuple.form = Form::shared;
      return;
    }
  }
  auto first = tuple.values[0].getDefiningOp<ConstantOp>();
  if (first && first.getValue().isSplat() && isMemberShaped(tuple) &&
      llvm::all_of(tuple.values, [&](Value value) {
        auto constant = value.getDefiningOp<ConstantOp>();
        return constant && constant.getValue().isSplat() &&
               cast<DenseElementsAttr>(constant.getValue()).getSplatValue<Attribute>() ==
                   cast<DenseElementsAttr>(first.getValue()).getSplatValue<Attribute>();
      })) {
    tuple.form = Form::splat;
    return;
  }
  if (!classifySumOfSquares(tuple)) {
    classifyOps(tuple, perMember);
  }
}

/// Whether the values are the sums of squares of all of each member, from its chunks.
bool BucketFlattener::classifySumOfSquares(Tuple &tuple) {
  SmallVector<Value> members;
  for (Value value : tuple.values) {
    // The sum of one chunk may have been folded to it.
    Operation *op = typeOf(value).getRank() == 0 ? value.getDefiningOp() : nullptr;
    for (auto sum = dyn_cast_if_present<ReduceOp>(op);
         op && (isa<ReshapeOp>(op) || (sum && sum.getKind() == ReduceKind::sum));
         sum = dyn_cast_if_present<ReduceOp>(op)) {
      op = op->getOperand(0).getDefiningOp();
    }
    auto squares = dyn_cast_if_present<ChunkSquaresOp>(op);
    if (!squares) {
      return false;
    }
    members.push_back(squares.getX());
  }
  const Tuple &operand = intern(members);
  if (!isMemberShaped(operand) || operand.isNumber || operand.packs.size() > 1) {
    return false;
  }
  tuple.form = Form::sumOfSquares;
  tuple.isNumber = true;
  tuple.operands = {&operand};
  tuple.packs = operand.packs;
  return true;
}

/// Makes `tuple` of form op if the members' ops are one op on the bucket or on numbers of members.
bool BucketFlattener::classifyOps(Tuple &tuple, bool perMember) {
  auto first = dyn_cast<OpResult>(tuple.values[0]);
  bool isUpdate = first && first.getOwner()->hasTrait<Update>();
  if (!first || !(isUpdate || first.getOwner()->hasTrait<Elementwise>()) ||
      first.getOwner()->getNumOperands() == 0) {
    return false;
  }
  Operation *op = first.getOwner();
  for (Value value : tuple.values) {
    auto result = dyn_cast<OpResult>(value);
    if (!result || result.getResultNumber() != first.getResultNumber() ||
        result.getOwner()->getName() != op->getName() ||
        result.getOwner()->getNumOperands() != op->getNumOperands() ||
        result.getOwner()->getNumResults() != op->getNumResults() ||
        result.getOwner()->getAttrDictionary() != op->getAttrDictionary() ||
        typeOf(value).getElementType() != typeOf(first).getElementType()) {
      return false;
    }
  }
  // Arithmetic of the step itself: on state, or with a number that is computed in it.
  bool belongs = isUpdate;
  if (auto cast = dyn_cast<CastOp>(op)) {
    Type from = typeOf(cast.getX()).getElementType(), to = typeOf(cast.getY()).getElementType();
    belongs = isa<FloatType>(from) && isa<FloatType>(to) &&
              from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth();
  }
  const SmallVector<Value> numbers = isUpdate ? numbersOf(op) : SmallVector<Value>();
  bool hasNumbers = false, hasMembers = false, fits = true;
  llvm::SetVector<const Tuple *> packs;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    SmallVector<Value> operands;
    for (Value value : tuple.values) {
      operands.push_back(value.getDefiningOp()->getOperand(i));
    }
    const bool isNumberOfUpdate = llvm::is_contained(numbers, operands[0]);
    const Tuple &operand = intern(operands, perMember || isNumberOfUpdate);
    const bool isShared = operand.form == Form::shared;
    hasNumbers |= operand.isNumber;
    hasMembers |= !isShared && !operand.isNumber;
    fits &= isShared || operand.isNumber || isMemberShaped(operand);
    bool isStepsNumber = isShared && !operands[0].getDefiningOp<ConstantOp>();
    belongs |= isStepsNumber || operand.isNumber || operand.form == Form::state ||
               operand.form == Form::op;
    packs.insert(operand.packs.begin(), operand.packs.end());
    tuple.operands.push_back(&operand);
  }
  const bool isNumber = hasNumbers && !hasMembers && typeOf(first).getRank() == 0;
  if (!fits || !belongs || packs.size() > 1 ||
      !(isNumber || (hasMembers && isMemberShaped(tuple)))) {
    tuple.operands.clear();
    return false;
  }
  tuple.form = Form::op;
  tuple.isNumber = isNumber;
  tuple.packs.assign(packs.begin(), packs.end());
  return true;
}

//===----------------------------------------------------------------------===//
// The flat form
//===----------------------------------------------------------------------===//

/// The one of `values` that is made last.
static Value latest(ValueRange values) {
  Value last;
  for (Value value : values) {
    Operation *op = value.getDefiningOp(), *other = last ? last.getDefiningOp() : nullptr;
    if (!last || (op && (!other || other->isBeforeInBlock(op)))) {
      last = value;
    }
  }
  return last;
}

Value BucketFlattener::read(StringRef kind) {
  Value &value = reads[kind];
  if (!value) {
    GlobalOp flat = bucket.flat.find(kind)->second;
    builder.setInsertionPointToStart(&entry.getBody().front());
    value = builder.create<GetGlobalOp>(loc, flat.getTensorType(),
                                        FlatSymbolRefAttr::get(flat.getSymNameAttr()));
  }
  return value;
}

Value BucketFlattener::flatten(ArrayRef<Value> values) { return build(intern(values)); }

Value BucketFlattener::build(const Tuple &tuple) {
  if (tuple.flat) {
    return tuple.flat;
  }
  Type element = typeOf(tuple.values[0]).getElementType();
  switch (tuple.form) {
  case Form::shared:
    return tuple.flat = tuple.values[0];
  case Form::splat: {
    auto value = cast<DenseElementsAttr>(tuple.values[0].getDefiningOp<ConstantOp>().getValue());
    builder.setInsertionPointToStart(&entry.getBody().front());
    return tuple.flat = builder.create<ConstantOp>(
               loc, DenseElementsAttr::get(bucket.type(element), value.getSplatValue<Attribute>()));
  }
  case Form::state:
    return tuple.flat = read(tuple.kind);
  case Form::op:
    buildOp(tuple);
    return tuple.flat;
  case Form::sumOfSquares: {
    Value flat = build(*tuple.operands[0]);
    setBehind(builder, flat);
    // The squares of weights are the update's; backward would have to wait for them.
    auto boundaries = entry.getOps<GradientsOp>();
    if (tuple.operands[0]->form == Form::state && !boundaries.empty()) {
      builder.setInsertionPointAfter(*boundaries.begin());
    }
    return tuple.flat = sumsOfMembers(squaresHere(flat));
  }
  case Form::pack: {
    SmallVector<int64_t> offsets;
    for (size_t i = 0; i < tuple.values.size(); ++i) {
      offsets.push_back(bucket.offset(i));
    }
    setBehind(builder, latest(tuple.values));
    return tuple.flat = builder.create<PackOp>(loc, bucket.type(element), tuple.values, offsets);
  }
  }
  llvm_unreachable("all forms are built");
}

void BucketFlattener::buildOp(const Tuple &tuple) {
  std::vector<const void *> key;
  for (Value value : tuple.values) {
    key.push_back(value.getDefiningOp());
  }
  Operation *&op = flatOps[key];
  if (!op) {
    SmallVector<Value> operands;
    for (const Tuple *operand : tuple.operands) {
      operands.push_back(build(*operand));
    }
    op = tuple.values[0].getDefiningOp()->cloneWithoutRegions();
    op->setLoc(loc);
    op->setOperands(operands);
    for (Value result : op->getResults()) {
      Type element = typeOf(result).getElementType();
      result.setType(tuple.isNumber ? bucket.numberType(element) : bucket.type(element));
    }
    setBehind(builder, latest(operands));
    builder.insert(op);
  }
  tuple.flat = op->getResult(cast<OpResult>(tuple.values[0]).getResultNumber());
}

Value BucketFlattener::squaresOf(Value flat) {
  setBehind(builder, flat);
  return squaresHere(flat);
}

Value BucketFlattener::squaresHere(Value flat) {
  ValueBuilder b(builder, loc);
  Value x = b.cast(flat, statisticsType(tensorType(flat).getElementType()));
  if (GlobalOp counts = bucket.chunkElements) {
    Value elements = b.create<GetGlobalOp>(counts.getTensorType(),
                                           FlatSymbolRefAttr::get(counts.getSymNameAttr()));
    Value position = b.create<IotaOp>(
        RankedTensorType::get({1, DSC_CHUNK_ELEMENTS}, builder.getI32Type()), int64_t(1));
    x = b.select(b.compare(ComparePredicate::lt, position, elements), x, b.scalar(0, x));
  }
  Value sums = b.reduce(ReduceKind::sum, b.mul(x, x), {1});
  return b.reshape(sums, {bucket.plan.chunks});
}

/// The sum of `chunkSums` ([chunks]) over each member, for each of its chunks: [chunks, 1]. Sums of
/// kFanIn neighbours are added level by level, so that the tree is a function of the member's
/// number of chunks alone; what fills a row up is 0.
Value BucketFlattener::sumsOfMembers(Value chunkSums) {
  constexpr int64_t kFanIn = 64;
  ValueBuilder b(builder, loc);
  auto indices = [&](ArrayRef<int32_t> values, ArrayRef<int64_t> shape) -> Value {
    return b.create<ConstantOp>(
        DenseElementsAttr::get(RankedTensorType::get(shape, builder.getI32Type()), values));
  };
  SmallVector<int64_t> counts; // of the sums of each member that are left
  for (const ShardBucket::Member &member : bucket.plan.members) {
    counts.push_back(member.chunks);
  }
  Value sums = chunkSums;
  while (llvm::any_of(counts, [](int64_t count) { return count > 1; })) {
    SmallVector<int32_t> from;
    SmallVector<bool> isThere;
    int32_t begin = 0;
    for (int64_t &count : counts) {
      const int64_t rows = llvm::divideCeil(count, kFanIn);
      for (int64_t i = 0; i < rows * kFanIn; ++i) {
        isThere.push_back(i < count);
        from.push_back(begin + static_cast<int32_t>(std::min(i, count - 1)));
      }
      begin += static_cast<int32_t>(count);
      count = rows;
    }
    const int64_t rows = static_cast<int64_t>(from.size()) / kFanIn;
    Value gathered = b.create<GatherOp>(sums, indices(from, {rows, kFanIn}), int64_t(0));
    Value mask = b.create<ConstantOp>(DenseElementsAttr::get(
        RankedTensorType::get({rows, kFanIn}, builder.getI1Type()), ArrayRef<bool>(isThere)));
    gathered = b.select(mask, gathered, b.scalar(0, gathered));
    sums = b.reshape(b.reduce(ReduceKind::sum, gathered, {1}), {rows});
  }
  SmallVector<int32_t> owners;
  for (auto [i, member] : llvm::enumerate(bucket.plan.members)) {
    owners.append(member.chunks, static_cast<int32_t>(i));
  }
  Value spread = b.create<GatherOp>(sums, indices(owners, {bucket.plan.chunks}), int64_t(0));
  return b.reshape(spread, {bucket.plan.chunks, 1});
}

Value BucketFlattener::numberOf(OpBuilder &at, Value flat, size_t member) {
  Location where = bucket.parameters[member].parameter->getLoc();
  int64_t chunk = bucket.plan.members[member].firstChunk;
  Value part = at.create<SliceOp>(where, flat, ArrayRef<int64_t>{chunk, 0}, ArrayRef<int64_t>{1, 1},
                                  ArrayRef<int64_t>{1, 1});
  return at.create<ReshapeOp>(where, typeOf(flat).clone(ArrayRef<int64_t>{}), part);
}

Value BucketFlattener::memberOf(OpBuilder &at, Value flat, size_t member) {
  RankedTensorType type = bucket.memberType(member).clone(typeOf(flat).getElementType());
  int64_t elements = type.getNumElements(), all = typeOf(flat).getNumElements();
  Value &line = lines[flat];
  if (!line) {
    setBehind(builder, flat);
    line = builder.create<ReshapeOp>(loc, typeOf(flat).clone({all}), flat);
  }
  Location where = bucket.parameters[member].parameter->getLoc();
  Value part = line;
  if (elements != all) {
    part = at.create<SliceOp>(where, line, ArrayRef<int64_t>{bucket.offset(member)},
                              ArrayRef<int64_t>{elements}, ArrayRef<int64_t>{1});
  }
  return type.getRank() == 1 ? part : at.create<ReshapeOp>(where, type, part).getResult();
}
