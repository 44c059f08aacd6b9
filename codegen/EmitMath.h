// Elementary functions on f32 vectors, expanded to polynomials of our own (errors of 1 to 3 ulp)
// where the target has nothing better (VectorBuilder::native), and on f64 by libm. The expansions
// give the same bits everywhere: only IEEE operations, fma and integer arithmetic are used.

#ifndef DSC_CODEGEN_EMITMATH_H
#define DSC_CODEGEN_EMITMATH_H

#include "codegen/VectorBuilder.h"

namespace dsc {

mlir::Value emitExp(VectorBuilder &b, mlir::Value x);
mlir::Value emitExpm1(VectorBuilder &b, mlir::Value x);
mlir::Value emitLog(VectorBuilder &b, mlir::Value x);
mlir::Value emitLog1p(VectorBuilder &b, mlir::Value x);
mlir::Value emitRsqrt(VectorBuilder &b, mlir::Value x);
mlir::Value emitTanh(VectorBuilder &b, mlir::Value x);
mlir::Value emitErf(VectorBuilder &b, mlir::Value x);
mlir::Value emitSigmoid(VectorBuilder &b, mlir::Value x);
mlir::Value emitSoftplus(VectorBuilder &b, mlir::Value x);
mlir::Value emitSin(VectorBuilder &b, mlir::Value x);
mlir::Value emitCos(VectorBuilder &b, mlir::Value x);
mlir::Value emitTan(VectorBuilder &b, mlir::Value x);
/// x Phi(x), and dy (Phi(x) + x phi(x)), with Phi the normal distribution's integral.
mlir::Value emitGeluErf(VectorBuilder &b, mlir::Value x);
mlir::Value emitGeluErfGrad(VectorBuilder &b, mlir::Value x, mlir::Value dy);
/// The forms with tanh: x s and dy (s + x s'), with s = (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
/// / 2.
mlir::Value emitGeluTanh(VectorBuilder &b, mlir::Value x);
mlir::Value emitGeluTanhGrad(VectorBuilder &b, mlir::Value x, mlir::Value dy);
mlir::Value emitPow(VectorBuilder &b, mlir::Value x, mlir::Value y);

} // namespace dsc

#endif // DSC_CODEGEN_EMITMATH_H
