// Conversions of the half types for AVX2 with F16C.
// Compiled with AVX2 flags (runtime/CMakeLists.txt); runs only where the CPU has it.

#include "runtime/cpu/HalfKernelBodies.h"

const dsc::HalfKernels dsc::halfKernelsAvx2 = {widenAny, narrowAny};
