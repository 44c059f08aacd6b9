// NumPy's array format.
// Reads the .npy format, versions 1 to 3, from bytes in memory, little endian and C order only.
// Everything else is an error that says how to save the array instead.

#ifndef DSC_RUNTIME_NPY_H
#define DSC_RUNTIME_NPY_H

#include "runtime/Tensor.h"

#include <string>

namespace dsc {

/// The array in `bytes` bytes at `data`; the view points into them. `name` becomes its name.
Result<TensorView> readNpy(const std::string &name, const std::byte *data, int64_t bytes);

/// The header of an array, padded as NumPy pads it; empty for bf16, which NumPy does not have.
std::string npyHeader(Dtype dtype, const Shape &shape);

} // namespace dsc

#endif // DSC_RUNTIME_NPY_H
