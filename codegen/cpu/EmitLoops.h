// Loops kernels: one op as loops over its result, a family a file. Results never lie where operands
// do.

#ifndef DSC_CODEGEN_CPU_EMITLOOPS_H
#define DSC_CODEGEN_CPU_EMITLOOPS_H

#include "codegen/cpu/CpuBuilder.h"

#include "ir/Evaluate.h"

namespace dsc {

/// How a loops kernel is cut: `units` independent pieces that move about `bytesPerUnit` bytes each.
struct LoopUnits {
  int64_t units = 0, bytesPerUnit = 1;
};

/// The function of a loops kernel while it is emitted: memory of the op's operands and results,
/// units begin to end.
class LoopKernel {
public:
  LoopKernel(KernelOp kernel, mlir::func::FuncOp function);

  CpuBuilder b;

  mlir::Operation *op() const { return op_; }
  mlir::Value begin() const { return begin_; }
  mlir::Value end() const { return end_; }

  llvm::ArrayRef<int64_t> operandShape(unsigned i) const {
    return typeOf(op_->getOperand(i)).getShape();
  }
  llvm::ArrayRef<int64_t> resultShape(unsigned i = 0) const {
    return typeOf(op_->getResult(i)).getShape();
  }
  mlir::Type operandElement(unsigned i) const {
    return typeOf(op_->getOperand(i)).getElementType();
  }
  mlir::Type resultElement(unsigned i = 0) const {
    return typeOf(op_->getResult(i)).getElementType();
  }
  mlir::Value operandMemory(unsigned i) const;
  mlir::Value resultMemory(unsigned i = 0) const;

  /// for each unit of the call
  void forUnits(llvm::function_ref<void(mlir::Value)> body) { b.loop(begin_, end_, 1, body); }

  mlir::Value load(unsigned operand, mlir::Value offset) {
    return b.loadScalar(operandElement(operand), operandMemory(operand), offset);
  }
  void store(mlir::Value value, mlir::Value offset, unsigned result = 0) {
    b.storeScalar(resultElement(result), value, resultMemory(result), offset);
  }

  /// Copies `count` contiguous elements of an operand to result 0, bit for bit.
  void copyRun(unsigned operand, mlir::Value from, mlir::Value to, int64_t count);
  /// Writes `value`, a scalar of the storage type, `count` times to result 0.
  void fillRun(mlir::Value value, mlir::Value to, int64_t count);
  /// Elements as they are stored, for copies.
  mlir::Value loadStored(unsigned operand, mlir::Value offset);
  void storeStored(mlir::Value value, mlir::Value offset);

  /// Calls `body` for each vector of `count` elements with its first index and mask (null for whole
  /// ones).
  void forVectors(int64_t count, llvm::function_ref<void(mlir::Value, mlir::Value)> body);

  /// The index that operand `operand` holds at `offset`, for a dimension of `size`: negative ones
  /// count from the end, and whatever is still outside is moved to the nearest element.
  mlir::Value loadIndex(unsigned operand, mlir::Value offset, int64_t size);

private:
  static mlir::RankedTensorType typeOf(mlir::Value value) {
    return llvm::cast<mlir::RankedTensorType>(value.getType());
  }

  mlir::Operation *op_;
  mlir::ValueRange arguments_;
  unsigned operands_;
  mlir::Value begin_, end_;
};

// One function a family: the units of `kernel`'s op, emitted, or nothing where the op is of another
// family.
std::optional<LoopUnits> emitShapeLoops(LoopKernel &kernel);
std::optional<LoopUnits> emitIndexingLoops(LoopKernel &kernel);
std::optional<LoopUnits> emitReductionLoops(LoopKernel &kernel);
std::optional<LoopUnits> emitPoolingLoops(LoopKernel &kernel);
std::optional<LoopUnits> emitRandomLoops(LoopKernel &kernel);

} // namespace dsc

#endif // DSC_CODEGEN_CPU_EMITLOOPS_H
