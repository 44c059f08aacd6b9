// libFuzzer target: bytes -> model -> table of parameters -> module. Anything but a clean error or
// a module is a finding. Dims that a file leaves open are bound to 2, so that mutated models get
// past binding.

#include "frontend/Importer.h"
#include "frontend/OnnxReader.h"

#include "mlir/IR/Verifier.h"

using namespace dsc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, mlir::func::FuncDialect>();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) { return mlir::success(); });
  auto model =
      readModelFromBytes(context, llvm::StringRef(reinterpret_cast<const char *>(data), size));
  if (failed(model)) {
    return 0;
  }
  ImportOptions options;
  options.path = "bytes";
  int64_t elements = 0;
  for (const onnx_model::ValueInfo &input : (*model)->graph.inputs) {
    int64_t count = 1;
    for (const onnx_model::Dim &dim : input.dims) {
      if (!dim.name.empty()) {
        options.dims[dim.name] = 2;
      }
      count *= std::min<int64_t>(dim.size.value_or(2), 1 << 20);
      count = std::min<int64_t>(count, 1 << 20);
    }
    elements += count;
  }
  if (elements > (1 << 20)) {
    return 0;
  }
  auto loc = mlir::UnknownLoc::get(&context);
  auto parameters = ParameterTable::decide(**model, options, loc);
  if (failed(parameters)) {
    return 0;
  }
  auto imported = importGraph(context, **model, **parameters, options);
  if (succeeded(imported) && failed(mlir::verify(*imported->module))) {
    llvm::report_fatal_error("the imported module does not verify");
  }
  return 0;
}
