// The frontend's interface: an ONNX file in, a module of the dsc dialect at phase `import` out, or
// what the file holds. No ONNX type crosses it. Errors are MLIR diagnostics whose locations name
// the node.

#ifndef DSC_FRONTEND_FRONTEND_H
#define DSC_FRONTEND_FRONTEND_H

#include "ir/Options.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringMap.h"

#include <memory>
#include <string>
#include <vector>

namespace dsc {

struct ImportOptions {
  std::string path;
  llvm::StringMap<int64_t> dims;                      // --dim NAME=SIZE
  llvm::StringMap<llvm::SmallVector<int64_t>> inputs; // --input NAME=8x1024
  llvm::StringMap<std::string> bind; // --bind NAME=VALUE: a scalar, or "a,b,c" of the input's size
  std::string trainRegex, freezeRegex; // --train, --freeze
  bool noTie = false;                  // --no-tie
  bool allowSymlinks = false; // external data through links inside the model's resolved folder
  std::string keepValues;     // --keep-values: a regular expression of ONNX value names
  bool randomStart = false;   // --init=random: parameters need no data in the file
  bool namesOnly = false;     // inspect: missing external data is a notice
  CompileOptions options;
};

/// A tensor of the model that training keeps: one line of `inspect`'s table.
struct ParameterInfo {
  std::string name;
  std::vector<std::string> onnxNames;
  std::vector<int64_t> shape;
  std::string type;   // "f32"
  std::string role;   // "trained", "buffer", "constant"
  std::string reason; // which rule decided
  std::string start;  // --init=random: how the runner makes it; "" where the file has it
};

/// A graph input or output as the file declares it.
struct ValueDeclaration {
  std::string name, type;
  std::vector<std::string> dims; // a number, a name, or "?"
  std::string flag;              // the flags that bind its open dims, "" where all are sizes
};

struct OpCount {
  std::string op, domain;
  int64_t count = 0;
  bool supported = false;
};

struct ModelInfo {
  std::string producer;
  int64_t opset = 0, nodes = 0;
  std::vector<ValueDeclaration> inputs, outputs;
  std::vector<ParameterInfo> parameters;
  std::vector<OpCount> ops;
  std::vector<std::string> notices;
};

/// Tensors that go to the weights file, readable in pieces: keeps the model's files open. Made by
/// importModel.
class WeightsWriter;

struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::shared_ptr<WeightsWriter> weights;
  std::vector<std::string> notices; // what a user must know because it changes results
};

/// Imports `options.path` (phase 1). Errors have been emitted on `context` where it fails.
mlir::FailureOr<ImportedModel> importModel(mlir::MLIRContext &context,
                                           const ImportOptions &options);

/// What the file holds; dims need not be bound.
mlir::FailureOr<ModelInfo> inspectModel(mlir::MLIRContext &context, const ImportOptions &options);

struct WrittenWeights {
  std::string sha256; // of the file, hex
  uint64_t bytes = 0;
};

/// Streams all trained and buffer tensors that the runner does not make to `path` (safetensors):
/// written aside, renamed when whole. Without any there is no file, and the hash is empty.
mlir::FailureOr<WrittenWeights> writeWeights(const WeightsWriter &weights, mlir::Location loc,
                                             const std::string &path);

/// Sets the globals' sources in `module` to `file` (as it is to be named there), with the tensors'
/// hashes.
void setWeightsSource(mlir::ModuleOp module, const WeightsWriter &weights, llvm::StringRef file);

/// An ONNX operator that dsc imports, for `dsc ops`.
struct SupportedOp {
  std::string domain, op;
  bool hasRow = false; // else by its function body
};
std::vector<SupportedOp> supportedOps();

/// Prints a diagnostic as `model.onnx: node "encoder/0/MatMul" (MatMul, #17): error: ...`, with its
/// notes, and `id` in brackets behind it where it is not empty.
void printDiagnostic(mlir::Diagnostic &diagnostic, llvm::raw_ostream &out, llvm::StringRef id = "");

} // namespace dsc

#endif // DSC_FRONTEND_FRONTEND_H
