// Verifiers of globals and kernels.

#include "ir/Dialect.h"
#include "ir/Target.h"

using namespace mlir;
using namespace dsc;

/// global_9
static LogicalResult verifyPlace(GlobalOp global, SymbolTableCollection &tables) {
  PlaceAttr place = *global.getWithin();
  auto flat = tables.lookupNearestSymbolFrom<GlobalOp>(global, place.getFlat());
  if (!flat) {
    return global.emitOpError("lies within ") << place.getFlat() << ", which is no global";
  }
  auto type = global.getTensorType(), whole = dyn_cast<RankedTensorType>(flat.getType());
  if (!whole || whole.getElementType() != type.getElementType() || flat.getWithin()) {
    InFlightDiagnostic diagnostic = global.emitOpError("is ")
                                    << type << " and lies within " << flat.getType()
                                    << (flat.getWithin() ? ", which lies within another" : "");
    diagnostic.attachNote(flat.getLoc()) << "global declared here";
    return diagnostic;
  }
  if (place.getOffset() < 0 ||
      place.getOffset() > whole.getNumElements() - type.getNumElements()) { // global_9
    return global.emitOpError("of ")
           << type.getNumElements() << " elements at " << place.getOffset() << " ends outside of "
           << whole.getNumElements();
  }
  return success();
}

/// global_7 to global_8: a part lies inside a global of its kind.
static LogicalResult verifyStorage(GlobalOp part, SymbolTableCollection &tables) {
  StorageAttr storage = *part.getStorage();
  auto whole = tables.lookupNearestSymbolFrom<GlobalOp>(part, storage.getGlobal());
  if (!whole) { // global_6
    return part.emitOpError("is stored in ") << storage.getGlobal() << ", which is no global";
  }
  RankedTensorType type = part.getTensorType();
  auto inside = dyn_cast<RankedTensorType>(whole.getType());
  if (whole.getStorage() || whole.getRole() != part.getRole() || !inside ||
      inside.getElementType() != type.getElementType() ||
      inside.getRank() != type.getRank()) { // global_6
    InFlightDiagnostic diagnostic = part.emitOpError("is a ")
                                    << stringifyGlobalRole(part.getRole()) << " " << type
                                    << " and cannot be a part of " << storage.getGlobal();
    diagnostic.attachNote(whole.getLoc())
        << "a " << stringifyGlobalRole(whole.getRole()) << " " << whole.getType()
        << (whole.getStorage() ? ", a part itself" : "");
    return diagnostic;
  }
  int64_t rank = type.getRank();
  SmallVector<bool> taken(rank, false);
  bool fits = static_cast<int64_t>(storage.getOffsets().size()) == rank &&
              static_cast<int64_t>(storage.getPermutation().size()) == rank;
  for (int64_t i = 0; fits && i < rank; ++i) {
    int64_t dim = storage.getPermutation()[i];
    fits = dim >= 0 && dim < rank && !taken[dim] && storage.getOffsets()[dim] >= 0 &&
           storage.getOffsets()[dim] <= inside.getDimSize(dim) - type.getDimSize(i);
    if (fits) {
      taken[dim] = true;
    }
  }
  if (!fits) { // global_7
    return part.emitOpError("of ")
           << type << " does not lie inside " << inside << " at " << storage;
  }
  if (part.getSlot()) { // global_8
    return part.emitOpError("has a slot, but is stored in ") << storage.getGlobal();
  }
  return success();
}

