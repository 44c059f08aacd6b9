// Activations of plain loops.
// What the ABI's epilogues are, by the formulas; the vector kernels have their own.

#ifndef DSC_RUNTIME_CPU_EPILOGUE_H
#define DSC_RUNTIME_CPU_EPILOGUE_H

#include "runtime/abi.h"

#include <cmath>

namespace dsc {

template <typename T> T activated(T x, int32_t epilogue) {
  switch (epilogue) {
  case DSC_EPILOGUE_RELU:
    return x < T(0) ? T(0) : x;
  case DSC_EPILOGUE_GELU_ERF:
    return T(0.5) * x * (T(1) + std::erf(x * T(0.70710678118654752440)));
  case DSC_EPILOGUE_GELU_TANH:
    return T(0.5) * x *
           (T(1) + std::tanh(T(0.79788456080286535588) * (x + T(0.044715) * x * x * x)));
  default:
    return x;
  }
}

} // namespace dsc

#endif // DSC_RUNTIME_CPU_EPILOGUE_H
