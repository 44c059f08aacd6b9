// Sixteen floats at a time, on every instruction set.
// The vector type of the kernels and its functions. Included only by files that are compiled once
// per instruction set: everything is in an unnamed namespace, so that the linker never mixes two
// copies. Each function is the same sequence of IEEE operations and explicit FMAs everywhere, so
// AVX2 and AVX-512 give the same bits.

#ifndef DSC_RUNTIME_CPU_VECTORMATH_H
#define DSC_RUNTIME_CPU_VECTORMATH_H

#include <immintrin.h>
#include <stdint.h>

namespace {

using Vec = float __attribute__((ext_vector_type(16)));
// A using-declaration would drop the alignment. NOLINTNEXTLINE(modernize-use-using)
typedef float UnalignedVec __attribute__((ext_vector_type(16), aligned(4)));
using IntVec = int32_t __attribute__((ext_vector_type(16)));
using HalfVec = float __attribute__((ext_vector_type(8)));
// NOLINTNEXTLINE(modernize-use-using)
typedef float UnalignedHalfVec __attribute__((ext_vector_type(8), aligned(4)));

constexpr int64_t laneCount = 16;

inline Vec load(const float *p) { return *reinterpret_cast<const UnalignedVec *>(p); }
inline void store(float *p, Vec v) { *reinterpret_cast<UnalignedVec *>(p) = v; }
inline HalfVec loadHalf(const float *p) { return *reinterpret_cast<const UnalignedHalfVec *>(p); }
inline void storeHalf(float *p, HalfVec v) { *reinterpret_cast<UnalignedHalfVec *>(p) = v; }
inline Vec splat(float x) { return Vec(x); }
inline Vec fma(Vec a, Vec b, Vec c) { return __builtin_elementwise_fma(a, b, c); }
inline Vec select(IntVec mask, Vec a, Vec b) {
  return __builtin_bit_cast(Vec, (mask & __builtin_bit_cast(IntVec, a)) |
                                     (~mask & __builtin_bit_cast(IntVec, b)));
}
/// Lanes that hold no number.
inline IntVec isNaN(Vec x) { return (__builtin_bit_cast(IntVec, x) & 0x7fffffff) > 0x7f800000; }

/// The larger one; `b` where `a` is NaN.
inline Vec maxOf(Vec a, Vec b) { return a > b ? a : b; }

/// The first `count` lanes of p, the rest 0; touches no memory behind them.
inline Vec loadFirst(const float *p, int count) {
#ifdef __AVX512F__
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#else
  Vec v = 0.0f;
  __builtin_memcpy(&v, p, static_cast<size_t>(count) * sizeof(float));
  return v;
#endif
}
inline void storeFirst(float *p, Vec v, int count) {
#ifdef __AVX512F__
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), v);
#else
  __builtin_memcpy(p, &v, static_cast<size_t>(count) * sizeof(float));
#endif
}

/// Sum in a fixed tree.
inline float sumOf(Vec v) {
  using V4 = float __attribute__((ext_vector_type(4)));
  HalfVec a = v.lo + v.hi;
  V4 b = a.lo + a.hi;
  return (b.x + b.z) + (b.y + b.w);
}

inline float largestOf(Vec v) { return __builtin_reduce_max(v); }

/// e^x to 1 ulp for x <= 88.7 (infinity above); 0 below -87.3, so that no denormal appears.
inline Vec exponential(Vec x) {
  Vec inRange = x < -87.3f ? splat(-87.3f) : x;
  inRange = inRange > 89.0f ? splat(89.0f) : inRange;
  // 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits.
  Vec shifted = fma(inRange, splat(1.44269504088896341f), splat(12582912.0f));
  Vec n = shifted - 12582912.0f;
  Vec r = fma(n, splat(-0.693145751953125f), inRange);
  r = fma(n, splat(-1.42860677e-6f), r);
  Vec p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p * r, r, r) + 1.0f;
  // 2^n in two factors: n reaches 128, which one exponent field cannot hold.
  IntVec e = __builtin_bit_cast(IntVec, shifted) - __builtin_bit_cast(IntVec, splat(12582912.0f));
  IntVec half = e >> 1;
  Vec f1 = __builtin_bit_cast(Vec, (half + 127) << 23);
  Vec f2 = __builtin_bit_cast(Vec, (e - half + 127) << 23);
  Vec y = p * f1 * f2;
  y = x < -87.3f ? splat(0.0f) : y;
  return isNaN(x) ? x : y;
}

