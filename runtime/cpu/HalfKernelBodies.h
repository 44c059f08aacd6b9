// The loops behind HalfKernels.
// Included by HalfAvx2.cpp and HalfAvx512.cpp. bf16 is integer arithmetic on the upper half of f32:
// the processors' own conversion to bf16 takes denormals for 0.

#ifndef DSC_RUNTIME_CPU_HALFKERNELBODIES_H
#define DSC_RUNTIME_CPU_HALFKERNELBODIES_H

#include "runtime/abi.h"
#include "runtime/cpu/HalfKernels.h"
#include "runtime/cpu/VectorMath.h"

namespace {

using Bits16 = uint16_t __attribute__((ext_vector_type(16)));
using Bits16Half = uint16_t __attribute__((ext_vector_type(8)));
using VecHalf = float __attribute__((ext_vector_type(8)));
using Bits32 = uint32_t __attribute__((ext_vector_type(16)));
// A using-declaration would drop the alignment. NOLINTNEXTLINE(modernize-use-using)
typedef uint16_t UnalignedBits16 __attribute__((ext_vector_type(16), aligned(2)));

inline Vec fromBf16(Bits16 bits) {
  return __builtin_bit_cast(Vec, __builtin_convertvector(bits, Bits32) << 16);
}

/// Adds half a unit, one less where the kept part is even; NaN becomes a quiet NaN.
inline Bits16 toBf16(Vec value) {
  Bits32 bits = __builtin_bit_cast(Bits32, value);
  Bits32 rounded = bits + (0x7fff + ((bits >> 16) & 1));
  Bits32 isNan = __builtin_bit_cast(Bits32, isNaN(value));
  bits = (isNan & (bits | 0x400000)) | (~isNan & rounded);
  return __builtin_convertvector(bits >> 16, Bits16);
}

inline Vec fromF16(Bits16 bits) {
#ifdef __AVX512F__
  return __builtin_bit_cast(Vec, _mm512_cvtph_ps(__builtin_bit_cast(__m256i, bits)));
#else
  Vec value;
  value.lo = __builtin_bit_cast(VecHalf,
                                _mm256_cvtph_ps(__builtin_bit_cast(__m128i, Bits16Half(bits.lo))));
  value.hi = __builtin_bit_cast(VecHalf,
                                _mm256_cvtph_ps(__builtin_bit_cast(__m128i, Bits16Half(bits.hi))));
  return value;
#endif
}

inline Bits16 toF16(Vec value) {
#ifdef __AVX512F__
  return __builtin_bit_cast(
      Bits16, _mm512_cvtps_ph(__builtin_bit_cast(__m512, value), _MM_FROUND_TO_NEAREST_INT));
#else
  Bits16 bits;
  bits.lo =
      __builtin_bit_cast(Bits16Half, _mm256_cvtps_ph(__builtin_bit_cast(__m256, VecHalf(value.lo)),
                                                     _MM_FROUND_TO_NEAREST_INT));
  bits.hi =
      __builtin_bit_cast(Bits16Half, _mm256_cvtps_ph(__builtin_bit_cast(__m256, VecHalf(value.hi)),
                                                     _MM_FROUND_TO_NEAREST_INT));
  return bits;
#endif
}

template <Vec (*convert)(Bits16)> void widenRun(int64_t count, const uint16_t *from, float *to) {
  int64_t i = 0;
  for (; i + laneCount <= count; i += laneCount) {
    store(to + i, convert(*reinterpret_cast<const UnalignedBits16 *>(from + i)));
  }
  if (i < count) {
    Bits16 bits = 0;
    __builtin_memcpy(&bits, from + i, static_cast<size_t>(count - i) * sizeof(uint16_t));
    storeFirst(to + i, convert(bits), static_cast<int>(count - i));
  }
}

template <Bits16 (*convert)(Vec)> void narrowRun(int64_t count, const float *from, uint16_t *to) {
  int64_t i = 0;
  for (; i + laneCount <= count; i += laneCount) {
    *reinterpret_cast<UnalignedBits16 *>(to + i) = convert(load(from + i));
  }
  if (i < count) {
    Bits16 bits = convert(loadFirst(from + i, static_cast<int>(count - i)));
    __builtin_memcpy(to + i, &bits, static_cast<size_t>(count - i) * sizeof(uint16_t));
  }
}

void widenAny(int32_t dtype, int64_t count, const void *from, float *to) {
  auto *bits = static_cast<const uint16_t *>(from);
  dtype == DSC_BF16 ? widenRun<fromBf16>(count, bits, to) : widenRun<fromF16>(count, bits, to);
}

void narrowAny(int32_t dtype, int64_t count, const float *from, void *to) {
  auto *bits = static_cast<uint16_t *>(to);
  dtype == DSC_BF16 ? narrowRun<toBf16>(count, from, bits) : narrowRun<toF16>(count, from, bits);
}

} // namespace

#endif // DSC_RUNTIME_CPU_HALFKERNELBODIES_H
