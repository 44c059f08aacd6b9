// Loops kernels: what the families share, and the choice among them.

#include "codegen/EmitElementwise.h"
#include "codegen/cpu/EmitLoops.h"
#include "codegen/cpu/Schedules.h"

#include "runtime/abi.h"

using namespace mlir;
using namespace dsc;

LoopKernel::LoopKernel(KernelOp kernel, func::FuncOp function)
    : b(kernel.getLoc(), function), op_(&kernel.getBody().front().front()),
      arguments_(function.getArguments()), operands_(kernel.getInputs().size()),
      begin_(arguments_[arguments_.size() - 2]), end_(arguments_.back()) {}

Value LoopKernel::operandMemory(unsigned i) const {
  return arguments_[cast<BlockArgument>(op_->getOperand(i)).getArgNumber()];
}

Value LoopKernel::resultMemory(unsigned i) const {
  Operation *yield = op_->getBlock()->getTerminator();
  auto it = llvm::find(yield->getOperands(), op_->getResult(i));
  return arguments_[operands_ + std::distance(yield->operand_begin(), it)];
}

void LoopKernel::forVectors(int64_t count, llvm::function_ref<void(Value, Value)> body) {
  int64_t full = count / DSC_LANES * DSC_LANES;
  if (full > 0) {
    b.loop(b.index(0), b.index(full), DSC_LANES, [&](Value i) { body(i, Value()); });
  }
  if (full < count) {
    body(b.index(full), b.maskOf(count - full));
  }
}

void LoopKernel::copyRun(unsigned operand, Value from, Value to, int64_t count) {
  if (count == 1) {
    return storeStored(loadStored(operand, from), to);
  }
  VectorType type = b.vectorOf(memoryType(operandElement(operand)));
  forVectors(count, [&](Value i, Value mask) {
    Value source = b.addIndex(from, i), target = b.addIndex(to, i);
    if (mask) {
      Value zero = b.create<arith::ConstantOp>(b.getZeroAttr(type));
      Value value = b.create<vector::MaskedLoadOp>(type, operandMemory(operand), ValueRange(source),
                                                   mask, zero);
      b.create<vector::MaskedStoreOp>(resultMemory(), ValueRange(target), mask, value);
    } else {
      Value value = b.create<vector::LoadOp>(type, operandMemory(operand), ValueRange(source));
      b.create<vector::StoreOp>(value, resultMemory(), ValueRange(target));
    }
  });
}

void LoopKernel::fillRun(Value value, Value to, int64_t count) {
  Value vector = b.splat(value);
  forVectors(count, [&](Value i, Value mask) {
    b.create<vector::MaskedStoreOp>(resultMemory(), ValueRange(b.addIndex(to, i)),
                                    mask ? mask : b.maskOf(DSC_LANES), vector);
  });
}

Value LoopKernel::loadStored(unsigned operand, Value offset) {
  return b.create<memref::LoadOp>(operandMemory(operand), ValueRange(offset));
}

void LoopKernel::storeStored(Value value, Value offset) {
  b.create<memref::StoreOp>(value, resultMemory(), ValueRange(offset));
}

Value LoopKernel::loadIndex(unsigned operand, Value offset, int64_t size) {
  return emitIndex(b, operandElement(operand), loadStored(operand, offset), size);
}

FailureOr<SmallVector<KernelLaunch>> dsc::scheduleLoops(KernelOp kernel, ModuleOp module,
                                                        StringRef name) {
  Block &block = kernel.getBody().front();
  if (block.getOperations().size() != 2) {
    return kernel.emitOpError("of kind loops has ")
           << block.getOperations().size() - 1 << " ops; it must be one";
  }
  func::FuncOp function = createKernelFunction(module, name, kernel);
  Operation &op = block.front();
  if (llvm::all_of(op.getResultTypes(),
                   [](Type type) { return cast<RankedTensorType>(type).getNumElements() == 0; })) {
    return SmallVector<KernelLaunch>{{name.str(), 0, 1}};
  }
  LoopKernel loops(kernel, function);
  for (auto emit :
       {emitShapeLoops, emitIndexingLoops, emitReductionLoops, emitPoolingLoops, emitRandomLoops}) {
    if (std::optional<LoopUnits> units = emit(loops)) {
      return SmallVector<KernelLaunch>{
          {name.str(), units->units, launchGrain(kernel, units->bytesPerUnit)}};
    }
  }
  return op.emitOpError("has no CPU code as a kernel of plain loops");
}
