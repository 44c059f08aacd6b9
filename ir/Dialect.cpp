// Registration of the dialect, and the shared rules of its ops.

#include "ir/Dialect.h"
#include "ir/OpsOrder.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;

#include "ir/Dialect.cpp.inc"

#include "ir/Enums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/Attrs.cpp.inc"

void DscDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/Attrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/Ops.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/OpsOrder.cpp.inc"
      >();
}

Operation *DscDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                           Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type) {
    return nullptr;
  }
  return builder.create<ConstantOp>(loc, elements);
}

FailureOr<SmallVector<int64_t>> dsc::broadcastShapes(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  size_t rank = std::max(a.size(), b.size());
  SmallVector<int64_t> result(rank, 1);
  for (size_t i = 0; i < rank; ++i) {
    int64_t da = i + a.size() < rank ? 1 : a[i + a.size() - rank];
    int64_t db = i + b.size() < rank ? 1 : b[i + b.size() - rank];
    if (da != db && da != 1 && db != 1) {
      return failure();
    }
    result[i] = da == 1 ? db : da;
  }
  return result;
}

bool dsc::broadcastsTo(ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  FailureOr<SmallVector<int64_t>> shape = broadcastShapes(from, to);
  return succeeded(shape) && ArrayRef<int64_t>(*shape) == to;
}

LogicalResult dsc::inferBroadcast(StringRef name, std::optional<Location> loc, ValueRange operands,
                                  Type element, SmallVectorImpl<Type> &types) {
  auto first = cast<RankedTensorType>(operands[0].getType());
  SmallVector<int64_t> shape(first.getShape());
  for (Value operand : operands.drop_front()) {
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getElementType() != first.getElementType()) {
      return emitOptionalError(loc, "'", name,
                               "' op element types differ: ", first.getElementType(), " and ",
                               type.getElementType());
    }
    FailureOr<SmallVector<int64_t>> joined = broadcastShapes(shape, type.getShape());
    if (failed(joined)) {
      return emitOptionalError(loc, "'", name, "' op shapes do not broadcast: ", first, " and ",
                               type);
    }
    shape = *joined;
  }
  types.push_back(RankedTensorType::get(shape, element ? element : first.getElementType()));
  return success();
}

LogicalResult dsc::inferSelect(std::optional<Location> loc, ValueRange operands,
                               SmallVectorImpl<Type> &types) {
  if (failed(inferBroadcast("dsc.select", loc, operands.drop_front(), {}, types))) {
    return failure();
  }
  auto values = cast<RankedTensorType>(types.pop_back_val());
  auto condition = cast<RankedTensorType>(operands[0].getType());
  FailureOr<SmallVector<int64_t>> shape = broadcastShapes(condition.getShape(), values.getShape());
  if (failed(shape)) {
    return emitOptionalError(loc, "'dsc.select' op shapes do not broadcast: condition ", condition,
                             " and values ", values);
  }
  types.push_back(values.clone(*shape));
  return success();
}

Type dsc::statisticsType(Type element) {
  return element.isF64() ? element : Type(Float32Type::get(element.getContext()));
}

int64_t dsc::elementBytes(Type element) { return (element.getIntOrFloatBitWidth() + 7) / 8; }

int64_t dsc::tensorBytes(RankedTensorType type) {
  return type.getNumElements() * elementBytes(type.getElementType());
}

#define GET_OP_CLASSES
#include "ir/Ops.cpp.inc"
