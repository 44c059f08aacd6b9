// Plans of library calls: what dsc_program_init tells the runtime once about every matrix product,
// convolution and attention, as shapes and strides. Equal calls share a plan, so an op and its
// clones take the same algorithm.

#ifndef DSC_CODEGEN_LIBRARYPLANS_H
#define DSC_CODEGEN_LIBRARYPLANS_H

#include "codegen/RuntimeCalls.h"
#include "codegen/cuda/DeviceProgram.h"
#include "ir/Dialect.h"

namespace dsc {

class LibraryPlans {
public:
  LibraryPlans(mlir::ModuleOp module, RuntimeCalls &calls);

  /// Makes the kernels of a program for a device known, before all plans.
  void registerKernels(llvm::ArrayRef<cuda::DeviceKernel> kernels);

  // The plan number of an op; `number` is its index for messages.
  int32_t matmul(MatmulOp op, int32_t number);
  int32_t conv(ConvOp op, int32_t number);
  int32_t convGradInput(ConvGradInputOp op, int32_t number);
  int32_t convGradWeight(ConvGradWeightOp op, int32_t number);
  int32_t attention(AttentionOp op, int32_t number);
  int32_t attentionGrad(AttentionGradOp op, int32_t number);

  /// Makes a collective known; in the order of ids.
  void collective(mlir::Operation *op);

  /// Ends dsc_program_init and adds dsc_program_abi_version.
  void finish();

private:
  mlir::ModuleOp module;
  RuntimeCalls &calls;
  mlir::OpBuilder b;
  mlir::LLVM::LLVMFuncOp init;
  mlir::Value context, status;
  std::map<std::string, int32_t> planOf; // description of a call -> its plan
  llvm::StringMap<int32_t> counts;       // plans of each kind so far

  /// A parameter of a plan call: a scalar of 32 or 64 bits, a double, or an array.
  struct Parameter {
    enum Kind { Int32, Int64, Double, Array } kind;
    int64_t integer = 0;
    double real = 0;
    llvm::SmallVector<int64_t> array = {};
  };
  static Parameter int32(int64_t value) { return {Parameter::Int32, value}; }
  static Parameter int64(int64_t value) { return {Parameter::Int64, value}; }
  static Parameter real(double value) { return {Parameter::Double, 0, value}; }
  static Parameter array(llvm::ArrayRef<int64_t> values) {
    return {Parameter::Array, 0, 0, llvm::SmallVector<int64_t>(values)};
  }

  int32_t plan(llvm::StringRef function, mlir::Location loc, int32_t number,
               llvm::ArrayRef<Parameter> parameters);
  int32_t convolution(mlir::Operation *op, int32_t kind, mlir::RankedTensorType x,
                      mlir::RankedTensorType w, mlir::RankedTensorType y, int32_t number, bool bias,
                      Epilogue epilogue);
  int32_t attentionPlan(mlir::Operation *op, mlir::ValueRange qkv, mlir::Value mask, int64_t heads,
                        int64_t kvHeads, double scale, bool causal, int32_t number);
};

/// ONNX's number of an element type (runtime/abi.h, dsc_dtype).
int32_t abiType(mlir::Type element);

} // namespace dsc

#endif // DSC_CODEGEN_LIBRARYPLANS_H
