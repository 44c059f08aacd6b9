// Polynomial expansions of elementary functions for f32 vectors.
//
// Coefficients are minimax fits (weighted least squares, Lawson's iteration, rounded to f32 from
// the lowest power up) of the function named beside each, over the reduced range, in relative
// error.

#include "codegen/EmitMath.h"

#include <cmath>

using namespace mlir;
using namespace dsc;
using arith::CmpFPredicate;

// 1.5 * 2^23: adding it to |x| < 2^22 rounds x to an integer, which then stands in the low bits.
static constexpr double kRoundF32 = 12582912.0;
static constexpr int64_t kRoundF32Bits = 0x4b400000;
// log(2) in two parts; the first has zeros below, so that its product with an exponent is exact.
static constexpr double kLn2High = 0.693145751953125, kLn2Low = 1.428606765330187e-06;
static constexpr double kLog2e = 1.4426950408889634;

// (e^r - 1 - r) / r^2 for |r| <= log(2) / 2, relative to e^r and to e^r - 1.
static constexpr double kExp[] = {0.5,           0.166666627,   0.0416664444,
                                  0.00833419245, 0.00139369303, 0.000194285327};
static constexpr double kExpm1[] = {0.5,           0.166666642,   0.0416664667,
                                    0.00833390094, 0.00139349082, 0.000195675239};
// (log(1 + f) - f + f^2 / 2) / f^3 for sqrt(1/2) <= 1 + f <= sqrt(2).
static constexpr double kLog[] = {0.333333135,  -0.250000119, 0.20002073,
                                  -0.166678548, 0.142202333,  -0.124081969,
                                  0.11886204,   -0.116606608, 0.0673301071};
// erf(x) / x - 1 in x^2 for |x| <= 1, and -log(1 - erf(x)) / x for 1 <= x <= 4.
static constexpr double kErfNear[] = {0.128379166,   -0.37612626,    0.112835832,  -0.0268536918,
                                      0.00518807396, -0.00080078782, 7.8461082e-05};
static constexpr double kErfFar[] = {1.1286943,     0.634969711,     0.10653054,    -0.0240097586,
                                     0.00375731289, -0.000350546383, 1.39572212e-05};
// Phi(-u) / e^(-u^2 / 2) for 0 <= u <= 6, in absolute error of Phi.
static constexpr double kPhi[] = {0.49999997,     -0.398940235,    0.249969468,    -0.132793784,
                                  0.0618985556,   -0.0254396126,   0.00897808559,  -0.00257683685,
                                  0.000559291278, -8.38866981e-05, 7.60847206e-06, -3.1068609e-07};
// (sin(r) / r - 1) / r^2 and (cos(r) - 1 + r^2 / 2) / r^4 in r^2 for |r| <= pi / 4, in f64.
static constexpr double kSin[] = {-0.16666666639557615, 0.0083333291438914305,
                                  -0.00019839256627543936, 2.7175644031487315e-06};
static constexpr double kCos[] = {0.041666666619204144, -0.001388888343842214,
                                  2.4799436407956323e-05, -2.7203303752891309e-07};

static bool isF64(Value x) { return getElementTypeOrSelf(x.getType()).isF64(); }

static Type integerLike(Value x) {
  auto type = cast<VectorType>(x.getType());
  return VectorType::get(type.getShape(),
                         IntegerType::get(x.getContext(), type.getElementTypeBitWidth()));
}

// x limited to [low, high]; NaN stays NaN.
static Value limit(VectorBuilder &b, Value x, double low, double high) {
  Value top = b.constant(x.getType(), high), bottom = b.constant(x.getType(), low);
  x = b.select(b.cmpf(CmpFPredicate::OGT, x, top), top, x);
  return b.select(b.cmpf(CmpFPredicate::OLT, x, bottom), bottom, x);
}

static Value copySign(VectorBuilder &b, Value magnitude, Value sign) {
  return b.create<math::CopySignOp>(magnitude, sign);
}

namespace {
/// x = n log(2) + r; `n` holds n as an integer vector.
struct Reduced {
  Value n, r;
};
} // namespace

static Reduced reduceByLn2(VectorBuilder &b, Value x) {
  Type type = x.getType(), integers = integerLike(x);
  Value rounder = b.constant(type, kRoundF32);
  Value shifted = b.fma(x, b.constant(type, kLog2e), rounder);
  Value n = b.sub(shifted, rounder);
  Value r = b.fma(n, b.constant(type, -kLn2High), x);
  r = b.fma(n, b.constant(type, -kLn2Low), r);
  Value bits = b.create<arith::BitcastOp>(integers, shifted);
  return {b.sub(bits, b.constantInt(integers, kRoundF32Bits)), r};
}

