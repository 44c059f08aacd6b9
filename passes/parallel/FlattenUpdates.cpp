// Recognising alike values, and writing their flat form.

#include "passes/parallel/FlattenUpdates.h"

#include "llvm/ADT/SetVector.h"

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

const BucketFlattener::Tuple &BucketFlattener::intern(ArrayRef<Value> values) {
  std::vector<const void *> key;
  for (Value value : values) {
    key.push_back(value.getAsOpaquePointer());
  }
  auto [it, inserted] = tuples.try_emplace(std::move(key));
  if (inserted) {
    it->second.values.assign(values.begin(), values.end());
    classify(it->second);
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

void BucketFlattener::classify(Tuple &tuple) {
  if (typeOf(tuple.values[0]).getRank() == 0 && llvm::all_equal(tuple.values) &&
      !(tuple.values.size() == 1 && bucket.memberType(0).getRank() == 0 &&
        !tuple.values[0].getDefiningOp<ConstantOp>())) {
    tuple.form = Form::shared;
    return;
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
  bool isState = true;
  for (auto [i, value] : llvm::enumerate(tuple.values)) {
    auto get = value.getDefiningOp<GetGlobalOp>();
    const FlatPlace *place = get ? globals.find(get.getNameAttr().getAttr()) : nullptr;
    isState = isState && place && place->bucket == &bucket && place->member == i &&
              (i == 0 || place->kind == tuple.kind);
    if (isState) {
      tuple.kind = place->kind;
    }
  }
  if (isState) {
    tuple.form = Form::state;
  } else if (classifyOps(tuple)) {
    tuple.form = Form::op;
  }
}

/// Whether the members' ops are one op on the bucket; its operands and packs then stand in `tuple`.
bool BucketFlattener::classifyOps(Tuple &tuple) {
  auto first = dyn_cast<OpResult>(tuple.values[0]);
  bool isUpdate = first && isa<AdamOp, SgdOp>(first.getOwner());
  if (!first || !(isUpdate || first.getOwner()->hasTrait<Elementwise>()) ||
      first.getOwner()->getNumOperands() == 0 || !isMemberShaped(tuple)) {
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
  llvm::SetVector<const Tuple *> packs;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    SmallVector<Value> operands;
    for (Value value : tuple.values) {
      operands.push_back(value.getDefiningOp()->getOperand(i));
    }
    const Tuple &operand = intern(operands);
    if (operand.form != Form::shared && !isMemberShaped(operand)) {
      return false;
    }
    bool isNumber = operand.form == Form::shared && !operands[0].getDefiningOp<ConstantOp>();
    belongs |= isNumber || operand.form == Form::state || operand.form == Form::op;
    packs.insert(operand.packs.begin(), operand.packs.end());
    tuple.operands.push_back(&operand);
  }
  if (!belongs || packs.size() > 1) {
    tuple.operands.clear();
    return false;
  }
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
      result.setType(bucket.type(typeOf(result).getElementType()));
    }
    setBehind(builder, latest(operands));
    builder.insert(op);
  }
  tuple.flat = op->getResult(cast<OpResult>(tuple.values[0]).getResultNumber());
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
