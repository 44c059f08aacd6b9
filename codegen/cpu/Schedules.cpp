// What all schedules share: function signatures, grains, and the choice by kind.

#include "codegen/cpu/Schedules.h"

#include "codegen/EmitElementwise.h"

#include "codegen/cpu/CpuBuilder.h"
#include "ir/CpuTarget.h"

using namespace mlir;
using namespace dsc;

func::FuncOp dsc::createKernelFunction(ModuleOp module, StringRef name, KernelOp kernel) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  SmallVector<Type> types;
  auto flat = [&](Value tensor) {
    auto type = cast<RankedTensorType>(tensor.getType());
    types.push_back(MemRefType::get({type.getNumElements()}, memoryType(type.getElementType())));
  };
  llvm::for_each(kernel.getInputs(), flat);
  llvm::for_each(kernel.getResults(), flat);
  if (int64_t scratch = kernel.getScratch()) {
    types.push_back(MemRefType::get({scratch}, builder.getI8Type()));
  }
  types.append({builder.getIndexType(), builder.getIndexType()});
  auto function =
      builder.create<func::FuncOp>(kernel.getLoc(), name, builder.getFunctionType(types, {}));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToEnd(block);
  builder.create<func::ReturnOp>(kernel.getLoc());
  return function;
}

int64_t dsc::launchGrain(KernelOp kernel, int64_t bytes) {
  int64_t weight = 1;
  for (Operation &op : kernel.getBody().front()) {
    weight += isExpensive(&op);
  }
  int64_t target = makeCpuTarget()->grainBytes();
  return std::max<int64_t>(1, target / std::max<int64_t>(1, bytes * weight));
}

int64_t dsc::bytesPerElement(const KernelSpace &space) {
  int64_t bytes = 0;
  auto count = [&](Value value) {
    if (space.access(value).variesOverColumns()) {
      bytes += elementBytes(getElementTypeOrSelf(value.getType()));
    }
  };
  llvm::for_each(space.kernel().getBody().getArguments(), count);
  llvm::for_each(space.kernel().getResults(), count);
  return std::max<int64_t>(bytes, 1);
}

FailureOr<SmallVector<KernelLaunch>> dsc::scheduleKernel(KernelOp kernel, ModuleOp module,
                                                         StringRef name) {
  if (kernel.getKind() == KernelKind::loops) {
    return scheduleLoops(kernel, module, name);
  }
  KernelSpace space(kernel);
  if (failed(space.verify())) {
    return failure();
  }
  switch (kernel.getKind()) {
  case KernelKind::elementwise:
    return scheduleElementwise(space, module, name);
  case KernelKind::row:
    return scheduleRow(space, module, name);
  case KernelKind::column:
  case KernelKind::row_column:
    return scheduleColumn(space, module, name);
  case KernelKind::loops:
    break;
  }
  llvm_unreachable("all kinds handled");
}
