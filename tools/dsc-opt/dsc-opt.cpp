// mlir-opt with the dsc dialect and passes, for tests and for reading one pass at a time.

#include "ir/Dialect.h"
#include "passes/Passes.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  dsc::registerDscPasses();
  registry.insert<dsc::DscDialect, mlir::func::FuncDialect>();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "dsc optimizer driver\n", registry));
}
