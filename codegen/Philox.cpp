// Ten rounds of Philox, and what is made of their bits.

#include "codegen/Philox.h"

#include "codegen/EmitMath.h"

using namespace mlir;
using namespace dsc;

static constexpr int64_t kMultiplier0 = 0xd2511f53, kMultiplier1 = 0xcd9e8d57;
static constexpr int64_t kWeyl0 = 0x9e3779b9, kWeyl1 = 0xbb67ae85;
static constexpr int kRounds = 10;

std::array<Value, 4> Philox::generate(std::array<Value, 4> counter, Value key0, Value key1) {
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

Value Philox::half(Value scalar, bool high) {
  if (high) {
    scalar = b.create<arith::ShRUIOp>(scalar, b.constantInt(b.getI64Type(), 32));
  }
  return b.splat(b.create<arith::TruncIOp>(b.getI32Type(), scalar));
}

Value Philox::uniform(Value bits) {
  Type floats = b.vectorOf(b.getF32Type());
  Value upper = b.create<arith::ShRUIOp>(bits, b.constantInt(words, 8));
  return b.mul(b.create<arith::UIToFPOp>(floats, upper), 1.0 / (1 << 24));
}

std::pair<Value, Value> Philox::multiply(Value x, int64_t factor) {
  auto product = b.create<arith::MulUIExtendedOp>(x, b.constantInt(words, factor));
  return {product.getHigh(), product.getLow()};
}

/// Two normal numbers of each pair of uniform ones (Box and Muller).
static std::pair<Value, Value> boxMuller(VectorBuilder &b, Value u, Value v) {
  Value one = b.constant(u.getType(), 1.0), angle = b.mul(v, 6.2831853071795862);
  Value radius = b.create<math::SqrtOp>(b.mul(emitLog(b, b.sub(one, u)), -2.0));
  return {b.mul(radius, emitCos(b, angle)), b.mul(radius, emitSin(b, angle))};
}

std::array<Value, 4> Philox::numbers(RandomOp op, Value seed, Value step, Value sample, Value q) {
  std::array<Value, 4> bits =
      generate({b.constantInt(words, op.getNumber()), half(step, false), half(sample, false), q},
               half(seed, false), half(seed, true));
  std::array<Value, 4> numbers;
  for (int k = 0; k < 4; ++k) {
    numbers[k] = uniform(bits[k]);
  }
  if (op.getDistribution() == Distribution::normal) {
    std::tie(numbers[0], numbers[1]) = boxMuller(b, numbers[0], numbers[1]);
    std::tie(numbers[2], numbers[3]) = boxMuller(b, numbers[2], numbers[3]);
  }
  return numbers;
}