// 2^n for -126 <= n <= 127.
static Value powerOfTwo(VectorBuilder &b, Value n, Type type) {
  Value biased = b.add(n, b.constantInt(n.getType(), 127));
  return b.create<arith::BitcastOp>(
      type, b.create<arith::ShLIOp>(biased, b.constantInt(n.getType(), 23)));
}

Value dsc::emitExp(VectorBuilder &b, Value x) {
  if (Value own = b.native(Native::exp, x)) {
    return own;
  }
  if (isF64(x)) {
    return b.libm("exp", x);
  }
  // Beyond these limits the result is 0 or infinity, which the scaling below gives.
  Reduced p = reduceByLn2(b, limit(b, x, -104.0, 89.0));
  Value y = b.fma(b.mul(p.r, p.r), b.polynomial(p.r, kExp), p.r);
  y = b.add(y, 1.0);
  // In two steps, so that results below the normal range are rounded once and 2^128 is reached.
  Value half = b.create<arith::ShRSIOp>(p.n, b.constantInt(p.n.getType(), 1));
  y = b.mul(y, powerOfTwo(b, half, x.getType()));
  return b.mul(y, powerOfTwo(b, b.sub(p.n, half), x.getType()));
}

Value dsc::emitExpm1(VectorBuilder &b, Value x) {
  if (isF64(x)) {
    return b.libm("expm1", x);
  }
  Reduced p = reduceByLn2(b, limit(b, x, -30.0, 89.0));
  Value y = b.fma(b.mul(p.r, p.r), b.polynomial(p.r, kExpm1), p.r);
  // 2 (2^(n-1) y + (2^(n-1) - 1/2)): exact where n = 0, and 2^n may be 2^128.
  Value scale = powerOfTwo(b, b.sub(p.n, b.constantInt(p.n.getType(), 1)), x.getType());
  y = b.fma(scale, y, b.add(scale, -0.5));
  y = b.add(y, y);
  // Keep the sign of zero.
  return b.select(b.cmpf(CmpFPredicate::OEQ, x, 0.0), x, y);
}

Value dsc::emitLog(VectorBuilder &b, Value x) {
  if (Value own = b.native(Native::log, x)) {
    return own;
  }
  if (isF64(x)) {
    return b.libm("log", x);
  }
  Type type = x.getType(), integers = integerLike(x);
  Value subnormal = b.cmpf(CmpFPredicate::OLT, x, 1.17549435e-38);
  Value scaled = b.select(subnormal, b.mul(x, 8388608.0), x);
  Value bits = b.create<arith::BitcastOp>(integers, scaled);
  // The exponent of scaled / sqrt(1/2), rounded down.
  Value exponent = b.sub(bits, b.constantInt(integers, 0x3f3504f3));
  exponent = b.create<arith::ShRSIOp>(exponent, b.constantInt(integers, 23));
  Value shift = b.create<arith::ShLIOp>(exponent, b.constantInt(integers, 23));
  Value f = b.add(b.create<arith::BitcastOp>(type, b.sub(bits, shift)), -1.0);
  Value k = b.create<arith::SIToFPOp>(type, exponent);
  k = b.select(subnormal, b.add(k, -23.0), k);

  Value square = b.mul(f, f);
  Value y = b.mul(b.mul(square, f), b.polynomial(f, kLog));
  y = b.fma(k, b.constant(type, kLn2Low), y);
  y = b.fma(square, b.constant(type, -0.5), y);
  y = b.fma(k, b.constant(type, kLn2High), b.add(f, y));

  double infinity = std::numeric_limits<double>::infinity();
  y = b.select(b.cmpf(CmpFPredicate::OLT, x, infinity), y, x); // infinity and NaN
  y = b.select(b.cmpf(CmpFPredicate::OEQ, x, 0.0), b.constant(type, -infinity), y);
  return b.select(b.cmpf(CmpFPredicate::OLT, x, 0.0), b.constant(type, std::nan("")), y);
}

Value dsc::emitLog1p(VectorBuilder &b, Value x) {
  if (isF64(x)) {
    return b.libm("log1p", x);
  }
  // log(u) + (what rounding 1 + x to u lost) / u
  Value u = b.add(x, 1.0);
  Value lost = b.sub(x, b.add(u, -1.0));
  Value y = b.add(emitLog(b, u), b.div(lost, u));
  Value plain =
      b.create<arith::OrIOp>(b.cmpf(CmpFPredicate::OEQ, u, std::numeric_limits<double>::infinity()),
                             b.cmpf(CmpFPredicate::OEQ, u, 0.0));
  y = b.select(plain,
               b.select(b.cmpf(CmpFPredicate::OEQ, u, 0.0),
                        b.constant(x.getType(), -std::numeric_limits<double>::infinity()), u),
               y);
  return b.select(b.cmpf(CmpFPredicate::OEQ, x, 0.0), x, y);
}

