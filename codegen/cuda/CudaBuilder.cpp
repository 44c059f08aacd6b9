// Memory, approximations and communication of CUDA threads.

#include "codegen/cuda/CudaBuilder.h"

#include "runtime/abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;

static constexpr double kLog2e = 1.4426950408889634, kLn2 = 0.69314718055994531;
// log2(e) as the sum of two numbers of f32.
static constexpr double kLog2eHigh = 1.44269502162933349609375, kLog2eLow = 1.925963033500011e-08;

CudaBuilder::CudaBuilder(Location loc, gpu::GPUFuncOp function, int64_t lanes)
    : VectorBuilder(loc, cast<FunctionOpInterface>(*function), lanes) {
  thread_ = createAtEntry<gpu::ThreadIdOp>(gpu::Dimension::x);
  block_ = createAtEntry<gpu::BlockIdOp>(gpu::Dimension::x);
}

Value CudaBuilder::blockCount() { return create<gpu::GridDimOp>(gpu::Dimension::x); }

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value CudaBuilder::widen(Value vector) {
  auto type = cast<VectorType>(vector.getType());
  return type.getNumElements() == laneCount() ? vector : splat(extractLane(vector, 0));
}

Value CudaBuilder::single(Value scalar) {
  return create<vector::SplatOp>(VectorType::get({1}, scalar.getType()), scalar);
}

