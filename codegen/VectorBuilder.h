// A builder for the bodies of kernels, the same for every target: vectors of a few lanes, cached
// constants, structured loops. Everything it emits is either an exact operation or part of one op's
// expansion, so fused kernels keep every bit. Memory, calls of libm and what a machine computes by
// itself are the target's (codegen/cpu/CpuBuilder, codegen/cuda/CudaBuilder).

#ifndef DSC_CODEGEN_VECTORBUILDER_H
#define DSC_CODEGEN_VECTORBUILDER_H

#include "ir/Dialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace dsc {

/// The type of an element in memory: booleans are bytes, integers have no sign.
mlir::Type storageType(mlir::Type element);

/// The type in which kernels compute with an element: f32 for the half types, i1 for booleans.
mlir::Type computeType(mlir::Type element);

/// Whether `element` is an integer whose operations are unsigned (booleans are).
bool isUnsignedElement(mlir::Type element);

/// Functions that a target may compute in a way of its own.
enum class Native { exp, log, tanh, reciprocal, rsqrt, divide, remainder };

class VectorBuilder : public mlir::ImplicitLocOpBuilder {
public:
  /// Builds at the start of `function`'s body, where it also keeps its constants. Vectors have
  /// `lanes` elements.
  VectorBuilder(mlir::Location loc, mlir::FunctionOpInterface function, int64_t lanes);
  virtual ~VectorBuilder() = default;

  int64_t laneCount() const { return lanes_; }
  /// The vector of laneCount() elements of `element`.
  mlir::VectorType vectorOf(mlir::Type element) const;

  /// While set, the target may compute with the few digits more than a half type has: what is
  /// emitted is rounded to one, or belongs to an op on them. A property of the op, not of its
  /// kernel.
  bool isApproximate() const { return approximate_; }
  void setApproximate(bool approximate) { approximate_ = approximate; }

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
  mlir::Value reciprocal(mlir::Value a);
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
  llvm::SmallVector<mlir::Value>
  loop(mlir::Value lower, mlir::Value upper, mlir::Value step, mlir::ValueRange carried,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)> body);
  void loop(mlir::Value lower, mlir::Value upper, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  void loop(mlir::Value lower, mlir::Value upper, mlir::Value step,
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
  virtual mlir::Value libm(llvm::StringRef name, mlir::ValueRange operands) = 0;
  /// `function` by the target's own means, correctly to a few ulp (to what isApproximate() allows);
  /// null where it has none and the expansion of EmitMath serves.
  virtual mlir::Value native(Native function, mlir::ValueRange operands) { return {}; }

  // Memory. `memory` holds elements of the storage type of `element`; a null mask means all lanes.
  // Masked-off lanes read as 1. Values are of the compute type.
  virtual mlir::Value loadVector(mlir::Type element, mlir::Value memory, mlir::Value offset,
                                 mlir::Value mask) = 0;
  virtual mlir::Value loadScalar(mlir::Type element, mlir::Value memory, mlir::Value offset) = 0;
  virtual void storeVector(mlir::Type element, mlir::Value value, mlir::Value memory,
                           mlir::Value offset, mlir::Value mask) = 0;
  virtual void storeScalar(mlir::Type element, mlir::Value value, mlir::Value memory,
                           mlir::Value offset) = 0;

  /// `value`, scalar or vector of f32, rounded to the half type `element`; unchanged for other
  /// types.
  virtual mlir::Value roundTo(mlir::Type element, mlir::Value value);

  /// The bits that `value`, of compute type, has as an element `from`, as an element `to`.
  mlir::Value bitcast(mlir::Type from, mlir::Type to, mlir::Value value);

protected:
  /// The type that an element has between toStorage and fromStorage.
  virtual mlir::Type storedType(mlir::Type element) { return storageType(element); }
  /// Between the compute type and the storage type of `element`, scalars and vectors.
  virtual mlir::Value toStorage(mlir::Type element, mlir::Value value);
  virtual mlir::Value fromStorage(mlir::Type element, mlir::Value value);
  /// `type` with its element, or itself where scalar, replaced by `element`.
  static mlir::Type withElement(mlir::Type type, mlir::Type element);

  mlir::FunctionOpInterface function() { return function_; }
  /// Puts `op` before everything but other such ops, once for the whole function.
  template <typename OpT, typename... Args> OpT createAtEntry(Args &&...args) {
    InsertionGuard guard(*this);
    if (lastAtEntry_) {
      setInsertionPointAfter(lastAtEntry_);
    } else {
      setInsertionPointToStart(&function_.getFunctionBody().front());
    }
    auto op = create<OpT>(std::forward<Args>(args)...);
    lastAtEntry_ = op;
    return op;
  }
  void setLaneCount(int64_t lanes) { lanes_ = lanes; }

private:
  mlir::FunctionOpInterface function_;
  int64_t lanes_;
  bool approximate_ = false;
  mlir::Operation *lastAtEntry_ = nullptr;
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants_;
};

} // namespace dsc

#endif // DSC_CODEGEN_VECTORBUILDER_H