Value dsc::emitRsqrt(VectorBuilder &b, Value x) {
  if (Value own = b.native(Native::rsqrt, x)) {
    return own;
  }
  return b.div(b.constant(x.getType(), 1.0), b.create<math::SqrtOp>(x));
}

Value dsc::emitTanh(VectorBuilder &b, Value x) {
  if (Value own = b.native(Native::tanh, x)) {
    return own;
  }
  if (isF64(x)) {
    return b.libm("tanh", x);
  }
  // e / (e + 2) with e = e^(2|x|) - 1; from 9.02 on the result rounds to 1.
  Value top = b.constant(x.getType(), 10.0), magnitude = b.abs(x);
  magnitude = b.select(b.cmpf(CmpFPredicate::OGT, magnitude, top), top, magnitude);
  Value e = emitExpm1(b, b.add(magnitude, magnitude));
  return copySign(b, b.div(e, b.add(e, 2.0)), x);
}

Value dsc::emitErf(VectorBuilder &b, Value x) {
  if (isF64(x)) {
    return b.libm("erf", x);
  }
  Value magnitude = b.abs(x), one = b.constant(x.getType(), 1.0);
  Value near = b.fma(x, b.polynomial(b.mul(x, x), kErfNear), x);
  Value top = b.constant(x.getType(), 4.0); // erf(4) rounds to 1
  Value t = b.select(b.cmpf(CmpFPredicate::OGT, magnitude, top), top, magnitude);
  Value far = b.sub(one, emitExp(b, b.neg(b.mul(t, b.polynomial(t, kErfFar)))));
  return b.select(b.cmpf(CmpFPredicate::OGT, magnitude, one), copySign(b, far, x), near);
}

/// e^x with x limited to [-86, 86], where one scaling is enough.
static Value emitExpWithin(VectorBuilder &b, Value x) {
  x = limit(b, x, -86.0, 86.0);
  if (Value own = b.native(Native::exp, x)) {
    return own;
  }
  Reduced p = reduceByLn2(b, x);
  Value y = b.add(b.fma(b.mul(p.r, p.r), b.polynomial(p.r, kExp), p.r), 1.0);
  return b.mul(y, powerOfTwo(b, p.n, x.getType()));
}

namespace {
/// The normal distribution at x: its integral and e^(-x^2 / 2).
struct Normal {
  Value integral, bell;
};
} // namespace

static Normal emitNormal(VectorBuilder &b, Value x) {
  Type type = x.getType();
  Value exponent = b.mul(b.mul(x, x), -0.5), half = b.constant(type, 0.5);
  if (isF64(x)) {
    Value erf = emitErf(b, b.mul(x, 0.70710678118654752));
    return {b.mul(b.add(erf, 1.0), half), emitExp(b, exponent)};
  }
  // One exponential serves both: Phi(-|x|) is the bell times a polynomial. Below -86 it is zero for
  // every use.
  Value bell = emitExpWithin(b, exponent);
  bell = b.select(b.cmpf(CmpFPredicate::OLT, exponent, -86.0), b.constant(type, 0.0), bell);
  Value top = b.constant(type, 6.0), u = b.abs(x);
  u = b.select(b.cmpf(CmpFPredicate::OGT, u, top), top, u);
  Value tail = b.mul(bell, b.polynomial(u, kPhi));
  Value one = b.constant(type, 1.0);
  return {b.select(b.cmpf(CmpFPredicate::OLT, x, 0.0), tail, b.sub(one, tail)), bell};
}

Value dsc::emitGeluErf(VectorBuilder &b, Value x) { return b.mul(x, emitNormal(b, x).integral); }

Value dsc::emitGeluErfGrad(VectorBuilder &b, Value x, Value dy) {
  Normal normal = emitNormal(b, x);
  Value density = b.mul(normal.bell, 0.39894228040143268); // 1 / sqrt(2 pi)
  return b.mul(dy, b.fma(x, density, normal.integral));
}

/// (1 + tanh(t)) / 2 for the t of GELU's tanh form: 1 / (1 + e^(-2t)).
static Value geluGate(VectorBuilder &b, Value x) {
  static constexpr double scale = -2 * 0.79788456080286536, cubic = 0.044715; // sqrt(2 / pi)
  Type type = x.getType();
  Value inner = b.fma(b.mul(x, x), b.constant(type, scale * cubic), b.constant(type, scale));
  Value exponent = b.mul(x, inner);
  Value power = isF64(x) ? emitExp(b, exponent) : emitExpWithin(b, exponent);
  return b.reciprocal(b.add(power, 1.0));
}

Value dsc::emitGeluTanh(VectorBuilder &b, Value x) { return b.mul(x, geluGate(b, x)); }

