// CPU kernels' memory: memrefs of the storage type, the stack, calls of libm.

#include "codegen/cpu/CpuBuilder.h"

#include "runtime/abi.h"

using namespace mlir;
using namespace dsc;

Type dsc::memoryType(Type element) {
  return element.isBF16() ? IntegerType::get(element.getContext(), 16) : storageType(element);
}

CpuBuilder::CpuBuilder(Location loc, func::FuncOp function)
    : VectorBuilder(loc, cast<FunctionOpInterface>(*function), DSC_LANES) {}

Value CpuBuilder::stackBuffer(Type element, int64_t elements) {
  return createAtEntry<memref::AllocaOp>(MemRefType::get({elements}, memoryType(element)),
                                         getI64IntegerAttr(64));
}

Value CpuBuilder::libm(StringRef name, ValueRange operands) {
  Type type = operands.front().getType(), element = getElementTypeOrSelf(type);
  std::string symbol = name.str() + (element.isF32() ? "f" : "");
  auto module = function()->getParentOfType<ModuleOp>();
  auto callee = module.lookupSymbol<func::FuncOp>(symbol);
  if (!callee) {
    InsertionGuard guard(*this);
    setInsertionPointToStart(module.getBody());
    callee = create<func::FuncOp>(
        symbol, getFunctionType(SmallVector<Type>(operands.size(), element), element));
    callee.setPrivate();
  }
  if (!isa<VectorType>(type)) {
    return create<func::CallOp>(callee, operands).getResult(0);
  }
  // A loop over the lanes: these functions are rare, and sixteen calls in a row would only be
  // longer.
  SmallVector<Value> buffers;
  for (Value operand : operands) {
    buffers.push_back(stackBuffer(element, DSC_LANES));
    create<vector::StoreOp>(operand, buffers.back(), ValueRange(index(0)));
  }
  loop(DSC_LANES, [&](Value lane) {
    SmallVector<Value> scalars;
    for (Value buffer : buffers) {
      scalars.push_back(create<memref::LoadOp>(buffer, lane));
    }
    create<memref::StoreOp>(create<func::CallOp>(callee, scalars).getResult(0), buffers[0], lane);
  });
  return create<vector::LoadOp>(cast<VectorType>(type), buffers[0], ValueRange(index(0)));
}

Value CpuBuilder::fromStorage(Type element, Value value) {
  if (!element.isBF16()) {
    return VectorBuilder::fromStorage(element, value);
  }
  // bf16 is the upper half of f32.
  Type type = value.getType(), wide = withElement(type, getI32Type());
  Value bits = create<arith::ExtUIOp>(wide, value);
  bits = create<arith::ShLIOp>(bits, constantInt(wide, 16));
  return create<arith::BitcastOp>(withElement(type, getF32Type()), bits);
}

Value CpuBuilder::toStorage(Type element, Value value) {
  if (!element.isBF16()) {
    return VectorBuilder::toStorage(element, value);
  }
  Type type = value.getType();
  // Round to nearest even by adding half a unit, one less where the kept part is even; NaN stays
  // a quiet NaN.
  Type wide = withElement(type, getI32Type());
  Value bits = create<arith::BitcastOp>(wide, value), sixteen = constantInt(wide, 16);
  Value odd = create<arith::AndIOp>(create<arith::ShRUIOp>(bits, sixteen), constantInt(wide, 1));
  Value rounded = add(bits, add(odd, constantInt(wide, 0x7fff)));
  Value quiet = create<arith::OrIOp>(bits, constantInt(wide, 0x400000));
  bits = select(cmpf(arith::CmpFPredicate::UNO, value, value), quiet, rounded);
  return create<arith::TruncIOp>(withElement(type, getI16Type()),
                                 create<arith::ShRUIOp>(bits, sixteen));
}

Value CpuBuilder::storedConstant(Type element, double value) {
  if (!element.isBF16()) {
    return constant(memoryType(element), value);
  }
  APFloat rounded(value);
  bool losesInfo;
  rounded.convert(APFloat::BFloat(), APFloat::rmNearestTiesToEven, &losesInfo);
  return constantInt(getI16Type(), rounded.bitcastToAPInt().getSExtValue());
}

Value CpuBuilder::loadVector(Type element, Value memory, Value offset, Value mask) {
  VectorType type = vectorOf(memoryType(element));
  if (!mask) {
    return fromStorage(element, create<vector::LoadOp>(type, memory, ValueRange(offset)));
  }
  return fromStorage(element, create<vector::MaskedLoadOp>(type, memory, ValueRange(offset), mask,
                                                           constant(type, 1)));
}

Value CpuBuilder::loadScalar(Type element, Value memory, Value offset) {
  return fromStorage(element, create<memref::LoadOp>(memory, ValueRange(offset)));
}

void CpuBuilder::storeVector(Type element, Value value, Value memory, Value offset, Value mask) {
  value = toStorage(element, value);
  if (mask) {
    create<vector::MaskedStoreOp>(memory, ValueRange(offset), mask, value);
  } else {
    create<vector::StoreOp>(value, memory, ValueRange(offset));
  }
}

void CpuBuilder::storeScalar(Type element, Value value, Value memory, Value offset) {
  create<memref::StoreOp>(toStorage(element, value), memory, ValueRange(offset));
}
