// Conversions of the half types for AVX-512.
// Compiled with AVX-512 flags (runtime/CMakeLists.txt); runs only where the CPU has it.

#include "runtime/cpu/HalfKernelBodies.h"

const dsc::HalfKernels dsc::halfKernelsAvx512 = {widenAny, narrowAny};
