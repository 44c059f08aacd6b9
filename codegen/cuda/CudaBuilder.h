// The builder of CUDA kernels: short vectors a thread in pointers of the global and shared address
// spaces, the machine's approximations, shuffles and barriers. Kernels are functions of one module,
// @kernels.

#ifndef DSC_CODEGEN_CUDA_CUDABUILDER_H
#define DSC_CODEGEN_CUDA_CUDABUILDER_H

#include "codegen/VectorBuilder.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace dsc::cuda {

constexpr int64_t kWarp = 32;
/// Bytes that one access of a thread moves at most.
constexpr int64_t kAccessBytes = 16;
/// Attribute of a kernel's function: bytes of shared memory that a launch asks for.
constexpr llvm::StringLiteral kSharedBytes = "dsc.shared_bytes";

class CudaBuilder final : public VectorBuilder {
public:
  CudaBuilder(mlir::Location loc, mlir::gpu::GPUFuncOp function, int64_t lanes);

  using VectorBuilder::setLaneCount;

  mlir::Value threadIndex() { return thread_; }
  mlir::Value blockIndex() { return block_; }
  mlir::Value blockCount();

  /// A vector of one lane as one of laneCount() equal ones; others as they are.
  mlir::Value widen(mlir::Value vector);
  /// A scalar as a vector of one lane.
  mlir::Value single(mlir::Value scalar);

  /// For each lane of vectors, or for scalars.
  mlir::Value
  forEachLane(mlir::ValueRange operands,
              llvm::function_ref<mlir::Value(llvm::ArrayRef<mlir::Value> scalars)> body);

  /// The scalar that the thread `lane ^ offset` of the warp holds; all threads of the warp call it.
  mlir::Value shuffleXor(mlir::Value scalar, int64_t offset);
  /// The integer that the warp's thread `lane` holds; all threads of the warp call it.
  mlir::Value shuffleFrom(mlir::Value integer, mlir::Value lane);
  /// The scalar that the warp's thread 0 holds.
  mlir::Value shuffleFirst(mlir::Value scalar);
  /// All threads of the block reach it, and see what the others stored before.
  void barrier();

  /// Shared memory of a block for `elements` of `element` (of the storage type).
  mlir::Value sharedBuffer(mlir::Type element, int64_t elements);

  /// Shared memory of a block of a size that only a launch can ask for: more than the 48 KiB that
  /// functions may have of their own. Once a function; the launch learns `bytes` from it.
  mlir::Value dynamicSharedBuffer(int64_t bytes);

  /// Says that the addresses of `memory` are multiples of `bytes` only, where offsets are multiples
  /// of laneCount(). Without it, slots' alignment.
  void setAlignment(mlir::Value memory, int64_t bytes) { alignments_[memory] = bytes; }

  mlir::Value libm(llvm::StringRef name, mlir::ValueRange operands) override;
  mlir::Value native(Native function, mlir::ValueRange operands) override;

  // `memory` is a pointer; offsets are elements, of vectors multiples of laneCount(). There are no
  // masks.
  mlir::Value loadVector(mlir::Type element, mlir::Value memory, mlir::Value offset,
                         mlir::Value mask = {}) override;
  mlir::Value loadScalar(mlir::Type element, mlir::Value memory, mlir::Value offset) override;
  void storeVector(mlir::Type element, mlir::Value value, mlir::Value memory, mlir::Value offset,
                   mlir::Value mask = {}) override;
  void storeScalar(mlir::Type element, mlir::Value value, mlir::Value memory,
                   mlir::Value offset) override;

  /// `stored`, but for the compiler a value of its own: what was computed from it before is
  /// computed again from the result, instead of staying in registers.
  mlir::Value pin(mlir::Value stored);
  /// The same bits in words of 32, where they fill them: what a loop carries stays in registers of
  /// that width. And back to `type`.
  mlir::Value toWords(mlir::Value stored);
  mlir::Value fromWords(mlir::Type type, mlir::Value words);
  mlir::Value roundTo(mlir::Type element, mlir::Value value) override;
  /// What a load of `element` does beside memory.
  mlir::Value fromStored(mlir::Type element, mlir::Value stored);

  /// Elements as they are stored, for copies: scalars or vectors of `type`.
  mlir::Value loadStored(mlir::Type type, mlir::Value memory, mlir::Value offset);
  void storeStored(mlir::Value value, mlir::Value memory, mlir::Value offset);

protected:
  mlir::Value toStorage(mlir::Type element, mlir::Value value) override;

private:
  mlir::Value address(mlir::Type stored, mlir::Value memory, mlir::Value offset);
  unsigned alignmentOf(mlir::Type type, mlir::Value memory) const;
  mlir::Value sharedGlobal(mlir::Type element, int64_t elements, mlir::LLVM::Linkage linkage,
                           llvm::StringRef suffix);
  mlir::Value shuffle(mlir::Value scalar, int64_t lane, mlir::gpu::ShuffleMode mode);
  mlir::Value intrinsic(llvm::StringRef name, mlir::Type type, mlir::ValueRange operands);
  mlir::Value assembly(llvm::StringRef text, llvm::StringRef constraints, mlir::Type type,
                       mlir::ValueRange operands);
  mlir::Value exponential(mlir::Value x);

  mlir::Value thread_, block_;
  llvm::DenseMap<mlir::Value, int64_t> alignments_;
  /// Of values that were half a moment ago, what is stored of them.
  llvm::DenseMap<mlir::Value, mlir::Value> stored_;
  int64_t buffers_ = 0;
};

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_CUDABUILDER_H
