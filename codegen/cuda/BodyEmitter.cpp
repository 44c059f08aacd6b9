// Values of a kernel's body, emitted on demand and remembered at their level.

#include "codegen/cuda/BodyEmitter.h"

#include "codegen/EmitElementwise.h"
#include "codegen/cuda/KernelFunction.h"

#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace dsc;
using dsc::cuda::BodyEmitter;

static Type elementOf(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

BodyEmitter::BodyEmitter(const KernelSpace &space, gpu::GPUFuncOp function, int64_t lanes)
    : b(space.kernel().getLoc(), function, lanes), space_(space), function_(function),
      lanes_(lanes) {
  KernelOp kernel = space.kernel();
  ValueRange arguments = function.getArguments();
  operands_ = arguments.take_front(kernel.getInputs().size());
  results_ = arguments.slice(operands_.size(), kernel.getNumResults());
  if (kernel.getScratch() > 0) {
    scratch_ = arguments[operands_.size() + results_.size()];
  }
  setSlotAlignments(b, kernel, function);
}

DenseMap<Value, Value> &BodyEmitter::valuesOf(Level level) {
  switch (level) {
  case Level::kernel:
    return kernelValues_;
  case Level::row:
    return rowValues_;
  case Level::element:
    return current_->values;
  }
  llvm_unreachable("all levels handled");
}

static SmallVector<BlockArgument> argumentsOfLevel(const KernelSpace &space, Level level) {
  SmallVector<BlockArgument> arguments;
  for (BlockArgument argument : space.kernel().getBody().getArguments()) {
    if (space.level(argument) == level) {
      arguments.push_back(argument);
    }
  }
  return arguments;
}

/// The arguments of which each row has a vector for each thread.
static SmallVector<BlockArgument> argumentsOfRows(const KernelSpace &space) {
  SmallVector<BlockArgument> arguments = argumentsOfLevel(space, Level::element);
  llvm::erase_if(arguments, [&](BlockArgument argument) {
    Access access = space.access(argument);
    return !access.variesOverRows() || !access.variesOverColumns();
  });
  return arguments;
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

LogicalResult BodyEmitter::beginKernel() {
  b.setLaneCount(1);
  auto restore = llvm::make_scope_exit([&] { b.setLaneCount(lanes_); });
  for (Value argument : space_.kernel().getBody().getArguments()) {
    if (space_.level(argument) == Level::kernel && failed(getSingle(argument))) {
      return failure();
    }
  }
  for (Operation &op : space_.kernel().getBody().front().without_terminator()) {
    // Before the op itself: the update of a single element is known here too.
    if (op.hasTrait<Update>()) {
      SmallVector<Value> scalars;
      for (Value operand : op.getOperands()) {
        scalars.push_back(kernelValues_.lookup(operand));
      }
      invariants_[&op] = emitInvariants(b, &op, scalars);
    }
    bool known =
        llvm::all_of(op.getResults(), [&](Value v) { return space_.level(v) == Level::kernel; });
    if (known && failed(emitOp(&op))) {
      return failure();
    }
  }
  return success();
}

LogicalResult BodyEmitter::beginRow(Value row) {
  rowValues_.clear();
  rowOffsets_.clear();
  vectors_.clear();
  fillsShared_ = !shared_.empty();
  filling_.clear();
  filled_.clear();
  row_ = row;
  rowCoordinates_ = b.delinearize(row, space_.rowDims());
  if (!taken_.empty()) {
    for (auto [argument, value] : llvm::zip_equal(argumentsOfLevel(space_, Level::row), taken_)) {
      rowValues_[argument] = value;
    }
    taken_.clear();
  }
  for (Value argument : space_.kernel().getBody().getArguments()) {
    // Offsets first: they stand before the loops over columns that use them.
    rowOffset(argument);
    if (space_.level(argument) == Level::row && failed(getSingle(argument))) {
      return failure();
    }
  }
  for (Value result : space_.kernel().getResults()) {
    rowOffset(result);
  }
  // What follows a column reduction is known for a row after a row reduction only.
  return emitRowStage(0, 0);
}

LogicalResult BodyEmitter::emitRowStage(int64_t stage, int64_t columnStage) {
  for (Operation &op : space_.kernel().getBody().front().without_terminator()) {
    if (isa<ReduceOp>(op) || op.getNumResults() == 0) {
      continue;
    }
    Value result = op.getResult(0);
    if (space_.level(result) == Level::row && space_.rowStage(result) == stage &&
        space_.columnStage(result) <= columnStage && failed(emitOp(&op))) {
      return failure();
    }
  }
  return success();
}

void BodyEmitter::useVector(unsigned slot, Value column, int64_t below) {
  Vector &vector = vectors_[slot];
  vector.below = below;
  if (vector.column != column) {
    vector.column = column;
    vector.values.clear();
    vector.stored.clear();
  }
  current_ = &vector;
}

size_t BodyEmitter::rowScalars() const { return argumentsOfLevel(space_, Level::row).size(); }

SmallVector<Value> BodyEmitter::loadRow(Value row) {
  SmallVector<Value> coordinates = b.delinearize(row, space_.rowDims()), loaded;
  for (BlockArgument argument : argumentsOfLevel(space_, Level::row)) {
    loaded.push_back(b.single(b.loadScalar(elementOf(argument), operands_[argument.getArgNumber()],
                                           offsetOfRow(argument, coordinates))));
  }
  return loaded;
}

SmallVector<Value> BodyEmitter::loadVectors(Value row) {
  SmallVector<Value> coordinates = b.delinearize(row, space_.rowDims()), loaded;
  for (BlockArgument argument : argumentsOfRows(space_)) {
    if (isContiguous(space_.access(argument))) {
      Value offset = b.addIndex(offsetOfRow(argument, coordinates), column());
      loaded.push_back(b.toWords(b.loadStored(b.vectorOf(storageType(elementOf(argument))),
                                              operands_[argument.getArgNumber()], offset)));
    }
  }
  return loaded;
}

void BodyEmitter::takeVectors(ArrayRef<Value> loaded) {
  for (BlockArgument argument : argumentsOfRows(space_)) {
    if (isContiguous(space_.access(argument))) {
      current_->stored[argument] =
          b.fromWords(b.vectorOf(storageType(elementOf(argument))), loaded.front());
      loaded = loaded.drop_front();
    }
  }
}

void BodyEmitter::endPass(bool keepDear) {
  for (auto &[slot, vector] : vectors_) {
    DenseMap<Value, Value> kept;
    for (auto [value, known] : vector.values) {
      Operation *op = value.getDefiningOp();
      if (keepDear && op && isExpensive(op)) {
        kept[value] = known;
      }
    }
    vector.values = std::move(kept);
    for (auto &[argument, stored] : vector.stored) {
      stored = b.pin(stored);
    }
  }
}

//===----------------------------------------------------------------------===//
// Rows in shared memory
//===----------------------------------------------------------------------===//

static int64_t sharedBytesOf(const KernelSpace &space, BlockArgument argument) {
  return llvm::alignTo(space.columns() * elementBytes(elementOf(argument)), cuda::kAccessBytes);
}

int64_t BodyEmitter::rowBytes(const KernelSpace &space) {
  int64_t bytes = 0;
  for (BlockArgument argument : argumentsOfRows(space)) {
    bytes += sharedBytesOf(space, argument);
  }
  return bytes;
}

void BodyEmitter::keepRowsInShared() {
  Value buffer = b.dynamicSharedBuffer(rowBytes(space_));
  int64_t offset = 0;
  for (BlockArgument argument : argumentsOfRows(space_)) {
    shared_[argument] =
        offset == 0 ? buffer
                    : b.create<LLVM::GEPOp>(buffer.getType(), b.getI8Type(), buffer,
                                            ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
    offset += sharedBytesOf(space_, argument);
  }
}

void BodyEmitter::endSharedPass(bool isLast) {
  filled_.insert(filling_.begin(), filling_.end());
  fillsShared_ = !shared_.empty() && !isLast;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

LogicalResult BodyEmitter::emitOp(Operation *op) {
  Level level = space_.level(op->getResult(0));
  DenseMap<Value, Value> &values = valuesOf(level);
  if (values.contains(op->getResult(0))) {
    return success();
  }
  if (auto compare = dyn_cast<CompareOp>(op); compare && level == Level::element) {
    FailureOr<Value> known = compareColumns(compare);
    if (failed(known) || *known) {
      return failed(known) ? failure() : (values[op->getResult(0)] = *known, success());
    }
  }
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    FailureOr<Value> value = level == Level::element ? get(operand) : getSingle(operand);
    if (failed(value)) {
      return failure();
    }
    operands.push_back(*value);
  }
  int64_t lanes = b.laneCount();
  b.setLaneCount(level == Level::element ? lanes_ : 1);
  auto restore = llvm::make_scope_exit([&] { b.setLaneCount(lanes); });
  b.setLoc(op->getLoc());
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    auto splat = cast<SplatElementsAttr>(constant.getValue());
    Type element = splat.getElementType();
    Type type = b.vectorOf(computeType(element));
    values[constant] =
        isa<FloatType>(element)
            ? b.constant(type, splat.getSplatValue<APFloat>().convertToDouble())
            : b.constantInt(type,
                            isUnsignedElement(element)
                                ? static_cast<int64_t>(splat.getSplatValue<APInt>().getZExtValue())
                                : splat.getSplatValue<APInt>().getSExtValue());
    return success();
  }
  if (auto iota = dyn_cast<IotaOp>(op)) {
    values[iota] = emitIota(iota);
    return success();
  }
  if (!isElementwise(op)) {
    return op->emitOpError("is needed before its reduction is finished");
  }
  SmallVector<Value> invariants;
  for (Value value : invariants_.lookup(op)) {
    invariants.push_back(b.widen(value));
  }
  FailureOr<SmallVector<Value>> results = emitElementwise(b, op, operands, invariants);
  if (failed(results)) {
    return failure();
  }
  for (auto [result, value] : llvm::zip_equal(op->getResults(), *results)) {
    values[result] = value;
  }
  return success();
}

Value BodyEmitter::emitIota(IotaOp iota) {
  Type element = computeType(elementOf(iota));
  VectorType type = b.vectorOf(element);
  if (space_.level(iota) == Level::kernel) {
    return b.constantInt(type, 0);
  }
  KernelSpace::IotaPlace place = space_.placeOf(iota);
  if (!place.overColumns) {
    Value index = b.remIndex(b.divIndex(row_, place.inner), place.size);
    return b.splat(b.create<arith::IndexCastOp>(element, index));
  }
  if (place.inner == 1 && place.size == space_.columns()) {
    return b.add(b.splat(b.create<arith::IndexCastOp>(element, column())), b.lanes(type));
  }
  VectorType wide = b.vectorOf(b.getI64Type());
  Value index =
      b.add(b.splat(b.create<arith::IndexCastOp>(b.getI64Type(), column())), b.lanes(wide));
  index = b.create<arith::DivUIOp>(index, b.constantInt(wide, place.inner));
  index = b.create<arith::RemUIOp>(index, b.constantInt(wide, place.size));
  return element.isInteger(64) ? index : b.create<arith::TruncIOp>(type, index).getResult();
}

FailureOr<Value> BodyEmitter::compareColumns(CompareOp compare) {
  auto iota = compare.getLhs().getDefiningOp<IotaOp>();
  Value y = compare.getRhs();
  if (!iota || !space_.isColumnNumber(iota) || space_.level(y) == Level::element) {
    return Value();
  }
  FailureOr<Value> number = getSingle(y);
  if (failed(number)) {
    return failure();
  }
  VectorType type = b.vectorOf(computeType(elementOf(y)));
  if (auto bound = y.getDefiningOp<ConstantOp>();
      bound && compare.getPredicate() == ComparePredicate::lt &&
      current_->below <=
          cast<SplatElementsAttr>(bound.getValue()).getSplatValue<APInt>().getSExtValue()) {
    return b.constantInt(b.vectorOf(b.getI1Type()), 1);
  }
  if (compare.getPredicate() != ComparePredicate::eq) {
    return Value();
  }
  // One subtraction for all lanes, which are then compared with constants.
  Value column = b.create<arith::IndexCastOp>(type.getElementType(), this->column());
  Value lane = b.sub(b.extractLane(*number, 0), column);
  return b.cmpi(arith::CmpIPredicate::eq, b.splat(lane), b.lanes(type));
}

void BodyEmitter::setElementValue(Value value, Value vector) { current_->values[value] = vector; }

FailureOr<Value> BodyEmitter::getSingle(Value value) {
  for (DenseMap<Value, Value> *values : {&rowValues_, &kernelValues_}) {
    if (Value known = values->lookup(value)) {
      return known;
    }
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    return getArgument(argument);
  }
  if (failed(emitOp(value.getDefiningOp()))) {
    return failure();
  }
  return valuesOf(space_.level(value)).lookup(value);
}

FailureOr<Value> BodyEmitter::get(Value value) {
  if (Value known = current_->values.lookup(value)) {
    return known;
  }
  if (auto [buffer, offset] = buffers_.lookup(value); buffer) {
    Type element = computeType(elementOf(value));
    Value at = b.addIndex(column(), b.index(offset));
    return current_->values[value] = b.loadVector(element, buffer, at);
  }
  if (space_.level(value) != Level::element) {
    FailureOr<Value> single = getSingle(value);
    if (failed(single)) {
      return failure();
    }
    return current_->values[value] = b.widen(*single);
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    return getArgument(argument);
  }
  if (failed(emitOp(value.getDefiningOp()))) {
    return failure();
  }
  return current_->values.lookup(value);
}

FailureOr<Value> BodyEmitter::getAt(Value value, Value column) {
  Vector alone;
  alone.column = column;
  alone.below = space_.columns();
  // What other vectors have, in registers or in shared memory, is of no use here.
  auto restore = llvm::make_scope_exit(
      [&, current = current_, lanes = lanes_, fills = fillsShared_, filled = filled_] {
        current_ = current;
        lanes_ = lanes;
        fillsShared_ = fills;
        filled_ = filled;
        b.setLaneCount(lanes_);
      });
  current_ = &alone;
  lanes_ = 1;
  fillsShared_ = false;
  filled_.clear();
  b.setLaneCount(1);
  return get(value);
}

FailureOr<Value> BodyEmitter::getArgument(BlockArgument argument) {
  Level level = space_.level(argument);
  if (level == Level::element) {
    Value vector = loadColumns(argument);
    return current_->values[argument] = vector;
  }
  Value offset = level == Level::row ? rowOffset(argument) : b.index(0);
  Value scalar = b.loadScalar(elementOf(argument), operands_[argument.getArgNumber()], offset);
  return valuesOf(level)[argument] = b.single(scalar);
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

Value BodyEmitter::rowOffset(Value tensor) {
  if (Value known = rowOffsets_.lookup(tensor)) {
    return known;
  }
  return rowOffsets_[tensor] = offsetOfRow(tensor, rowCoordinates_);
}

Value BodyEmitter::offsetOfRow(Value tensor, ArrayRef<Value> coordinates) {
  Access access = space_.access(tensor);
  Value sum = b.index(0);
  for (auto [coordinate, stride] : llvm::zip_equal(coordinates, access.rowStrides)) {
    if (stride != 0) {
      sum = b.addIndex(sum, b.mulIndex(coordinate, stride));
    }
  }
  return sum;
}

Value BodyEmitter::loadContiguous(BlockArgument argument, const Access &access, Value offset) {
  Type element = elementOf(argument);
  Value known = current_->stored.lookup(argument);
  if (!known) {
    // A thread reads its own vectors only, so nobody waits for others.
    Type type = b.vectorOf(storageType(element));
    if (filled_.contains(argument)) {
      known = b.loadStored(type, shared_.lookup(argument), column());
    } else {
      known = b.loadStored(type, operands_[argument.getArgNumber()], offset);
    }
    if (fillsShared_ && shared_.contains(argument) && !filled_.contains(argument)) {
      b.storeStored(known, shared_.lookup(argument), column());
      filling_.insert(argument);
    }
    if (access.variesOverRows()) {
      current_->stored[argument] = known;
    }
  }
  return b.fromStored(element, known);
}

bool BodyEmitter::isContiguous(const Access &access) const {
  ArrayRef<int64_t> dims = space_.columnDims(), strides = access.columnStrides;
  int64_t inner = 1;
  bool contiguous = true;
  for (size_t i = dims.size(); i-- > 0;) {
    contiguous &= strides[i] == inner;
    inner *= dims[i];
  }
  return contiguous;
}

Value BodyEmitter::loadColumns(BlockArgument argument) {
  Access access = space_.access(argument);
  Value memory = operands_[argument.getArgNumber()], base = rowOffset(argument);
  Type element = elementOf(argument);
  ArrayRef<int64_t> dims = space_.columnDims(), strides = access.columnStrides;
  if (isContiguous(access)) {
    return loadContiguous(argument, access, b.addIndex(base, column()));
  }
  auto offsetOf = [&](Value column) {
    Value offset = base;
    for (auto [coordinate, stride] : llvm::zip_equal(b.delinearize(column, dims), strides)) {
      offset = b.addIndex(offset, b.mulIndex(coordinate, stride));
    }
    return offset;
  };
  if (dims.back() % lanes_ == 0) { // a vector stays within the last dimension
    Value offset = offsetOf(column());
    return strides.back() == 0 ? b.splat(b.loadScalar(element, memory, offset))
                               : loadContiguous(argument, access, offset);
  }
  Value vector = b.create<LLVM::UndefOp>(b.vectorOf(computeType(element)));
  for (int64_t lane = 0; lane < lanes_; ++lane) {
    Value scalar = b.loadScalar(element, memory, offsetOf(b.addIndex(column(), b.index(lane))));
    vector = b.create<vector::InsertOp>(scalar, vector, ArrayRef<int64_t>{lane});
  }
  return vector;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void BodyEmitter::storeResult(unsigned i, Value vector) {
  Value result = space_.kernel().getResult(i);
  b.storeVector(elementOf(result), vector, results_[i], b.addIndex(rowOffset(result), column()));
}

void BodyEmitter::storeRowResult(unsigned i, Value single) {
  Value result = space_.kernel().getResult(i);
  b.storeScalar(elementOf(result), b.extractLane(single, 0), results_[i], rowOffset(result));
}
