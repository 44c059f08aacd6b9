// Philox4x32-10 (Salmon et al., SC'11): counter (number, step, sample, element / 4), key seed.
// Sixteen counters at a time give 64 elements, put back in order by interleaving.

#include "codegen/cpu/EmitElementwise.h"
#include "codegen/cpu/EmitLoops.h"
#include "codegen/cpu/EmitMath.h"

#include "runtime/abi.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <array>

using namespace mlir;
using namespace dsc;

static constexpr int64_t kMultiplier0 = 0xd2511f53, kMultiplier1 = 0xcd9e8d57;
static constexpr int64_t kWeyl0 = 0x9e3779b9, kWeyl1 = 0xbb67ae85;
static constexpr int kRounds = 10;
// Elements of one sample that one unit makes; a multiple of what 16 counters give.
static constexpr int64_t kUnitElements = 4096, kStep = 4 * DSC_LANES;

namespace {
class Philox {
public:
  explicit Philox(VectorBuilder &b) : b(b), words(VectorBuilder::vectorOf(b.getI32Type())) {}

  std::array<Value, 4> generate(std::array<Value, 4> counter, Value key0, Value key1) {
    for (int round = 0; round < kRounds; ++round) {
      auto [high0, low0] = multiply(counter[0], kMultiplier0);
      auto [high1, low1] = multiply(counter[2], kMultiplier1);
      counter = {exclusiveOr(exclusiveOr(high1, counter[1]), key0), low1,
                 exclusiveOr(exclusiveOr(high0, counter[3]), key1), low0};
      key0 = b.add(key0, b.constantInt(words, kWeyl0));
      key1 = b.add(key1, b.constantInt(words, kWeyl1));
    }
    return counter;
  }

  /// The low or high half of a 64-bit scalar, in all lanes.
  Value half(Value scalar, bool high) {
    if (high) {
      scalar = b.create<arith::ShRUIOp>(scalar, b.constantInt(b.getI64Type(), 32));
    }
    return b.splat(b.create<arith::TruncIOp>(b.getI32Type(), scalar));
  }

  /// [0, 1) from the upper 24 bits.
  Value uniform(Value bits) {
    Type floats = VectorBuilder::vectorOf(b.getF32Type());
    Value upper = b.create<arith::ShRUIOp>(bits, b.constantInt(words, 8));
    return b.mul(b.create<arith::UIToFPOp>(floats, upper), 1.0 / (1 << 24));
  }

private:
  std::pair<Value, Value> multiply(Value x, int64_t factor) {
    auto product = b.create<arith::MulUIExtendedOp>(x, b.constantInt(words, factor));
    return {product.getHigh(), product.getLow()};
  }
  Value exclusiveOr(Value x, Value y) { return b.create<arith::XOrIOp>(x, y); }

  VectorBuilder &b;
  VectorType words;
};
} // namespace

/// Two normal numbers of each pair of uniform ones (Box and Muller).
static std::pair<Value, Value> boxMuller(VectorBuilder &b, Value u, Value v) {
  Value one = b.constant(u.getType(), 1.0), angle = b.mul(v, 6.2831853071795862);
  Value radius = b.create<math::SqrtOp>(b.mul(emitLog(b, b.sub(one, u)), -2.0));
  return {b.mul(radius, emitCos(b, angle)), b.mul(radius, emitSin(b, angle))};
}

/// x0 y0 x1 y1 ..
static Value interleave(VectorBuilder &b, Value x, Value y) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < lanes; ++i) {
    order.append({i, lanes + i});
  }
  return b.create<vector::ShuffleOp>(x, y, order);
}

static LoopUnits emitRandom(LoopKernel &kernel, RandomOp op) {
  VectorBuilder &b = kernel.b;
  Philox philox(b);
  ArrayRef<int64_t> shape = kernel.resultShape();
  int64_t samples = shape.empty() ? 1 : shape[0], elements = elementCount(shape) / samples;
  int64_t blocks = llvm::divideCeil(elements, kUnitElements);
  Type element = kernel.resultElement();
  Value seed = kernel.load(0, b.index(0)), step = kernel.load(1, b.index(0)),
        base = kernel.load(2, b.index(0));
  VectorType words = VectorBuilder::vectorOf(b.getI32Type());
  Value key0 = philox.half(seed, false), key1 = philox.half(seed, true);
  Value number = b.constantInt(words, op.getNumber());
  kernel.forUnits([&](Value unit) {
    Value sample = b.divIndex(unit, blocks),
          first = b.mulIndex(b.remIndex(unit, blocks), kUnitElements);
    Value end = b.minIndex(b.addIndex(first, b.index(kUnitElements)), b.index(elements));
    Value global = b.add(base, b.create<arith::IndexCastOp>(b.getI64Type(), sample));
    Value start = b.mulIndex(sample, elements), sampleWord = philox.half(global, false);
    b.loop(first, end, kStep, [&](Value i) {
      Value quarter = b.create<arith::IndexCastOp>(b.getI32Type(), b.divIndex(i, 4));
      std::array<Value, 4> bits = philox.generate(
          {number, philox.half(step, false), sampleWord, b.add(b.splat(quarter), b.lanes(words))},
          key0, key1);
      std::array<Value, 4> numbers;
      for (int k = 0; k < 4; ++k) {
        numbers[k] = philox.uniform(bits[k]);
      }
      if (op.getDistribution() == Distribution::normal) {
        std::tie(numbers[0], numbers[1]) = boxMuller(b, numbers[0], numbers[1]);
        std::tie(numbers[2], numbers[3]) = boxMuller(b, numbers[2], numbers[3]);
      }
      Value ordered = interleave(b, interleave(b, numbers[0], numbers[2]),
                                 interleave(b, numbers[1], numbers[3]));
      for (int64_t k = 0; k < 4; ++k) {
        SmallVector<int64_t> part;
        for (int64_t lane = 0; lane < DSC_LANES; ++lane) {
          part.push_back(k * DSC_LANES + lane);
        }
        Value values = emitCast(b, b.getF32Type(), element,
                                b.create<vector::ShuffleOp>(ordered, ordered, part));
        Value place = b.addIndex(i, b.index(k * DSC_LANES)), mask;
        if (elements % kStep != 0) {
          Value left = b.create<arith::MaxSIOp>(b.create<arith::SubIOp>(b.index(elements), place),
                                                b.index(0));
          mask = b.maskBelow(left);
        }
        b.storeVector(element, values, kernel.resultMemory(), b.addIndex(start, place), mask);
      }
    });
  });
  return {samples * blocks, std::min(elements, kUnitElements) * 32};
}

std::optional<LoopUnits> dsc::emitRandomLoops(LoopKernel &kernel) {
  if (auto random = dyn_cast<RandomOp>(kernel.op())) {
    return emitRandom(kernel, random);
  }
  return std::nullopt;
}