Value CudaBuilder::forEachLane(ValueRange operands,
                               llvm::function_ref<Value(ArrayRef<Value>)> body) {
  auto type = dyn_cast<VectorType>(operands.front().getType());
  if (!type) {
    return body(SmallVector<Value>(operands));
  }
  Value result;
  for (int64_t lane = 0; lane < type.getNumElements(); ++lane) {
    SmallVector<Value> scalars;
    for (Value operand : operands) {
      scalars.push_back(extractLane(operand, lane));
    }
    Value value = body(scalars);
    if (!result) {
      auto resultType = VectorType::get(type.getShape(), value.getType());
      result = create<LLVM::UndefOp>(resultType);
    }
    result = create<vector::InsertOp>(value, result, ArrayRef<int64_t>{lane});
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Value CudaBuilder::shuffle(Value scalar, int64_t offset, gpu::ShuffleMode mode) {
  Type type = scalar.getType();
  unsigned width = type.getIntOrFloatBitWidth();
  if (type.isF32() || type.isInteger(32)) {
    return create<gpu::ShuffleOp>(scalar, static_cast<int32_t>(offset), static_cast<int32_t>(kWarp),
                                  mode)
        .getShuffleResult();
  }
  if (width == 64) {
    auto halves = VectorType::get({2}, getI32Type());
    Value words = create<LLVM::BitcastOp>(halves, scalar);
    Value low = shuffle(extractLane(words, 0), offset, mode);
    Value high = shuffle(extractLane(words, 1), offset, mode);
    words = create<vector::InsertOp>(low, words, ArrayRef<int64_t>{0});
    words = create<vector::InsertOp>(high, words, ArrayRef<int64_t>{1});
    return create<LLVM::BitcastOp>(type, words);
  }
  Value wide = create<arith::ExtUIOp>(getI32Type(), scalar);
  return create<arith::TruncIOp>(type, shuffle(wide, offset, mode));
}

Value CudaBuilder::shuffleXor(Value scalar, int64_t offset) {
  return shuffle(scalar, offset, gpu::ShuffleMode::XOR);
}

Value CudaBuilder::shuffleFirst(Value scalar) { return shuffle(scalar, 0, gpu::ShuffleMode::IDX); }

Value CudaBuilder::shuffleFrom(Value integer, Value lane) {
  Value word = create<arith::IndexCastUIOp>(getI32Type(), integer);
  Value from = create<arith::IndexCastUIOp>(getI32Type(), lane);
  Value width = constantInt(getI32Type(), kWarp);
  Value held = create<gpu::ShuffleOp>(word, from, width, gpu::ShuffleMode::IDX).getShuffleResult();
  return create<arith::IndexCastUIOp>(getIndexType(), held);
}

void CudaBuilder::barrier() { create<gpu::BarrierOp>(); }

Value CudaBuilder::sharedGlobal(Type element, int64_t elements, LLVM::Linkage linkage,
                                StringRef suffix) {
  auto kernel = cast<gpu::GPUFuncOp>(*function());
  std::string name = (kernel.getName() + "_shared" + suffix).str();
  auto type = LLVM::LLVMArrayType::get(storageType(element), elements);
  {
    InsertionGuard guard(*this);
    setInsertionPoint(kernel);
    create<LLVM::GlobalOp>(type, /*isConstant=*/false, linkage, name, Attribute(), kAccessBytes,
                           /*addrSpace=*/3u);
  }
  return createAtEntry<LLVM::AddressOfOp>(LLVM::LLVMPointerType::get(getContext(), 3), name);
}

Value CudaBuilder::sharedBuffer(Type element, int64_t elements) {
  return sharedGlobal(element, elements, LLVM::Linkage::Internal, "_" + std::to_string(buffers_++));
}

// Declared elsewhere and without a size, which is how PTX says that the launch gives it one.
Value CudaBuilder::dynamicSharedBuffer(int64_t bytes) {
  function()->setAttr(kSharedBytes, getI64IntegerAttr(bytes));
  return sharedGlobal(getI8Type(), 0, LLVM::Linkage::External, "_dynamic");
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

Value CudaBuilder::intrinsic(StringRef name, Type type, ValueRange operands) {
  return create<LLVM::CallIntrinsicOp>(type, getStringAttr(name), operands).getResult(0);
}

Value CudaBuilder::assembly(StringRef text, StringRef constraints, Type type, ValueRange operands) {
  return create<LLVM::InlineAsmOp>(type, operands, text, constraints, /*has_side_effects=*/false,
                                   /*is_align_stack=*/false, LLVM::AsmDialectAttr(), ArrayAttr())
      .getResult(0);
}

Value CudaBuilder::libm(StringRef name, ValueRange operands) {
  Type element = getElementTypeOrSelf(operands.front().getType());
  std::string symbol = "__nv_" + name.str() + (element.isF32() ? "f" : "");
  auto module = function()->getParentOfType<gpu::GPUModuleOp>();
  auto callee = module.lookupSymbol<LLVM::LLVMFuncOp>(symbol);
  if (!callee) {
    InsertionGuard guard(*this);
    setInsertionPointToStart(module.getBody());
    callee = create<LLVM::LLVMFuncOp>(
        symbol, LLVM::LLVMFunctionType::get(element, SmallVector<Type>(operands.size(), element)));
  }
  return forEachLane(operands, [&](ArrayRef<Value> scalars) {
    return create<LLVM::CallOp>(callee, scalars).getResult();
  });
}

// e^x = 2^t (1 + d ln(2)): t is x log2(e) rounded, d what the rounding lost. The machine's 2^t is
// good to 2 ulp for every t and 0 below the normal range, so nothing is reduced; the limits lie
// where the result is 0 or infinite anyway, and keep an infinite x from making d a NaN.
Value CudaBuilder::exponential(Value x) {
  Type type = x.getType(), scalar = getElementTypeOrSelf(type);
  auto constantLike = [&](double value) { return constant(type, value); };
  x = create<arith::MaximumFOp>(x, constantLike(-104.0));
  x = create<arith::MinimumFOp>(x, constantLike(89.0));
  Value t = mul(x, kLog2eHigh);
  Value lost = fma(x, constantLike(kLog2eHigh), neg(t));
  lost = fma(x, constantLike(kLog2eLow), lost);
  Value power = forEachLane(
      t, [&](ArrayRef<Value> v) { return intrinsic("llvm.nvvm.ex2.approx.ftz.f", scalar, v); });
  return mul(power, fma(lost, constantLike(kLn2), constantLike(1.0)));
}

Value CudaBuilder::native(Native function, ValueRange operands) {
  Type element = getElementTypeOrSelf(operands.front().getType());
  if (function == Native::remainder) {
    return libm("fmod", operands);
  }
  if (!element.isF32()) {
    return {};
  }
  if (!isApproximate()) {
    return function == Native::exp ? exponential(operands.front()) : Value();
  }
  auto each = [&](Value x, StringRef name) {
    return forEachLane(x, [&](ArrayRef<Value> v) { return intrinsic(name, element, v); });
  };
  Value x = operands.front();
  switch (function) {
  case Native::exp:
    return each(mul(x, kLog2e), "llvm.nvvm.ex2.approx.ftz.f");
  case Native::log:
    return mul(each(x, "llvm.nvvm.lg2.approx.f"), kLn2);
  case Native::tanh:
    return forEachLane(x, [&](ArrayRef<Value> v) {
      return assembly("tanh.approx.f32 $0, $1;", "=f,f", element, v);
    });
  case Native::reciprocal:
    return each(x, "llvm.nvvm.rcp.approx.ftz.f");
  case Native::rsqrt:
    return each(x, "llvm.nvvm.rsqrt.approx.f");
  case Native::divide:
    return forEachLane(operands, [&](ArrayRef<Value> v) {
      return assembly("div.full.f32 $0, $1, $2;", "=f,f,f", element, v);
    });
  case Native::remainder:
    break;
  }
  llvm_unreachable("all functions handled");
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

// Halves are rounded two at a time: one instruction, and a register that is stored as it is.
Value CudaBuilder::toStorage(Type element, Value value) {
  if (Value stored = stored_.lookup(value);
      stored && getElementTypeOrSelf(stored.getType()) == element) {
    return stored;
  }
  auto type = dyn_cast<VectorType>(value.getType());
  if (!(element.isF16() || element.isBF16()) || !type || type.getNumElements() % 2 != 0) {
    return VectorBuilder::toStorage(element, value);
  }
  StringRef name = element.isBF16() ? "llvm.nvvm.ff2bf16x2.rn" : "llvm.nvvm.ff2f16x2.rn";
  auto pair = VectorType::get({2}, element);
  Value words = create<LLVM::UndefOp>(VectorType::get({type.getNumElements() / 2}, getI32Type()));
  for (int64_t lane = 0; lane < type.getNumElements(); lane += 2) {
    Value low = extractLane(value, lane), high = extractLane(value, lane + 1);
    Value packed = intrinsic(name, pair, {high, low});
    words = create<vector::InsertOp>(create<LLVM::BitcastOp>(getI32Type(), packed), words,
                                     ArrayRef<int64_t>{lane / 2});
  }
  return fromWords(VectorType::get(type.getShape(), element), words);
}

Value CudaBuilder::roundTo(Type element, Value value) {
  return element.isF16() || element.isBF16() ? fromStored(element, toStorage(element, value))
                                             : value;
}

Value CudaBuilder::address(Type stored, Value memory, Value offset) {
  if (getConstantIntValue(offset) == 0) {
    return memory;
  }
  Value wide = create<arith::IndexCastUIOp>(getI64Type(), offset);
  auto pointer = cast<LLVM::LLVMPointerType>(memory.getType());
  return create<LLVM::GEPOp>(pointer, stored, memory, ArrayRef<LLVM::GEPArg>{wide});
}

unsigned CudaBuilder::alignmentOf(Type type, Value memory) const {
  Type element = getElementTypeOrSelf(type);
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, lanes = 1;
  if (auto vector = dyn_cast<VectorType>(type)) {
    lanes = vector.getNumElements();
  }
  auto known = alignments_.find(memory);
  int64_t base = known == alignments_.end() ? DSC_ALIGNMENT : known->second;
  // The largest power of two that divides all of it.
  int64_t alignment = std::min<int64_t>((lanes * bytes) & -(lanes * bytes), kAccessBytes);
  return static_cast<unsigned>(std::max(bytes, std::min(alignment, base)));
}

Value CudaBuilder::loadStored(Type type, Value memory, Value offset) {
  Value at = address(getElementTypeOrSelf(type), memory, offset);
  return create<LLVM::LoadOp>(type, at, alignmentOf(type, memory));
}

void CudaBuilder::storeStored(Value value, Value memory, Value offset) {
  Value at = address(getElementTypeOrSelf(value.getType()), memory, offset);
  create<LLVM::StoreOp>(value, at, alignmentOf(value.getType(), memory));
}

Value CudaBuilder::toWords(Value stored) {
  if (auto cast = stored.getDefiningOp<LLVM::BitcastOp>();
      cast && getElementTypeOrSelf(cast.getArg().getType()).isInteger(32)) {
    return cast.getArg();
  }
  auto type = cast<VectorType>(stored.getType());
  int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
  return bits % 32 == 0
             ? create<LLVM::BitcastOp>(VectorType::get({bits / 32}, getI32Type()), stored)
                   .getResult()
             : stored;
}

Value CudaBuilder::fromWords(Type type, Value words) {
  return words.getType() == type ? words : create<LLVM::BitcastOp>(type, words).getResult();
}

Value CudaBuilder::pin(Value stored) {
  auto type = cast<VectorType>(stored.getType());
  int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
  if (bits % 32 != 0) {
    return stored;
  }
  int64_t words = bits / 32;
  Type word = getI32Type();
  auto wordVector = VectorType::get({words}, word);
  Value packed = create<LLVM::BitcastOp>(wordVector, stored);
  SmallVector<Value> inputs;
  std::string outputs, ties;
  for (int64_t i = 0; i < words; ++i) {
    inputs.push_back(extractLane(packed, i));
    outputs += i ? ",=r" : "=r";
    ties += "," + std::to_string(i);
  }
  Type result =
      words == 1 ? word
                 : LLVM::LLVMStructType::getLiteral(getContext(), SmallVector<Type>(words, word));
  Value same = create<LLVM::InlineAsmOp>(result, inputs, "", outputs + ties,
                                         /*has_side_effects=*/true, /*is_align_stack=*/false,
                                         LLVM::AsmDialectAttr(), ArrayAttr())
                   .getResult(0);
  Value again = create<LLVM::UndefOp>(wordVector);
  for (int64_t i = 0; i < words; ++i) {
    Value each = words == 1 ? same : create<LLVM::ExtractValueOp>(same, i).getResult();
    again = create<vector::InsertOp>(each, again, ArrayRef<int64_t>{i});
  }
  return create<LLVM::BitcastOp>(type, again);
}

// A bf16 is the upper half of its f32: of two in a word, one is a shift and one a mask away.
Value CudaBuilder::fromStored(Type element, Value stored) {
  auto type = dyn_cast<VectorType>(stored.getType());
  if (!element.isBF16() || !type || type.getNumElements() % 2 != 0) {
    Value value = fromStorage(element, stored);
    stored_[value] = stored;
    return value;
  }
  Value words = toWords(stored);
  Type wordType = words.getType();
  Value low = create<arith::ShLIOp>(words, constantInt(wordType, 16));
  Value high = create<arith::AndIOp>(words, constantInt(wordType, 0xffff0000));
  Value result = create<LLVM::UndefOp>(type.clone(getF32Type()));
  for (int64_t lane = 0; lane < type.getNumElements(); ++lane) {
    Value word = extractLane(lane % 2 == 0 ? low : high, lane / 2);
    result = create<vector::InsertOp>(create<arith::BitcastOp>(getF32Type(), word), result,
                                      ArrayRef<int64_t>{lane});
  }
  stored_[result] = stored;
  return result;
}

Value CudaBuilder::loadVector(Type element, Value memory, Value offset, Value) {
  return fromStored(element, loadStored(vectorOf(storageType(element)), memory, offset));
}

Value CudaBuilder::loadScalar(Type element, Value memory, Value offset) {
  return fromStorage(element, loadStored(storageType(element), memory, offset));
}

void CudaBuilder::storeVector(Type element, Value value, Value memory, Value offset, Value) {
  storeStored(toStorage(element, value), memory, offset);
}

void CudaBuilder::storeScalar(Type element, Value value, Value memory, Value offset) {
  storeStored(toStorage(element, value), memory, offset);
}
