// Loops kernels: one op, a few result elements a thread, a family a file. Results never lie where
// operands do. Whatever adds adds in an order that follows from positions.

#ifndef DSC_CODEGEN_CUDA_EMITLOOPS_H
#define DSC_CODEGEN_CUDA_EMITLOOPS_H

#include "codegen/LoopGeometry.h"
#include "codegen/OutlineKernels.h"
#include "codegen/cuda/CudaBuilder.h"
#include "codegen/cuda/RowLayout.h"

namespace dsc::cuda {

/// The function of a loops kernel while it is emitted.
class LoopKernel {
public:
  LoopKernel(KernelOp kernel, mlir::gpu::GPUFuncOp function, int64_t threads);

  CudaBuilder b;

  mlir::Operation *op() const { return op_; }
  int64_t threads() const { return threads_; }

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

  /// Runs `body` in a thread for each of `count` items; returns the number of blocks.
  int64_t forItems(int64_t count, llvm::function_ref<void(mlir::Value)> body);

  mlir::Value load(unsigned operand, mlir::Value offset) {
    return b.loadScalar(operandElement(operand), operandMemory(operand), offset);
  }
  void store(mlir::Value value, mlir::Value offset, unsigned result = 0) {
    b.storeScalar(resultElement(result), value, resultMemory(result), offset);
  }
  /// Elements as they are stored: a scalar, or `lanes` of them from a multiple of `lanes` on.
  mlir::Value loadStored(unsigned operand, mlir::Value offset, int64_t lanes = 1);
  void storeStored(mlir::Value value, mlir::Value offset);
  /// A stored element in all of `lanes`.
  mlir::Value repeat(mlir::Value stored, int64_t lanes);

  /// The index that operand `operand` holds at `offset`, for a dimension of `size`.
  mlir::Value loadIndex(unsigned operand, mlir::Value offset, int64_t size);

  /// The most elements of `operand` that one access may copy, where all of `sizes` are offsets,
  /// strides or lengths of runs.
  int64_t copyLanes(unsigned operand, llvm::ArrayRef<int64_t> sizes) const;

private:
  static mlir::RankedTensorType typeOf(mlir::Value value) {
    return llvm::cast<mlir::RankedTensorType>(value.getType());
  }

  mlir::Operation *op_;
  mlir::ValueRange arguments_;
  unsigned operands_;
  int64_t threads_;
};

// One function a family: the blocks of `kernel`'s op, emitted, or nothing where the op is of
// another family.
std::optional<int64_t> emitShapeLoops(LoopKernel &kernel);
std::optional<int64_t> emitIndexingLoops(LoopKernel &kernel);
std::optional<int64_t> emitReductionLoops(LoopKernel &kernel);
std::optional<int64_t> emitPoolingLoops(LoopKernel &kernel);
std::optional<int64_t> emitRandomLoops(LoopKernel &kernel);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_EMITLOOPS_H
