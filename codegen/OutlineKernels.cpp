// Finds the distinct kernels of the entries and has each scheduled once.

#include "codegen/OutlineKernels.h"

#include "codegen/cpu/Schedules.h"
#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Schedules.h"
#include "ir/Target.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace dsc;

ArrayRef<KernelLaunch> KernelTable::launches(KernelOp kernel) const {
  return kernels_[indexOf_.lookup(kernel)];
}

std::string dsc::kernelKey(KernelOp kernel) {
  std::string key;
  llvm::raw_string_ostream os(key);
  os << stringifyKernelKind(kernel.getKind()) << ' ' << kernel.getRowRank() << ' '
     << kernel.getScratch() << ' ' << kernel.getOwnedChunks() << " [";
  llvm::interleaveComma(kernel.getDomain(), os);
  os << "]";
  DenseMap<Value, int64_t> numbers;
  auto define = [&](Value value) {
    os << ' ' << value.getType();
    numbers.try_emplace(value, numbers.size());
  };
  llvm::for_each(kernel.getBody().getArguments(), define);
  for (Operation &op : kernel.getBody().front()) {
    os << '\n' << op.getName() << ' ' << op.getAttrDictionary();
    for (Value operand : op.getOperands()) {
      os << " %" << numbers.lookup(operand);
    }
    llvm::for_each(op.getResults(), define);
  }
  return key;
}

FailureOr<KernelTable> dsc::buildKernels(ModuleOp module) {
  KernelTable table;
  llvm::StringMap<size_t> known;
  SmallVector<KernelOp> kernels;
  module.walk([&](KernelOp kernel) { kernels.push_back(kernel); });
  bool isCuda = targetOf(module)->kind() == "cuda";
  for (KernelOp kernel : kernels) {
    std::string key = kernelKey(kernel) + (isCuda ? cuda::placementKey(kernel) : "");
    auto [entry, isNew] = known.try_emplace(key, table.kernels_.size());
    if (isNew) {
      std::string name = "kernel_" + std::to_string(table.kernels_.size());
      FailureOr<SmallVector<KernelLaunch>> launches =
          isCuda ? cuda::scheduleKernel(kernel, module, name)
                 : scheduleKernel(kernel, module, name);
      if (failed(launches)) {
        return failure();
      }
      table.kernels_.push_back(std::move(*launches));
    }
    table.indexOf_[kernel] = entry->second;
  }
  return table;
}
