// Random numbers and half copies at the start of a run.
// Every value is made of operations that IEEE 754 rounds alike everywhere, so that it has the bits
// that the runner computes on the host (runtime/InitialValues.cpp): products and sums are not
// fused.

#include "codegen/cuda/StartKernels.h"

#include "codegen/Philox.h"
#include "codegen/cuda/KernelFunction.h"
#include "runtime/abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <limits>

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static constexpr int64_t kThreads = 256;

/// Horner's rule with products and sums that are rounded one by one.
static Value horner(VectorBuilder &b, Value x, ArrayRef<double> coefficients) {
  Value sum = b.constant(x.getType(), coefficients.back());
  for (double coefficient : llvm::reverse(coefficients.drop_back())) {
    sum = b.add(b.mul(sum, x), coefficient);
  }
  return sum;
}

/// log(x) for normal x in (0, 1], as dsc_start_argument's neighbour in abi.h writes it.
static Value plainLog(VectorBuilder &b, Value x) {
  static constexpr double kLog[] = DSC_NORMAL_LOG;
  Type type = x.getType(), words = b.vectorOf(b.getI32Type());
  Value bits = b.create<arith::BitcastOp>(words, x), width = b.constantInt(words, 23);
  Value k = b.create<arith::ShRSIOp>(b.sub(bits, b.constantInt(words, 0x3f3504f3)), width);
  Value mantissa = b.sub(bits, b.create<arith::ShLIOp>(k, width));
  Value f = b.add(b.create<arith::BitcastOp>(type, mantissa), -1.0);
  Value square = b.mul(f, f);
  Value log = b.mul(b.mul(square, f), horner(b, f, kLog));
  log = b.sub(log, b.mul(square, 0.5));
  log = b.add(log, f);
  return b.add(log, b.mul(b.create<arith::SIToFPOp>(type, k), DSC_NORMAL_LN2));
}

/// Two normal numbers of two in [0, 1).
static std::pair<Value, Value> plainBoxMuller(VectorBuilder &b, Value u, Value v) {
  static constexpr double kSin[] = DSC_NORMAL_SIN, kCos[] = DSC_NORMAL_COS;
  Type type = u.getType(), words = b.vectorOf(b.getI32Type());
  Value log = plainLog(b, b.sub(b.constant(type, 1.0), u));
  Value radius = b.create<math::SqrtOp>(b.mul(log, -2.0));
  Value turns = b.mul(v, 4.0);
  Value q = b.create<arith::FPToSIOp>(words, b.add(turns, 0.5));
  Value t = b.sub(turns, b.create<arith::SIToFPOp>(type, q));
  Value a = b.mul(t, DSC_NORMAL_HALF_PI), square = b.mul(a, a);
  Value sine = b.add(b.mul(b.mul(a, square), horner(b, square, kSin)), a);
  Value cosine = b.mul(b.mul(square, square), horner(b, square, kCos));
  cosine = b.add(b.sub(cosine, b.mul(square, 0.5)), 1.0);
  auto hasBit = [&](Value x, int64_t bit) {
    Value masked = b.create<arith::AndIOp>(x, b.constantInt(words, bit));
    return b.cmpi(CmpIPredicate::ne, masked, b.constantInt(words, 0));
  };
  Value isOdd = hasBit(q, 1);
  Value x = b.select(isOdd, sine, cosine), y = b.select(isOdd, cosine, sine);
  x = b.select(hasBit(b.add(q, b.constantInt(words, 1)), 2), b.neg(x), x);
  y = b.select(hasBit(q, 2), b.neg(y), y);
  return {b.mul(radius, x), b.mul(radius, y)};
}

/// Where element `dense` lies in the storage.
static Value placeOf(CudaBuilder &b, gpu::GPUFuncOp function, Value dense) {
  Value place;
  for (unsigned dim = 0; dim < DSC_START_DIMS; ++dim) {
    Value index = dense;
    if (dim + 1 < DSC_START_DIMS) {
      Value size = function.getArgument(DSC_START_SIZES + dim);
      index = b.create<arith::RemUIOp>(dense, size);
      dense = b.create<arith::DivUIOp>(dense, size);
    }
    Value part = b.mul(index, function.getArgument(DSC_START_STRIDES + dim));
    place = place ? b.add(place, part) : part;
  }
  return place;
}

/// The number of this thread among all, in 64 bits.
static Value threadNumber(CudaBuilder &b) {
  Value number = b.addIndex(b.mulIndex(b.blockIndex(), kThreads), b.threadIndex());
  return b.create<arith::IndexCastOp>(b.getI64Type(), number);
}

