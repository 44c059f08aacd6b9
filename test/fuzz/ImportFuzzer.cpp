// libFuzzer target: bytes -> model -> table of parameters -> module. Anything but a clean error or
// a module is a finding. Dims that a file leaves open are bound to 2, so that mutated models get
// past binding; models of odd size start at random values.

#include "frontend/Importer.h"
#include "frontend/OnnxReader.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

using namespace dsc;

/// More elements in the inputs than this tell nothing more about the importer and take long.
constexpr int64_t kMaxInputElements = 1 << 20;

/// Binds the open dims of `model`; false where its inputs are too large.
static bool bindDims(const onnx_model::Model &model, ImportOptions &options) {
  int64_t elements = 0;
  for (const onnx_model::ValueInfo &input : model.graph.inputs) {
    int64_t count = 1;
    for (const onnx_model::Dim &dim : input.dims) {
      if (!dim.name.empty()) {
        options.dims[dim.name] = 2;
      }
      count *= std::min<int64_t>(dim.size.value_or(2), kMaxInputElements);
      count = std::min<int64_t>(count, kMaxInputElements);
    }
    elements += count;
  }
  return elements <= kMaxInputElements;
}

/// LLVM's allocators poison their slabs here and do not unpoison them in Debian's libraries, which
/// were built without the sanitizer.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<DscDialect, mlir::func::FuncDialect>();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &diagnostic) {
    printDiagnostic(diagnostic, llvm::nulls());
    return mlir::success();
  });
  auto model =
      readModelFromBytes(context, llvm::StringRef(reinterpret_cast<const char *>(data), size));
  if (failed(model)) {
    return 0;
  }
  ImportOptions options;
  options.path = "bytes";
  options.randomStart = size % 2 == 1;
  if (!bindDims(**model, options)) {
    return 0;
  }
  auto loc = mlir::UnknownLoc::get(&context);
  auto parameters = ParameterTable::decide(**model, options, loc);
  if (failed(parameters)) {
    return 0;
  }
  auto imported = importGraph(context, **model, **parameters, options);
  // As importModel does: what only the verifier sees, such as a float where an operator takes
  // integers, is an error that names the node.
  if (succeeded(imported)) {
    (void)mlir::verify(*imported->module);
  }
  return 0;
}
