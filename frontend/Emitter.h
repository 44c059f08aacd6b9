// Makes dsc ops for the importer. Unlike OpBuilder, a wrong operand or attribute is a diagnostic
// and a null value, never an abort: models are user data. Every op is folded at once, so shape
// arithmetic becomes constants while it is imported. Null operands give null results: callers check
// once, at the end.

#ifndef DSC_FRONTEND_EMITTER_H
#define DSC_FRONTEND_EMITTER_H

#include "frontend/KnownValue.h"
#include "ir/Dialect.h"

#include "mlir/IR/Builders.h"

namespace dsc {

/// What folding may still cost, in elements read and written, and results that took a while, by op
/// and operands: @inference folds the same masks as @forward.
struct FoldMemo {
  llvm::DenseMap<mlir::Attribute, mlir::DenseElementsAttr> results;
  /// What comes later stays an op. Shape arithmetic has a budget of its own, so that no table can
  /// take it away.
  int64_t tables = int64_t(1) << 28, shapes = int64_t(1) << 28;
};

class Emitter {
public:
  /// Ops go to the end of `block`, constants and globals to its start.
  Emitter(mlir::Block *block, FoldMemo *memo = nullptr);

  mlir::Location loc;
  mlir::OpBuilder builder;

  mlir::InFlightDiagnostic error() { return mlir::emitError(loc); }

  //===--- Any op ---------------------------------------------------------===//

  /// All results of op `OpTy`, empty on failure. Types are inferred; `types` is for the ops that
  /// cannot.
  template <typename OpTy>
  mlir::SmallVector<mlir::Value> ops(mlir::ValueRange operands,
                                     mlir::ArrayRef<mlir::NamedAttribute> attributes = {},
                                     mlir::TypeRange types = {}) {
    return create(mlir::OperationName(OpTy::getOperationName(), builder.getContext()), operands,
                  attributes, types);
  }

  template <typename OpTy>
  mlir::Value op(mlir::ValueRange operands, mlir::ArrayRef<mlir::NamedAttribute> attributes = {},
                 mlir::TypeRange types = {}) {
    mlir::SmallVector<mlir::Value> results = ops<OpTy>(operands, attributes, types);
    return results.empty() ? mlir::Value() : results.front();
  }

  mlir::NamedAttribute attr(mlir::StringRef name, mlir::Attribute value) {
    return builder.getNamedAttr(name, value);
  }
  mlir::NamedAttribute ints(mlir::StringRef name, mlir::ArrayRef<int64_t> values) {
    return attr(name, builder.getDenseI64ArrayAttr(values));
  }
  mlir::NamedAttribute i64(mlir::StringRef name, int64_t value) {
    return attr(name, builder.getI64IntegerAttr(value));
  }
  mlir::NamedAttribute f64(mlir::StringRef name, double value) {
    return attr(name, builder.getF64FloatAttr(value));
  }
  mlir::NamedAttribute flag(mlir::StringRef name, bool value) {
    return attr(name, builder.getBoolAttr(value));
  }
  mlir::NamedAttribute segments(mlir::ArrayRef<int32_t> sizes) {
    return attr("operandSegmentSizes", builder.getDenseI32ArrayAttr(sizes));
  }

  //===--- Types and constants --------------------------------------------===//

  static mlir::RankedTensorType typeOf(mlir::Value value) {
    return mlir::cast<mlir::RankedTensorType>(value.getType());
  }
  static mlir::ArrayRef<int64_t> shapeOf(mlir::Value value) { return typeOf(value).getShape(); }
  static mlir::Type elementOf(mlir::Value value) { return typeOf(value).getElementType(); }
  static bool isFloat(mlir::Value value) { return mlir::isa<mlir::FloatType>(elementOf(value)); }
  static bool isBool(mlir::Value value) { return elementOf(value).isInteger(1); }

  mlir::Value constant(mlir::DenseElementsAttr value);
  mlir::Value splat(mlir::Type element, mlir::ArrayRef<int64_t> shape, double value);
  mlir::Value scalar(mlir::Type element, double value) { return splat(element, {}, value); }
  /// A scalar constant of x's element type.
  mlir::Value like(mlir::Value x, double value) {
    return x ? scalar(elementOf(x), value) : mlir::Value();
  }
  mlir::Value floatTensor(mlir::Type element, mlir::ArrayRef<double> values,
                          mlir::ArrayRef<int64_t> shape);
  /// Whether `elements` more may be computed while importing.
  bool spend(int64_t elements);
  mlir::Value intTensor(mlir::ArrayRef<int64_t> values, mlir::ArrayRef<int64_t> shape);