/// log(x) to 1 ulp for normal x > 0; -infinity for 0.
inline Vec logarithm(Vec x) {
  IntVec bits = __builtin_bit_cast(IntVec, x);
  // The exponent for which the mantissa is in [sqrt(1/2), sqrt(2)).
  IntVec e = (bits - 0x3f3504f3) >> 23;
  Vec m = __builtin_bit_cast(Vec, bits - (e << 23)) - 1.0f;
  Vec n = __builtin_convertvector(e, Vec);
  Vec z = m * m;
  Vec p = splat(7.0376836292e-2f);
  p = fma(p, m, splat(-1.1514610310e-1f));
  p = fma(p, m, splat(1.1676998740e-1f));
  p = fma(p, m, splat(-1.2420140846e-1f));
  p = fma(p, m, splat(1.4249322787e-1f));
  p = fma(p, m, splat(-1.6668057665e-1f));
  p = fma(p, m, splat(2.0000714765e-1f));
  p = fma(p, m, splat(-2.4999993993e-1f));
  p = fma(p, m, splat(3.3333331174e-1f));
  Vec y = fma(n, splat(-2.12194440e-4f), p * m * z);
  y = fma(z, splat(-0.5f), y);
  y = fma(n, splat(0.693359375f), m + y);
  y = x == 0.0f ? splat(-__builtin_inff()) : y;
  y = x == __builtin_inff() ? x : y;
  return isNaN(x) ? x : y;
}

/// erf(x) to a few ulp: odd rational function on [-4, 4], outside of which it is +-1.
inline Vec errorFunction(Vec x) {
  Vec c = x < -3.8325066f ? splat(-3.8325066f) : x;
  c = c > 3.8325066f ? splat(3.8325066f) : c;
  Vec s = c * c;
  Vec p = splat(2.2905065861350646e-4f);
  p = fma(p, s, splat(3.4082910107109506e-3f));
  p = fma(p, s, splat(5.0955695062380861e-2f));
  p = fma(p, s, splat(1.8520832239976145e-1f));
  p = fma(p, s, splat(1.128379143519084f));
  Vec q = splat(-1.1791602954361697e-7f);
  q = fma(q, s, splat(2.3547966471313185e-5f));
  q = fma(q, s, splat(1.0179625278914885e-3f));
  q = fma(q, s, splat(1.4070470171167667e-2f));
  q = fma(q, s, splat(1.1098505178285362e-1f));
  q = fma(q, s, splat(4.9746925110067538e-1f));
  q = fma(q, s, splat(1.0f));
  Vec y = c * p / q;
  return isNaN(x) ? x : y;
}

/// tanh(x) by e^-2|x|; the small ones by their series, where the quotient would cancel.
inline Vec hyperbolicTangent(Vec x) {
  Vec a = __builtin_elementwise_abs(x);
  Vec e = exponential(-2.0f * a);
  Vec y = (1.0f - e) / (1.0f + e);
  Vec s = x * x;
  Vec p = splat(-5.70498872745e-3f);
  p = fma(p, s, splat(2.06390887954e-2f));
  p = fma(p, s, splat(-5.37397155531e-2f));
  p = fma(p, s, splat(1.33314422036e-1f));
  p = fma(p, s, splat(-3.33332819422e-1f));
  Vec small = fma(p * s, x, x);
  y = x < 0.0f ? -y : y;
  y = a < 0.625f ? small : y;
  return isNaN(x) ? x : y;
}

} // namespace

#endif // DSC_RUNTIME_CPU_VECTORMATH_H
