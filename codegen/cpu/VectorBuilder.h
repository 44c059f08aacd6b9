// A builder for the bodies of CPU kernels: vectors of DSC_LANES elements, cached constants, libm
// calls lane by lane. Everything it emits is either an exact operation or part of one op's
// expansion, so fused kernels keep every bit.

#ifndef DSC_CODEGEN_CPU_VECTORBUILDER_H
#define DSC_CODEGEN_CPU_VECTORBUILDER_H

#include "ir/Dialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace dsc {

/// The type of an element in memory: booleans are bytes, integers have no sign.
mlir::Type storageType(mlir::Type element);

/// The type in which kernels compute with an element: f32 for the half types, i1 for booleans.
mlir::Type computeType(mlir::Type element);

/// Whether `element` is an integer whose operations are unsigned (booleans are).
bool isUnsignedElement(mlir::Type element);

class VectorBuilder : public mlir::ImplicitLocOpBuilder {
public:
  /// Builds at the start of `function`'s body, where it also keeps its constants.
  VectorBuilder(mlir::Location loc, mlir::func::FuncOp function);

  /// The vector of DSC_LANES elements of `element`.
  static mlir::VectorType vectorOf(mlir::Type element);

  mlir::Value index(int64_t value);
  /// A scalar or splat constant of `type`, a float, integer, index or vector of them.
  mlir::Value constant(mlir::Type type, double value);
  mlir::Value constantInt(mlir::Type type, int64_t value);
  mlir::Value constantAttr(mlir::TypedAttr attr);

  // Arithmetic on index, integer or float operands of one type.
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  mlir::Value neg(mlir::Value a);
  mlir::Value abs(mlir::Value a);
  mlir::Value add(mlir::Value a, double b) { return add(a, constant(a.getType(), b)); }
  mlir::Value mul(mlir::Value a, double b) { return mul(a, constant(a.getType(), b)); }
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value cmpf(mlir::arith::CmpFPredicate predicate, mlir::Value a, mlir::Value b);
  mlir::Value cmpf(mlir::arith::CmpFPredicate predicate, mlir::Value a, double b) {
    return cmpf(predicate, a, constant(a.getType(), b));
  }
  mlir::Value cmpi(mlir::arith::CmpIPredicate predicate, mlir::Value a, mlir::Value b);
  /// c0 + x c1 + x^2 c2 + ..
  mlir::Value polynomial(mlir::Value x, llvm::ArrayRef<double> coefficients);

  // Index arithmetic; operands are not negative. Constants fold.
  mlir::Value addIndex(mlir::Value a, mlir::Value b);
  mlir::Value mulIndex(mlir::Value a, int64_t b);
  mlir::Value divIndex(mlir::Value a, int64_t b);
  mlir::Value remIndex(mlir::Value a, int64_t b);
  mlir::Value minIndex(mlir::Value a, mlir::Value b);
  /// The coordinates of flat index `flat` in `dims`, row-major.
  llvm::SmallVector<mlir::Value> delinearize(mlir::Value flat, llvm::ArrayRef<int64_t> dims);

  /// for (i = lower; i < upper; i += step) with carried values. `body` returns their next values.
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value lower, mlir::Value upper, int64_t step, mlir::ValueRange carried,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body);
  void loop(mlir::Value lower, mlir::Value upper, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  void loop(int64_t upper, llvm::function_ref<void(mlir::Value)> body) {
    loop(index(0), index(upper), 1, body);
  }
  void ifThen(mlir::Value condition, llvm::function_ref<void()> body);

  /// Scalar `value` in all lanes.
  mlir::Value splat(mlir::Value value);
  mlir::Value extractLane(mlir::Value vector, int64_t lane);
  /// 0, 1, 2, .. of an integer vector type.
  mlir::Value lanes(mlir::VectorType type);
  /// The first `count` lanes.
  mlir::Value maskOf(int64_t count);
  /// The first `count` lanes of an index that may be negative or large.
  mlir::Value maskBelow(mlir::Value count);

  /// Calls libm's function `name` (f64; f32 with an `f` appended) on scalars, or on each lane of
  /// vectors.
  mlir::Value libm(llvm::StringRef name, mlir::ValueRange operands);

  /// A buffer of `elements` of `element` on the stack, for the whole call.
  mlir::Value stackBuffer(mlir::Type element, int64_t elements);

  // Memory. `memory` is a flat memref of the storage type of `element`; a null mask means all
  // lanes. Masked-off lanes read as 1. Values are of the compute type.
  mlir::Value loadVector(mlir::Type element, mlir::Value memory, mlir::Value offset,
                         mlir::Value mask);
  mlir::Value loadScalar(mlir::Type element, mlir::Value memory, mlir::Value offset);
  void storeVector(mlir::Type element, mlir::Value value, mlir::Value memory, mlir::Value offset,
                   mlir::Value mask);
  void storeScalar(mlir::Type element, mlir::Value value, mlir::Value memory, mlir::Value offset);

  /// `value`, scalar or vector of f32, rounded to the half type `element`; unchanged for other
  /// types.
  mlir::Value roundTo(mlir::Type element, mlir::Value value);

private:
  mlir::Value toStorage(mlir::Type element, mlir::Value value);
  mlir::Value fromStorage(mlir::Type element, mlir::Value value);

  mlir::func::FuncOp function_;
  mlir::Operation *lastConstant_ = nullptr;
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants_;
};

} // namespace dsc

#endif // DSC_CODEGEN_CPU_VECTORBUILDER_H