  /// The elements of a constant, null for any other value.
  static mlir::DenseElementsAttr constantOf(mlir::Value value);
  /// The elements of a value that is known while importing: a constant, or one that is repeated.
  static mlir::DenseElementsAttr knownElements(mlir::Value value);
  /// Elements of a known value of integers or booleans, nothing for any other value.
  static std::optional<mlir::SmallVector<int64_t>> intsOf(mlir::Value value);
  /// Elements of a known value of floats or integers.
  static std::optional<mlir::SmallVector<double>> numbersOf(mlir::Value value);

  mlir::Value getGlobal(mlir::StringRef name, mlir::RankedTensorType type);

  //===--- Elementwise ----------------------------------------------------===//

  template <typename OpTy> mlir::Value unary(mlir::Value x) { return op<OpTy>({x}); }
  template <typename OpTy> mlir::Value binary(mlir::Value lhs, mlir::Value rhs) {
    return op<OpTy>({lhs, rhs});
  }
  mlir::Value add(mlir::Value lhs, mlir::Value rhs) { return binary<AddOp>(lhs, rhs); }
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs) { return binary<SubOp>(lhs, rhs); }
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs) { return binary<MulOp>(lhs, rhs); }
  mlir::Value div(mlir::Value lhs, mlir::Value rhs) { return binary<DivOp>(lhs, rhs); }
  mlir::Value addScalar(mlir::Value x, double value) { return add(x, like(x, value)); }
  mlir::Value mulScalar(mlir::Value x, double value) { return mul(x, like(x, value)); }
  mlir::Value convert(mlir::Value x, mlir::Type element);
  mlir::Value compare(ComparePredicate predicate, mlir::Value lhs, mlir::Value rhs);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y) {
    return op<SelectOp>({condition, x, y});
  }

  //===--- Shape ----------------------------------------------------------===//

  mlir::Value reshape(mlir::Value x, mlir::ArrayRef<int64_t> shape);
  mlir::Value broadcast(mlir::Value x, mlir::ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Value x, mlir::ArrayRef<int64_t> permutation);
  mlir::Value slice(mlir::Value x, mlir::ArrayRef<int64_t> starts, mlir::ArrayRef<int64_t> sizes,
                    mlir::ArrayRef<int64_t> steps = {});
  /// Elements [start, start + size) along one axis.
  mlir::Value sliceAxis(mlir::Value x, int64_t axis, int64_t start, int64_t size, int64_t step = 1);
  mlir::Value pad(mlir::Value x, mlir::ArrayRef<int64_t> low, mlir::ArrayRef<int64_t> high,
                  double value, mlir::ArrayRef<int64_t> interior = {});
  mlir::Value concat(mlir::ValueRange operands, int64_t axis);
  mlir::Value gather(mlir::Value data, mlir::Value indices, int64_t axis);

  //===--- Reductions and contractions ------------------------------------===//

  mlir::Value reduce(ReduceKind kind, mlir::Value x, mlir::ArrayRef<int64_t> axes,
                     bool keepDims = true);
  mlir::Value mean(mlir::Value x, mlir::ArrayRef<int64_t> axes, bool keepDims = true);
  mlir::Value matmul(mlir::Value a, mlir::Value b, bool transposeA = false,
                     bool transposeB = false);

private:
  mlir::SmallVector<mlir::Value> create(mlir::OperationName name, mlir::ValueRange operands,
                                        mlir::ArrayRef<mlir::NamedAttribute> attributes,
                                        mlir::TypeRange types);
  mlir::Operation *lastPrologue = nullptr; // the last constant or global read at the block's start
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants;
  llvm::StringMap<mlir::Value> globals;
  DerivedValues derived;
  mlir::Block *block;
  FoldMemo *memo;
  mlir::Attribute memoKey(mlir::OperationName name, mlir::ValueRange operands,
                          mlir::Attribute attributes, mlir::Type result);
  mlir::Value narrowOperand(mlir::Value operand, const KnownValue &known,
                            mlir::ArrayRef<int64_t> shape);
  mlir::Value createNarrow(mlir::OperationName name, mlir::ValueRange operands,
                           mlir::DictionaryAttr attributes, mlir::RankedTensorType type,
                           bool isInferred);
  void insertPrologue(mlir::Operation *op);
};

} // namespace dsc

#endif // DSC_FRONTEND_EMITTER_H