static void addRandom(gpu::GPUModuleOp kernels, StringRef name, bool isNormal) {
  MLIRContext *context = kernels.getContext();
  SmallVector<Type> types(DSC_START_ARGUMENTS, IntegerType::get(context, 64));
  types[DSC_START_TARGET] = LLVM::LLVMPointerType::get(context, 1);
  gpu::GPUFuncOp function = createFunction(kernels, kernels.getLoc(), name, types, kThreads);
  CudaBuilder b(kernels.getLoc(), function, /*lanes=*/1);
  auto argument = [&](unsigned number) -> Value { return function.getArgument(number); };
  b.setAlignment(argument(DSC_START_TARGET), 4);
  Type f32 = b.getF32Type(), i64 = b.getI64Type();
  Value counter = b.add(argument(DSC_START_FIRST), threadNumber(b));
  b.ifThen(b.cmpi(CmpIPredicate::ult, counter, argument(DSC_START_LAST)), [&] {
    Philox philox(b);
    Value label = argument(DSC_START_NAME), key = argument(DSC_START_KEY);
    std::array<Value, 4> words =
        philox.generate({philox.half(counter, false), philox.half(counter, true),
                         philox.half(label, false), philox.half(label, true)},
                        philox.half(key, false), philox.half(key, true));
    Value scale = b.create<arith::TruncIOp>(b.getI32Type(), argument(DSC_START_SCALE));
    scale = b.splat(b.create<arith::BitcastOp>(f32, scale));
    Value first = b.mul(counter, b.constantInt(i64, 4));
    for (unsigned i = 0; i < 4; i += 2) {
      Value x = philox.uniform(words[i]), y = philox.uniform(words[i + 1]);
      if (isNormal) {
        std::tie(x, y) = plainBoxMuller(b, x, y);
      } else {
        x = b.add(b.mul(x, 2.0), -1.0);
        y = b.add(b.mul(y, 2.0), -1.0);
      }
      const std::array<Value, 2> pair{x, y};
      for (auto [offset, value] : llvm::enumerate(pair)) {
        Value dense = b.add(first, b.constantInt(i64, static_cast<int64_t>(i + offset)));
        Value place = placeOf(b, function, dense);
        Value isOwn = b.create<arith::AndIOp>(
            b.cmpi(CmpIPredicate::ult, dense, argument(DSC_START_ELEMENTS)),
            b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::sge, place, argument(DSC_START_BEGIN)),
                                    b.cmpi(CmpIPredicate::slt, place, argument(DSC_START_END))));
        Value scaled = b.extractLane(b.mul(value, scale), 0);
        b.ifThen(isOwn, [&] {
          b.storeScalar(f32, scaled, argument(DSC_START_TARGET),
                        b.create<arith::IndexCastOp>(b.getIndexType(), place));
        });
      }
    }
  });
}

static void addRound(gpu::GPUModuleOp kernels, StringRef name, Type half) {
  MLIRContext *context = kernels.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context, 1), i64 = IntegerType::get(context, 64);
  gpu::GPUFuncOp function =
      createFunction(kernels, kernels.getLoc(), name, {pointer, pointer, i64, pointer}, kThreads);
  CudaBuilder b(kernels.getLoc(), function, /*lanes=*/1);
  Value source = function.getArgument(0), target = function.getArgument(1);
  Value flag = function.getArgument(3), number = threadNumber(b);
  b.setAlignment(source, 4);
  b.setAlignment(target, 2);
  b.setAlignment(flag, 4);
  b.ifThen(b.cmpi(CmpIPredicate::ult, number, function.getArgument(2)), [&] {
    Type f32 = b.getF32Type();
    Value at = b.create<arith::IndexCastOp>(b.getIndexType(), number);
    Value x = b.loadScalar(f32, source, at);
    Value rounded = b.roundTo(half, x);
    b.storeScalar(half, rounded, target, at);
    const double infinity = std::numeric_limits<double>::infinity();
    Value overflows = b.create<arith::AndIOp>(b.cmpf(CmpFPredicate::OEQ, b.abs(rounded), infinity),
                                              b.cmpf(CmpFPredicate::OLT, b.abs(x), infinity));
    b.ifThen(overflows, [&] {
      b.storeScalar(b.getI32Type(), b.constantInt(b.getI32Type(), 1), flag, b.index(0));
    });
  });
}

void cuda::addStartKernels(ModuleOp module) {
  bool hasUniform = false, hasNormal = false, hasF16 = false, hasBf16 = false;
  for (auto global : module.getOps<GlobalOp>()) {
    if (auto start = global->getAttrOfType<DictionaryAttr>("dsc.init")) {
      hasUniform |= start.contains("uniform");
      hasNormal |= start.contains("normal");
    }
    if (global.getRole() == GlobalRole::compute) {
      Type element = global.getTensorType().getElementType();
      hasF16 |= element.isF16();
      hasBf16 |= element.isBF16();
    }
  }
  if (!(hasUniform || hasNormal || hasF16 || hasBf16)) {
    return;
  }
  gpu::GPUModuleOp kernels = kernelModule(module, kWideKernelModule);
  if (hasUniform) {
    addRandom(kernels, DSC_START_UNIFORM, /*isNormal=*/false);
  }
  if (hasNormal) {
    addRandom(kernels, DSC_START_NORMAL, /*isNormal=*/true);
  }
  if (hasF16) {
    addRound(kernels, DSC_START_ROUND_F16, Float16Type::get(module.getContext()));
  }
  if (hasBf16) {
    addRound(kernels, DSC_START_ROUND_BF16, BFloat16Type::get(module.getContext()));
  }
}