LogicalResult GlobalOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape()) { // global_10
    return emitOpError("type is ") << getType() << ", expected a statically shaped tensor";
  }
  if (getValue().has_value() == getSource().has_value()) { // global_1
    return emitOpError(getValue() ? "has both value and source" : "has neither value nor source");
  }
  if (getValue() && getValue()->getType() != type) { // global_2
    return emitOpError("value is ") << getValue()->getType() << ", global is " << type;
  }
  bool isCopy = getRole() == GlobalRole::compute;
  bool fill = isCopy || getRole() == GlobalRole::state || getRole() == GlobalRole::runtime;
  if (fill && !(getValue() && getValue()->isSplat())) { // global_3
    return emitOpError("of role ")
           << stringifyGlobalRole(getRole()) << " must start at a splat value";
  }
  bool canShard = type.getRank() == 2 && !getStorage() && !getWithin() &&
                  (isCopy || getRole() == GlobalRole::trained || getRole() == GlobalRole::state);
  if (getSharded() && !canShard) { // global_11
    return emitOpError("is sharded and ")
           << type << " of role " << stringifyGlobalRole(getRole())
           << ", expected a whole [chunks, elements] of trained, state or compute";
  }
  return success();
}

LogicalResult GlobalOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto of = getOf() ? tables.lookupNearestSymbolFrom<GlobalOp>(*this, getOfAttr()) : nullptr;
  if (getOf() && !of) { // global_4
    return emitOpError("belongs to '") << *getOf() << "', which is no global";
  }
  if (getRole() == GlobalRole::compute) { // global_5
    auto original = of ? dyn_cast<RankedTensorType>(of.getType()) : nullptr;
    if (!original || original.getShape() != getTensorType().getShape()) {
      return emitOpError("of role compute is ")
             << getType() << ", what it copies is " << (of ? of.getType() : Type());
    }
  }
  if (getWithin() && failed(verifyPlace(*this, tables))) {
    return failure();
  }
  return getStorage() ? verifyStorage(*this, tables) : success();
}

static FailureOr<GlobalOp> lookupGlobal(Operation *op, SymbolTableCollection &tables,
                                        FlatSymbolRefAttr name, Type type) {
  auto global = tables.lookupNearestSymbolFrom<GlobalOp>(op, name);
  if (!global) { // get_global_1, set_global_1
    return op->emitOpError("names '") << name.getValue() << "', which is no global";
  }
  if (global.getType() != type) { // get_global_2, set_global_2
    InFlightDiagnostic diagnostic = op->emitOpError("has type ")
                                    << type << ", global has " << global.getType();
    diagnostic.attachNote(global.getLoc()) << "global declared here";
    return diagnostic;
  }
  if (global.getWithin()) { // get_global_3, set_global_4
    return op->emitOpError("names '")
           << name.getValue() << "', which lies within " << global.getWithin()->getFlat();
  }
  if (global.getStorage()) { // get_global_3, set_global_4
    return op->emitOpError("names '")
           << name.getValue() << "', which is a part of " << global.getStorage()->getGlobal();
  }
  return global;
}

LogicalResult GetGlobalOp::verifySymbolUses(SymbolTableCollection &tables) {
  return lookupGlobal(*this, tables, getNameAttr(), getResult().getType());
}

LogicalResult SetGlobalOp::verifySymbolUses(SymbolTableCollection &tables) {
  FailureOr<GlobalOp> global = lookupGlobal(*this, tables, getNameAttr(), getValue().getType());
  if (succeeded(global) && global->getRole() == GlobalRole::constant) { // set_global_3
    return emitOpError("writes '") << getName() << "', which is a constant";
  }
  return global;
}

LogicalResult GradientsOp::verify() {
  if (getNames().size() != getGradients().size()) { // gradients_1
    return emitOpError("has ") << getGradients().size() << " gradients and " << getNames().size()
                               << " names";
  }
  const int64_t kept = getKept();
  if (kept < 0 || kept > static_cast<int64_t>(getGradients().size())) { // gradients_2
    return emitOpError("has ") << getGradients().size() << " gradients, " << kept
                               << " of them kept values";
  }
  return success();
}

