// Element types, shapes and views of host tensors.

#include "runtime/Tensor.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace dsc;

namespace {
struct DtypeInfo {
  Dtype dtype;
  const char *name;
  int64_t size;
};
constexpr DtypeInfo dtypes[] = {
    {DSC_F32, "f32", 4},   {DSC_U8, "u8", 1},   {DSC_I8, "i8", 1},   {DSC_U16, "u16", 2},
    {DSC_I16, "i16", 2},   {DSC_I32, "i32", 4}, {DSC_I64, "i64", 8}, {DSC_BOOL, "bool", 1},
    {DSC_F16, "f16", 2},   {DSC_F64, "f64", 8}, {DSC_U32, "u32", 4}, {DSC_U64, "u64", 8},
    {DSC_BF16, "bf16", 2},
};

const DtypeInfo *find(Dtype dtype) {
  for (const DtypeInfo &info : dtypes) {
    if (info.dtype == dtype) {
      return &info;
    }
  }
  return nullptr;
}

template <typename T> T load(const std::byte *data, int64_t index) {
  T value;
  std::memcpy(&value, data + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <typename T> void store(std::byte *data, int64_t index, T value) {
  std::memcpy(data + index * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

double halfToDouble(uint16_t bits) {
  int exponent = (bits >> 10) & 31;
  int mantissa = bits & 1023;
  double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN()
                    : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) {
    return sign * std::ldexp(mantissa, -24);
  }
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

uint16_t doubleToHalf(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) {
    return sign | 0x7e00;
  }
  double magnitude = std::fabs(value);
  if (magnitude >= 65520.0) {
    return sign | 0x7c00;
  }
  int exponent;
  std::frexp(magnitude, &exponent); // magnitude = f * 2^exponent, f in [0.5, 1)
  int unit = magnitude == 0 || exponent < -13 ? -24 : exponent - 11;
  // nearbyint rounds to nearest even, the default mode; the carry into the exponent is right as is.
  auto scaled = static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  if (unit == -24) {
    return sign | scaled;
  }
  return sign | static_cast<uint16_t>(((unit + 24) << 10) + scaled);
}

double bfloatToDouble(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

uint16_t doubleToBfloat(double value) {
  // Rounded once: to odd in f32, which keeps the sticky bit, then to nearest even.
  auto narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, 4);
  if (std::isnan(value)) {
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  }
  if (!std::isinf(narrow) && static_cast<double>(narrow) != value) {
    if (std::fabs(static_cast<double>(narrow)) > std::fabs(value)) {
      --bits;
    }
    bits |= 1;
  }
  bits += 0x7fff + ((bits >> 16) & 1);
  return static_cast<uint16_t>(bits >> 16);
}
} // namespace

const char *dsc::dtypeName(Dtype dtype) {
  const DtypeInfo *info = find(dtype);
  return info ? info->name : "unknown";
}

std::optional<Dtype> dsc::dtypeFromName(std::string_view name) {
  for (const DtypeInfo &info : dtypes) {
    if (name == info.name) {
      return info.dtype;
    }
  }
  return std::nullopt;
}

int64_t dsc::dtypeSize(Dtype dtype) {
  const DtypeInfo *info = find(dtype);
  return info ? info->size : 1;
}

bool dsc::isFloat(Dtype dtype) {
  return dtype == DSC_F32 || dtype == DSC_F64 || dtype == DSC_F16 || dtype == DSC_BF16;
}

bool dsc::isInteger(Dtype dtype) { return !isFloat(dtype) && dtype != DSC_BOOL; }

std::string dsc::shapeText(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

std::optional<int64_t> dsc::elementCount(const Shape &shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0) {
      return std::nullopt;
    }
    empty |= dim == 0;
    // Zero dims are left out so that the others are checked whatever their order.
    if (dim && (__builtin_mul_overflow(count, dim, &count) || count > maxBytes)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : count;
}

std::optional<int64_t> dsc::byteCount(Dtype dtype, const Shape &shape) {
  std::optional<int64_t> count = elementCount(shape);
  if (!count || *count > maxBytes / dtypeSize(dtype)) {
    return std::nullopt;
  }
  return *count * dtypeSize(dtype);
}

double dsc::loadAsDouble(Dtype dtype, const std::byte *data, int64_t index) {
  switch (dtype) {
  case DSC_F32:
    return load<float>(data, index);
  case DSC_F64:
    return load<double>(data, index);
  case DSC_F16:
    return halfToDouble(load<uint16_t>(data, index));
  case DSC_BF16:
    return bfloatToDouble(load<uint16_t>(data, index));
  case DSC_U64:
    return static_cast<double>(load<uint64_t>(data, index));
  default:
    return static_cast<double>(loadAsInteger(dtype, data, index));
  }
}

int64_t dsc::loadAsInteger(Dtype dtype, const std::byte *data, int64_t index) {
  switch (dtype) {
  case DSC_I8:
    return load<int8_t>(data, index);
  case DSC_U8:
    return load<uint8_t>(data, index);
  case DSC_BOOL:
    return load<uint8_t>(data, index) != 0;
  case DSC_I16:
    return load<int16_t>(data, index);
  case DSC_U16:
    return load<uint16_t>(data, index);
  case DSC_I32:
    return load<int32_t>(data, index);
  case DSC_U32:
    return load<uint32_t>(data, index);
  case DSC_I64:
    return load<int64_t>(data, index);
  case DSC_U64: {
    auto value = load<uint64_t>(data, index);
    constexpr auto most = std::numeric_limits<int64_t>::max();
    return value > static_cast<uint64_t>(most) ? most : static_cast<int64_t>(value);
  }
  default:
    return 0;
  }
}

void dsc::storeFromDouble(Dtype dtype, std::byte *data, int64_t index, double value) {
  switch (dtype) {
  case DSC_F32:
    return store(data, index, static_cast<float>(value));
  case DSC_F64:
    return store(data, index, value);
  case DSC_F16:
    return store(data, index, doubleToHalf(value));
  case DSC_BF16:
    return store(data, index, doubleToBfloat(value));
  default: {
    // Callers check ranges with names; this only keeps the conversion defined.
    double clamped = std::isnan(value) ? 0 : std::fmin(std::fmax(value, -0x1p62), 0x1p62);
    return storeFromInteger(dtype, data, index, static_cast<int64_t>(clamped));
  }
  }
}

void dsc::storeFromInteger(Dtype dtype, std::byte *data, int64_t index, int64_t value) {
  switch (dtype) {
  case DSC_BOOL:
    return store(data, index, static_cast<uint8_t>(value != 0));
  case DSC_I8:
  case DSC_U8:
    return store(data, index, static_cast<uint8_t>(value));
  case DSC_I16:
  case DSC_U16:
    return store(data, index, static_cast<uint16_t>(value));
  case DSC_I32:
  case DSC_U32:
    return store(data, index, static_cast<uint32_t>(value));
  case DSC_I64:
  case DSC_U64:
    return store(data, index, static_cast<uint64_t>(value));
  default:
    return storeFromDouble(dtype, data, index, static_cast<double>(value));
  }
}
