// Element types, shapes and views of host tensors.
// What readers hand out and writers take: a name, an element type, a shape and bytes owned by
// somebody else. Sizes are computed with overflow checks only; data may be unaligned in a file, so
// elements are read through memcpy.

#ifndef DSC_RUNTIME_TENSOR_H
#define DSC_RUNTIME_TENSOR_H

#include "runtime/Status.h"
#include "runtime/abi.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dsc {

using Dtype = dsc_dtype;
using Shape = std::vector<int64_t>;

/// Sizes beyond this are lies: 2^46 bytes is more memory than any machine maps for one tensor.
inline constexpr int64_t maxBytes = int64_t(1) << 46;
inline constexpr size_t maxRank = 64;

/// "f32", as manifests spell it.
const char *dtypeName(Dtype dtype);
std::optional<Dtype> dtypeFromName(std::string_view name);
int64_t dtypeSize(Dtype dtype);
bool isFloat(Dtype dtype);
bool isInteger(Dtype dtype); ///< without bool

/// "[8, 1024]"
std::string shapeText(const Shape &shape);

/// Product of the dims; nothing if a dim is negative or the product passes maxBytes.
std::optional<int64_t> elementCount(const Shape &shape);
std::optional<int64_t> byteCount(Dtype dtype, const Shape &shape);

/// A tensor that lies in memory owned by somebody else.
struct TensorView {
  std::string name;
  Dtype dtype = DSC_F32;
  Shape shape;
  const std::byte *data = nullptr;
  int64_t bytes = 0;

  int64_t elements() const { return bytes / dtypeSize(dtype); }
};

/// Element `index` of `data` as a number; integers beyond 2^53 round.
double loadAsDouble(Dtype dtype, const std::byte *data, int64_t index);
/// Element `index` of an integer or bool tensor; u64 beyond int64 saturates.
int64_t loadAsInteger(Dtype dtype, const std::byte *data, int64_t index);
/// Writes `value` as element `index`, rounded to nearest even by float types.
void storeFromDouble(Dtype dtype, std::byte *data, int64_t index, double value);
void storeFromInteger(Dtype dtype, std::byte *data, int64_t index, int64_t value);

} // namespace dsc

#endif // DSC_RUNTIME_TENSOR_H