Value dsc::emitGeluTanhGrad(VectorBuilder &b, Value x, Value dy) {
  // s' = 2 s (1 - s) t', t' = sqrt(2 / pi) (1 + 3 c x^2)
  static constexpr double scale = 2 * 0.79788456080286536, cubic = 3 * 0.044715;
  Type type = x.getType();
  Value s = geluGate(b, x), one = b.constant(type, 1.0);
  Value slope = b.fma(b.mul(x, x), b.constant(type, scale * cubic), b.constant(type, scale));
  Value rise = b.mul(b.mul(x, slope), b.sub(one, s));
  return b.mul(dy, b.fma(s, rise, s));
}

Value dsc::emitSigmoid(VectorBuilder &b, Value x) {
  return b.reciprocal(b.add(emitExp(b, b.neg(x)), 1.0));
}

Value dsc::emitSoftplus(VectorBuilder &b, Value x) {
  Value zero = b.constant(x.getType(), 0.0);
  Value positive = b.select(b.cmpf(CmpFPredicate::OLT, x, zero), zero, x);
  return b.add(positive, emitLog1p(b, emitExp(b, b.neg(b.abs(x)))));
}

namespace {
struct SinCos {
  Value sine, cosine; // in f64
};
} // namespace

// Both in f64, where reduction by pi / 2 in two parts is exact enough up to 2^50; beyond it f32
// knows no phase any more and the result is that of 0.
static SinCos emitSinCos(VectorBuilder &b, Value x) {
  auto type = VectorType::get(cast<VectorType>(x.getType()).getShape(), b.getF64Type());
  Value wide = b.create<arith::ExtFOp>(type, x);
  Value huge = b.create<arith::AndIOp>(
      b.cmpf(CmpFPredicate::OGT, b.abs(wide), 1125899906842624.0),
      b.cmpf(CmpFPredicate::OLT, b.abs(wide), std::numeric_limits<double>::infinity()));
  wide = b.select(huge, b.constant(type, 0.0), wide);
  Value rounder = b.constant(type, 6755399441055744.0); // 1.5 * 2^52
  Value shifted = b.fma(wide, b.constant(type, 0.63661977236758134), rounder);
  Value n = b.sub(shifted, rounder);
  Value r = b.fma(n, b.constant(type, -1.5707963267948966), wide);
  r = b.fma(n, b.constant(type, -6.1232339957367660e-17), r);
  Type integers = integerLike(wide);
  Value quadrant = b.create<arith::BitcastOp>(integers, shifted);

  Value square = b.mul(r, r), one = b.constant(type, 1.0);
  Value sine = b.fma(b.mul(square, r), b.polynomial(square, kSin), r);
  Value cosine = b.fma(b.mul(square, square), b.polynomial(square, kCos),
                       b.fma(square, b.constant(type, -0.5), one));

  auto bit = [&](Value value, int64_t which) {
    Value masked = b.create<arith::AndIOp>(value, b.constantInt(integers, which));
    return b.cmpi(arith::CmpIPredicate::ne, masked, b.constantInt(integers, 0));
  };
  Value odd = bit(quadrant, 1), next = b.add(quadrant, b.constantInt(integers, 1));
  Value s = b.select(odd, cosine, sine), c = b.select(odd, sine, cosine);
  return {b.select(bit(quadrant, 2), b.neg(s), s), b.select(bit(next, 2), b.neg(c), c)};
}

Value dsc::emitSin(VectorBuilder &b, Value x) {
  return isF64(x) ? b.libm("sin", x)
                  : b.create<arith::TruncFOp>(x.getType(), emitSinCos(b, x).sine).getResult();
}

Value dsc::emitCos(VectorBuilder &b, Value x) {
  return isF64(x) ? b.libm("cos", x)
                  : b.create<arith::TruncFOp>(x.getType(), emitSinCos(b, x).cosine).getResult();
}

Value dsc::emitTan(VectorBuilder &b, Value x) {
  if (isF64(x)) {
    return b.libm("tan", x);
  }
  SinCos parts = emitSinCos(b, x);
  return b.create<arith::TruncFOp>(x.getType(), b.div(parts.sine, parts.cosine));
}

Value dsc::emitPow(VectorBuilder &b, Value x, Value y) {
  DenseElementsAttr splat;
  if (matchPattern(y, m_Constant(&splat)) && splat.isSplat()) {
    double exponent = splat.getSplatValue<APFloat>().convertToDouble();
    if (exponent == 2) {
      return b.mul(x, x);
    }
    if (exponent == 3) {
      return b.mul(b.mul(x, x), x);
    }
    if (exponent == 1) {
      return x;
    }
    if (exponent == -1) {
      return b.div(b.constant(x.getType(), 1.0), x);
    }
  }
  return b.libm("pow", {x, y});
}
