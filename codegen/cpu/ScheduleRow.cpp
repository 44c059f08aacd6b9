// Row kernels: a unit is a row; what its reductions need is done in passes over it (RowPasses).

#include "codegen/cpu/RowPasses.h"
#include "codegen/cpu/Schedules.h"

using namespace mlir;
using namespace dsc;

FailureOr<SmallVector<KernelLaunch>> dsc::scheduleRow(const KernelSpace &space, ModuleOp module,
                                                      StringRef name) {
  KernelOp kernel = space.kernel();
  if (!space.columnReductions().empty()) {
    return space.columnReductions().front()->emitOpError("reduces rows in a kernel of kind row");
  }
  func::FuncOp function = createKernelFunction(module, name, kernel);
  BodyEmitter body(space, function);
  RowPasses passes(body, /*columnStage=*/0, /*storeResults=*/true);
  bool failed = mlir::failed(body.beginKernel());
  body.b.loop(body.begin(), body.end(), 1, [&](Value row) {
    failed = failed || mlir::failed(passes.emitRow(row, body.allColumns(), {}));
  });
  if (failed) {
    return failure();
  }
  int64_t bytes = bytesPerElement(space) * space.columns();
  return SmallVector<KernelLaunch>{{name.str(), space.rows(), launchGrain(kernel, bytes)}};
}
