// Signatures of kernels, and what the memory plan says of their arguments.

#include "codegen/cuda/KernelFunction.h"

#include "runtime/abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace dsc;

/// Whether all offsets in `kernel` fit 32 bits with a sign.
static bool hasNarrowOffsets(KernelOp kernel) {
  auto isNarrow = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getNumElements() < (1ll << 31);
  };
  int64_t points = 1;
  for (int64_t size : kernel.getDomain()) {
    points *= size;
  }
  return points < (1ll << 31) && static_cast<int64_t>(kernel.getScratch()) < (1ll << 31) &&
         llvm::all_of(kernel.getInputs(), isNarrow) && llvm::all_of(kernel.getResults(), isNarrow);
}

gpu::GPUModuleOp cuda::kernelModule(ModuleOp module, StringRef name) {
  if (auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(name)) {
    return kernels;
  }
  return OpBuilder::atBlockEnd(module.getBody()).create<gpu::GPUModuleOp>(module.getLoc(), name);
}

gpu::GPUFuncOp cuda::createFunction(gpu::GPUModuleOp kernels, Location loc, StringRef name,
                                    ArrayRef<Type> parameters, int64_t threads) {
  OpBuilder builder(kernels.getBody()->getTerminator());
  auto function =
      builder.create<gpu::GPUFuncOp>(loc, name, builder.getFunctionType(parameters, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  function->setAttr("nvvm.maxntid",
                    builder.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));
  builder.setInsertionPointToEnd(&function.getBody().front());
  builder.create<gpu::ReturnOp>(loc);
  return function;
}

gpu::GPUFuncOp cuda::createKernelFunction(ModuleOp module, StringRef name, KernelOp kernel,
                                          int64_t threads, int64_t residentBlocks) {
  gpu::GPUModuleOp kernels =
      kernelModule(module, hasNarrowOffsets(kernel) ? kKernelModule : kWideKernelModule);
  size_t arguments =
      kernel.getInputs().size() + kernel.getNumResults() + (kernel.getScratch() > 0 ? 1 : 0);
  // Address space 1: global memory.
  SmallVector<Type> types(arguments, LLVM::LLVMPointerType::get(module.getContext(), 1));
  if (kernel.getOwnedChunks()) {
    types.append(2, IntegerType::get(module.getContext(), 64));
  }
  gpu::GPUFuncOp function = createFunction(kernels, kernel.getLoc(), name, types, threads);
  if (residentBlocks > 1) {
    function->setAttr("nvvm.minctasm",
                      IntegerAttr::get(IntegerType::get(module.getContext(), 32), residentBlocks));
  }
  return function;
}

cuda::OwnedChunks::OwnedChunks(CudaBuilder &b, gpu::GPUFuncOp function) {
  auto argument = [&](unsigned fromEnd) -> Value {
    Value wide = function.getArgument(function.getNumArguments() - fromEnd);
    return b.create<arith::IndexCastOp>(b.getIndexType(), wide);
  };
  begin = argument(2);
  end = argument(1);
}

/// The slot of operand `value`; null in a program without a plan.
static SlotAttr slotOf(Value value) {
  if (auto result = dyn_cast<OpResult>(value)) {
    auto slots = result.getOwner()->getAttrOfType<ArrayAttr>("dsc.slots");
    return slots ? cast<SlotAttr>(slots[result.getResultNumber()]) : SlotAttr();
  }
  auto argument = cast<BlockArgument>(value);
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return function ? function.getArgAttrOfType<SlotAttr>(argument.getArgNumber(), "dsc.slot")
                  : SlotAttr();
}

static int64_t alignmentOf(Value value) {
  SlotAttr slot = slotOf(value);
  int64_t offset = slot ? slot.getOffset() : 0;
  return offset == 0 ? DSC_ALIGNMENT : std::min<int64_t>(offset & -offset, DSC_ALIGNMENT);
}

void cuda::setSlotAlignments(CudaBuilder &b, KernelOp kernel, gpu::GPUFuncOp function) {
  unsigned number = 0;
  auto set = [&](Value value) {
    b.setAlignment(function.getArgument(number++), alignmentOf(value));
  };
  llvm::for_each(kernel.getInputs(), set);
  llvm::for_each(kernel.getResults(), set);
}

std::string cuda::placementKey(KernelOp kernel) {
  std::string key;
  auto add = [&](Value value) {
    int64_t alignment = std::min(alignmentOf(value), kAccessBytes);
    key += alignment < kAccessBytes ? " " + std::to_string(alignment) : " .";
  };
  llvm::for_each(kernel.getInputs(), add);
  llvm::for_each(kernel.getResults(), add);
  return key;
}