LogicalResult PackOp::verify() {
  if (getOffsets().size() != getParts().size()) { // pack_1
    return emitOpError("has ") << getParts().size() << " parts and " << getOffsets().size()
                               << " offsets";
  }
  auto whole = cast<RankedTensorType>(getResult().getType());
  int64_t end = 0;
  for (auto [part, offset] : llvm::zip(getParts(), getOffsets())) {
    auto type = cast<RankedTensorType>(part.getType());
    if (type.getElementType() != whole.getElementType()) { // pack_2
      return emitOpError("part is ") << type << ", result is " << whole;
    }
    if (offset < end || offset > whole.getNumElements() - type.getNumElements()) { // pack_3
      return emitOpError("part of ")
             << type.getNumElements() << " elements at " << offset << " begins before " << end
             << " or ends behind " << whole.getNumElements();
    }
    end = offset + type.getNumElements();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// KernelOp
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// Size of `shape`, aligned at the last dimension, in dimension `dim` of a domain of `rank`.
static int64_t sizeIn(ArrayRef<int64_t> shape, int64_t dim, int64_t rank) {
  int64_t i = dim - (rank - static_cast<int64_t>(shape.size()));
  return i < 0 ? 1 : shape[i];
}

/// Whether `shape` has all of the domain's elements in dimensions [first, last).
static bool covers(ArrayRef<int64_t> shape, ArrayRef<int64_t> domain, int64_t first, int64_t last) {
  return llvm::all_of(llvm::seq(first, last), [&](int64_t dim) {
    return sizeIn(shape, dim, domain.size()) == domain[dim];
  });
}

/// Whether `shape` repeats in dimensions [first, last).
static bool repeats(ArrayRef<int64_t> shape, ArrayRef<int64_t> domain, int64_t first,
                    int64_t last) {
  return llvm::all_of(llvm::seq(first, last),
                      [&](int64_t dim) { return sizeIn(shape, dim, domain.size()) == 1; });
}

/// kernel_6: a reduction combines all columns or all rows, as the kernel's kind says.
static LogicalResult verifyReduction(KernelOp kernel, ReduceOp reduce, int64_t &columnReductions,
                                     int64_t &widest) {
  ArrayRef<int64_t> domain = kernel.getDomain(), from = shapeOf(reduce.getX()),
                    to = shapeOf(reduce.getY());
  int64_t rank = domain.size(), rows = kernel.getRowRank();
  KernelKind kind = kernel.getKind();
  bool hasRow = kind == KernelKind::row || kind == KernelKind::row_column;
  bool hasColumn = kind == KernelKind::column || kind == KernelKind::row_column;
  auto combines = [&](int64_t first, int64_t last) {
    return covers(from, domain, first, last) && repeats(to, domain, first, last) &&
           llvm::all_of(llvm::seq<int64_t>(0, rank), [&](int64_t dim) {
             return (dim >= first && dim < last) ||
                    sizeIn(from, dim, rank) == sizeIn(to, dim, rank);
           });
  };
  if (hasRow && combines(rows, rank)) {
    return success();
  }
  if (hasColumn && combines(0, rows)) {
    Type element = cast<RankedTensorType>(reduce.getY().getType()).getElementType();
    ++columnReductions;
    widest =
        std::max(widest, elementBytes(isa<FloatType>(element) ? statisticsType(element) : element));
    return success();
  }
  return reduce.emitOpError("reduces ")
         << reduce.getX().getType() << " to " << reduce.getY().getType()
         << ", which a kernel of kind " << stringifyKernelKind(kind) << " with " << rows
         << " dimensions of rows does not do";
}

static LogicalResult verifyLoops(KernelOp kernel) {
  Block &block = kernel.getBody().front();
  bool single = llvm::hasNItems(block.without_terminator(), 1);
  if (!single ||
      block.getTerminator()->getOperands() != ValueRange(block.front().getResults())) { // kernel_8
    return kernel.emitOpError("of kind loops holds more than one op and its results");
  }
  return success();
}

LogicalResult KernelOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes()) { // kernel_1
    return emitOpError("block arguments and operands have different types");
  }
  if (block.getTerminator()->getOperandTypes() != getResultTypes()) { // kernel_2
    return emitOpError("yielded types and result types differ");
  }
  if (getRowRank() > getDomain().size()) { // kernel_3
    return emitOpError("row_rank is ")
           << getRowRank() << ", domain has rank " << getDomain().size();
  }
  if (int64_t chunks = getOwnedChunks()) {
    int64_t points = ShapedType::getNumElements(getDomain());
    int64_t rows = ShapedType::getNumElements(getDomain().take_front(getRowRank()));
    bool isCut = chunks > 0 && (getKind() == KernelKind::row
                                    ? rows == chunks
                                    : getKind() == KernelKind::elementwise && points % chunks == 0);
    if (!isCut) { // kernel_10
      return emitOpError("of kind ") << stringifyKernelKind(getKind()) << " over [" << getDomain()
                                     << "] has no " << chunks << " equal chunks";
    }
  }
  if (getKind() == KernelKind::loops) {
    return verifyLoops(*this);
  }
  ArrayRef<int64_t> domain = getDomain();
  int64_t rank = domain.size(), rows = getRowRank(), columnReductions = 0, widest = 1;
  auto checkShape = [&](Value value) -> LogicalResult {
    if (!broadcastsTo(shapeOf(value), domain)) { // kernel_5
      return emitOpError("value ")
             << value.getType() << " does not broadcast to the domain [" << domain << "]";
    }
    return success();
  };
  for (Value argument : block.getArguments()) {
    if (failed(checkShape(argument))) {
      return failure();
    }
  }
  for (Operation &op : block.without_terminator()) {
    auto constant = dyn_cast<ConstantOp>(op);
    bool allowed = op.hasTrait<Elementwise>() || op.hasTrait<Update>() ||
                   isa<BroadcastOp, ReduceOp>(op) || (constant && constant.getValue().isSplat());
    if (!allowed) { // kernel_4
      return op.emitOpError("cannot stand in a kernel of kind ") << stringifyKernelKind(getKind());
    }
    for (Value result : op.getResults()) {
      if (failed(checkShape(result))) {
        return failure();
      }
    }
    if (auto reduce = dyn_cast<ReduceOp>(op);
        reduce && failed(verifyReduction(*this, reduce, columnReductions, widest))) {
      return failure();
    }
  }
  bool hasRow = getKind() == KernelKind::row || getKind() == KernelKind::row_column;
  bool hasColumn = getKind() == KernelKind::column || getKind() == KernelKind::row_column;
  for (Value result : getResults()) {
    ArrayRef<int64_t> shape = shapeOf(result);
    bool isFull = covers(shape, domain, 0, rank);
    bool isOfRow = hasRow && covers(shape, domain, 0, rows) && repeats(shape, domain, rows, rank);
    bool isOfColumn =
        hasColumn && repeats(shape, domain, 0, rows) && covers(shape, domain, rows, rank);
    if (!isFull && !isOfRow && !isOfColumn) { // kernel_7
      return emitOpError("result ") << result.getType() << " is neither of the domain's shape ["
                                    << domain << "] nor one element a row or column";
    }
  }
  int64_t columns = 1, points = 1;
  for (int64_t dim = 0; dim < rank; ++dim) {
    points *= domain[dim];
    columns *= dim < rows ? 1 : domain[dim];
  }
  int64_t needed = columns == 0 || columnReductions == 0
                       ? 0
                       : targetOf(*this)->columnScratchBytes(points / columns, columns,
                                                             columnReductions, widest);
  if (static_cast<int64_t>(getScratch()) < needed) { // kernel_9
    return emitOpError("has ") << getScratch() << " bytes of scratch, its column reductions need "
                               << needed;
  }
  return success();
}

LogicalResult LaunchOp::verify() {
  if (getKernels().size() != getUnits().size() ||
      getKernels().size() != getGrains().size()) { // launch_1
    return emitOpError("has ") << getKernels().size() << " functions, " << getUnits().size()
                               << " units and " << getGrains().size() << " grains";
  }
  return success();
}
