// Values of a kernel's body, emitted on demand and remembered at their level.

#include "codegen/cpu/BodyEmitter.h"

#include "codegen/EmitElementwise.h"

#include "runtime/abi.h"

using namespace mlir;
using namespace dsc;

static Type elementOf(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

BodyEmitter::BodyEmitter(const KernelSpace &space, func::FuncOp function)
    : b(space.kernel().getLoc(), function), space_(space) {
  KernelOp kernel = space.kernel();
  ValueRange arguments = function.getArguments();
  operands_ = arguments.take_front(kernel.getInputs().size());
  results_ = arguments.slice(operands_.size(), kernel.getNumResults());
  if (kernel.getScratch() > 0) {
    scratch_ = arguments[operands_.size() + results_.size()];
  }
  begin_ = arguments[arguments.size() - 2];
  end_ = arguments.back();
}

DenseMap<Value, Value> &BodyEmitter::valuesOf(Level level) {
  switch (level) {
  case Level::kernel:
    return kernelValues_;
  case Level::row:
    return rowValues_;
  case Level::element:
    return elementValues_;
  }
  llvm_unreachable("all levels handled");
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

LogicalResult BodyEmitter::beginKernel() {
  for (Value argument : space_.kernel().getBody().getArguments()) {
    if (space_.level(argument) == Level::kernel && failed(get(argument))) {
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
  elementValues_.clear();
  row_ = row;
  rowCoordinates_ = b.delinearize(row, space_.rowDims());
  for (Value argument : space_.kernel().getBody().getArguments()) {
    // Offsets first: they stand before the loops over columns that use them.
    rowOffset(argument);
    if (space_.level(argument) == Level::row && failed(get(argument))) {
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

void BodyEmitter::beginColumns(Value column, Value mask) {
  elementValues_.clear();
  column_ = column;
  mask_ = mask;
}

ColumnRange BodyEmitter::allColumns() {
  int64_t full = space_.columns() / DSC_LANES * DSC_LANES;
  return {b.index(0), b.index(full), full != space_.columns(), Value()};
}

FailureOr<SmallVector<Value>>
BodyEmitter::forColumns(const ColumnRange &range, ValueRange carried,
                        llvm::function_ref<FailureOr<SmallVector<Value>>(ValueRange)> body) {
  bool failed = false;
  SmallVector<Value> values(carried);
  bool empty = getConstantIntValue(range.lower) &&
               getConstantIntValue(range.lower) == getConstantIntValue(range.fullUpper);
  if (!empty) {
    values =
        b.loop(range.lower, range.fullUpper, DSC_LANES, values, [&](Value column, ValueRange now) {
          beginColumns(column, Value());
          FailureOr<SmallVector<Value>> next = body(now);
          failed |= mlir::failed(next);
          return mlir::failed(next) ? SmallVector<Value>(now) : *next;
        });
  }
  if (range.hasTail) {
    int64_t tail = space_.columns() % DSC_LANES;
    auto emitTail = [&] {
      beginColumns(b.index(space_.columns() - tail), b.maskOf(tail));
      FailureOr<SmallVector<Value>> next = body(values);
      failed |= mlir::failed(next);
      if (succeeded(next)) {
        values = *next;
      }
    };
    if (range.tailCondition) {
      b.ifThen(range.tailCondition, emitTail); // only without carried values
    } else {
      emitTail();
    }
  }
  elementValues_.clear();
  if (failed) {
    return failure();
  }
  return values;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

LogicalResult BodyEmitter::emitOp(Operation *op) {
  DenseMap<Value, Value> &values = valuesOf(space_.level(op->getResult(0)));
  if (values.contains(op->getResult(0))) {
    return success();
  }
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
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    FailureOr<Value> value = get(operand);
    if (failed(value)) {
      return failure();
    }
    operands.push_back(*value);
  }
  b.setLoc(op->getLoc());
  FailureOr<SmallVector<Value>> results = emitElementwise(b, op, operands, invariants_.lookup(op));
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
    return b.add(b.splat(b.create<arith::IndexCastOp>(element, column_)), b.lanes(type));
  }
  VectorType wide = b.vectorOf(b.getI64Type());
  Value column = b.splat(b.create<arith::IndexCastOp>(b.getI64Type(), column_));
  Value index =
      b.create<arith::DivUIOp>(b.add(column, b.lanes(wide)), b.constantInt(wide, place.inner));
  index = b.create<arith::RemUIOp>(index, b.constantInt(wide, place.size));
  return element.isInteger(64) ? index : b.create<arith::TruncIOp>(type, index).getResult();
}

FailureOr<Value> BodyEmitter::get(Value value) {
  for (DenseMap<Value, Value> *values : {&elementValues_, &rowValues_, &kernelValues_}) {
    if (Value known = values->lookup(value)) {
      return known;
    }
  }
  if (Value buffer = buffers_.lookup(value)) {
    Type element = computeType(elementOf(value));
    return elementValues_[value] = b.loadVector(element, buffer, column_, mask_);
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    return getArgument(argument);
  }
  if (failed(emitOp(value.getDefiningOp()))) {
    return failure();
  }
  return valuesOf(space_.level(value)).lookup(value);
}

FailureOr<Value> BodyEmitter::getArgument(BlockArgument argument) {
  Level level = space_.level(argument);
  Value value;
  if (level == Level::element) {
    value = loadColumns(argument, space_.access(argument));
  } else {
    Value offset = level == Level::row ? rowOffset(argument) : b.index(0);
    value = b.splat(b.loadScalar(elementOf(argument), operands_[argument.getArgNumber()], offset));
  }
  return valuesOf(level)[argument] = value;
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

Value BodyEmitter::rowOffset(Value tensor) {
  Value &offset = rowOffsets_[tensor];
  if (!offset) {
    Access access = space_.access(tensor);
    Value sum = b.index(0);
    for (auto [coordinate, stride] : llvm::zip_equal(rowCoordinates_, access.rowStrides)) {
      if (stride != 0) {
        sum = b.addIndex(sum, b.mulIndex(coordinate, stride));
      }
    }
    offset = sum;
  }
  return offset;
}

Value BodyEmitter::loadColumns(BlockArgument argument, const Access &access) {
  Value memory = operands_[argument.getArgNumber()], base = rowOffset(argument);
  Type element = elementOf(argument);
  ArrayRef<int64_t> dims = space_.columnDims(), strides = access.columnStrides;
  if (dims.size() == 1) {
    return b.loadVector(element, memory, b.addIndex(base, column_), mask_);
  }
  // Contiguous over all columns?
  int64_t inner = 1;
  bool contiguous = true;
  for (size_t i = dims.size(); i-- > 0;) {
    contiguous &= strides[i] == inner;
    inner *= dims[i];
  }
  if (contiguous) {
    return b.loadVector(element, memory, b.addIndex(base, column_), mask_);
  }
  if (dims.back() % DSC_LANES != 0) {
    return gatherColumns(argument, access, base);
  }
  // A vector of columns stays within the last dimension.
  for (auto [coordinate, stride] : llvm::zip_equal(b.delinearize(column_, dims), strides)) {
    base = b.addIndex(base, b.mulIndex(coordinate, stride));
  }
  return strides.back() == 0 ? b.splat(b.loadScalar(element, memory, base))
                             : b.loadVector(element, memory, base, mask_);
}

Value BodyEmitter::gatherColumns(BlockArgument argument, const Access &access, Value base) {
  // Lane by lane through the stack: only where broadcasts meet an odd last dimension.
  Value memory = operands_[argument.getArgNumber()];
  Type element = elementOf(argument), stored = memoryType(element);
  Value lanes = b.stackBuffer(stored, DSC_LANES);
  b.loop(DSC_LANES, [&](Value lane) {
    Value column = b.minIndex(b.addIndex(column_, lane), b.index(space_.columns() - 1)),
          offset = base;
    for (auto [coordinate, stride] :
         llvm::zip_equal(b.delinearize(column, space_.columnDims()), access.columnStrides)) {
      offset = b.addIndex(offset, b.mulIndex(coordinate, stride));
    }
    b.create<memref::StoreOp>(b.create<memref::LoadOp>(memory, ValueRange(offset)), lanes,
                              ValueRange(lane));
  });
  return b.loadVector(element, lanes, b.index(0), Value());
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void BodyEmitter::storeResult(unsigned i, Value vector) {
  Value result = space_.kernel().getResult(i);
  b.storeVector(elementOf(result), vector, results_[i], b.addIndex(rowOffset(result), column_),
                mask_);
}

void BodyEmitter::storeRowResult(unsigned i, Value vector) {
  Value result = space_.kernel().getResult(i);
  b.storeScalar(elementOf(result), b.extractLane(vector, 0), results_[i], rowOffset(result));
}
