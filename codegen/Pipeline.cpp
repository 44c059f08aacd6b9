// Phases 9 and 10, and machine code.

#include "codegen/Pipeline.h"

#include "codegen/HostProgram.h"
#include "codegen/Manifest.h"
#include "codegen/OutlineKernels.h"
#include "codegen/cpu/EmitObject.h"
#include "codegen/cpu/LowerToLlvm.h"
#include "ir/Options.h"
#include "ir/Phase.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace dsc;

/// A launch in place of `kernel`, with its operands, results and slots.
static void replaceByLaunch(KernelOp kernel, ArrayRef<KernelLaunch> launches) {
  OpBuilder b(kernel);
  SmallVector<Attribute> symbols;
  SmallVector<int64_t> units, grains;
  for (const KernelLaunch &launch : launches) {
    symbols.push_back(FlatSymbolRefAttr::get(b.getContext(), launch.symbol));
    units.push_back(launch.units);
    grains.push_back(launch.grain);
  }
  auto launch = b.create<LaunchOp>(kernel.getLoc(), kernel.getResultTypes(), b.getArrayAttr(symbols),
                                   kernel.getInputs(), units, grains);
  for (StringRef name : {"dsc.slots", "dsc.scratch"}) {
    if (Attribute attribute = kernel->getAttr(name)) {
      launch->setAttr(name, attribute);
    }
  }
  kernel.replaceAllUsesWith(launch.getResults());
  kernel.erase();
}

LogicalResult dsc::runKernelsPhase(ModuleOp module) {
  FailureOr<KernelTable> table = buildKernels(module);
  if (failed(table)) {
    return failure();
  }
  for (func::FuncOp entry : entriesOf(module)) {
    for (auto kernel : llvm::to_vector(entry.getOps<KernelOp>())) {
      replaceByLaunch(kernel, table->launches(kernel));
    }
  }
  return attachManifest(module);
}
