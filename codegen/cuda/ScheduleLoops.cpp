// Loops kernels: what the families share, and the choice among them.

#include "codegen/EmitElementwise.h"
#include "codegen/cuda/EmitLoops.h"
#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Schedules.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using dsc::cuda::LoopKernel;

LoopKernel::LoopKernel(KernelOp kernel, gpu::GPUFuncOp function, int64_t threads)
    : b(kernel.getLoc(), function, 1), op_(&kernel.getBody().front().front()),
      arguments_(function.getArguments()), operands_(kernel.getInputs().size()), threads_(threads) {
  setSlotAlignments(b, kernel, function);
}

Value LoopKernel::operandMemory(unsigned i) const {
  return arguments_[cast<BlockArgument>(op_->getOperand(i)).getArgNumber()];
}

Value LoopKernel::resultMemory(unsigned i) const {
  Operation *yield = op_->getBlock()->getTerminator();
  auto it = llvm::find(yield->getOperands(), op_->getResult(i));
  return arguments_[operands_ + std::distance(yield->operand_begin(), it)];
}

int64_t LoopKernel::forItems(int64_t count, llvm::function_ref<void(Value)> body) {
  Value item = b.addIndex(b.mulIndex(b.blockIndex(), threads_), b.threadIndex());
  if (count % threads_ == 0) {
    body(item);
  } else {
    b.ifThen(b.cmpi(arith::CmpIPredicate::ult, item, b.index(count)), [&] { body(item); });
  }
  return llvm::divideCeil(count, threads_);
}

static Type storedVector(Type element, int64_t lanes) {
  Type stored = storageType(element);
  return lanes == 1 ? stored : VectorType::get({lanes}, stored);
}

Value LoopKernel::loadStored(unsigned operand, Value offset, int64_t lanes) {
  return b.loadStored(storedVector(operandElement(operand), lanes), operandMemory(operand), offset);
}

void LoopKernel::storeStored(Value value, Value offset) {
  b.storeStored(value, resultMemory(), offset);
}

Value LoopKernel::repeat(Value stored, int64_t lanes) {
  return lanes == 1 ? stored
                    : b.create<vector::SplatOp>(VectorType::get({lanes}, stored.getType()), stored)
                          .getResult();
}

Value LoopKernel::loadIndex(unsigned operand, Value offset, int64_t size) {
  return emitIndex(b, operandElement(operand), loadStored(operand, offset), size);
}

int64_t LoopKernel::copyLanes(unsigned operand, ArrayRef<int64_t> sizes) const {
  int64_t lanes = kAccessBytes / elementBytes(operandElement(operand));
  while (lanes > 1 && llvm::any_of(sizes, [&](int64_t size) { return size % lanes != 0; })) {
    lanes /= 2;
  }
  return lanes;
}

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleLoops(KernelOp kernel, ModuleOp module,
                                                         StringRef name) {
  Block &block = kernel.getBody().front();
  if (block.getOperations().size() != 2) {
    return kernel.emitOpError("of kind loops has ")
           << block.getOperations().size() - 1 << " ops; it must be one";
  }
  Operation &op = block.front();
  if (auto grad = dyn_cast<GatherGradOp>(op); grad && grad.getDdata().getType().getNumElements()) {
    return scheduleGatherGrad(kernel, grad, module, name);
  }
  int64_t threads = kBlockThreads;
  LoopKernel loops(kernel, createKernelFunction(module, name, kernel, threads), threads);
  if (llvm::all_of(op.getResultTypes(),
                   [](Type type) { return cast<RankedTensorType>(type).getNumElements() == 0; })) {
    return SmallVector<KernelLaunch>{{name.str(), 0, threads}};
  }
  for (auto emit :
       {emitShapeLoops, emitIndexingLoops, emitReductionLoops, emitPoolingLoops, emitRandomLoops}) {
    if (std::optional<int64_t> blocks = emit(loops)) {
      return SmallVector<KernelLaunch>{{name.str(), *blocks, threads}};
    }
  }
  return op.emitOpError("has no CUDA code as a kernel of plain loops");
}
