// Registration of kernels, and images as constants of the program.

#include "codegen/cuda/DeviceProgram.h"

#include "codegen/cuda/CudaBuilder.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace dsc;

// Makes the images known to the runtime.
static constexpr llvm::StringLiteral kLoadImages = "dsc_load_images";

SmallVector<cuda::DeviceKernel> cuda::deviceKernels(ModuleOp module) {
  SmallVector<DeviceKernel> kernels;
  for (auto part : module.getOps<gpu::GPUModuleOp>()) {
    for (auto function : part.getOps<LLVM::LLVMFuncOp>()) {
      if (auto threads = function->getAttrOfType<DenseI32ArrayAttr>("nvvm.maxntid")) {
        auto shared = function->getAttrOfType<IntegerAttr>(kSharedBytes);
        kernels.push_back({function.getName().str(), threads[0],
                           shared ? static_cast<int32_t>(shared.getInt()) : 0});
      }
    }
  }
  return kernels;
}

Value cuda::emitDeviceInit(OpBuilder &b, Location loc, ModuleOp module, RuntimeCalls &calls,
                           Value context, ArrayRef<DeviceKernel> kernels) {
  auto constant = [&](int64_t value) -> Value {
    return b.create<LLVM::ConstantOp>(loc, calls.i32(), b.getI32IntegerAttr(value));
  };
  LLVM::LLVMFuncOp load;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    load = b.create<LLVM::LLVMFuncOp>(loc, kLoadImages,
                                      LLVM::LLVMFunctionType::get(calls.i32(), {calls.ptr()}));
  }
  Value status = b.create<LLVM::CallOp>(loc, load, context).getResult();
  for (auto [number, kernel] : llvm::enumerate(kernels)) {
    std::string symbol = "dsc_name_" + kernel.name;
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(module.getBody());
      std::string text = kernel.name + '\0';
      b.create<LLVM::GlobalOp>(loc, LLVM::LLVMArrayType::get(b.getI8Type(), text.size()),
                               /*isConstant=*/true, LLVM::Linkage::Internal, symbol,
                               b.getStringAttr(text));
    }
    Value name = b.create<LLVM::AddressOfOp>(loc, calls.ptr(), symbol);
    Value each = calls.call(b, loc, "dsc_rt_device_kernel",
                            {context, constant(static_cast<int64_t>(number)), name,
                             constant(kernel.threads), constant(kernel.sharedBytes)});
    status = b.create<LLVM::OrOp>(loc, status, each);
  }
  return status;
}

void cuda::defineImages(ModuleOp module, ArrayRef<Image> images) {
  auto load = module.lookupSymbol<LLVM::LLVMFuncOp>(kLoadImages);
  Location loc = load.getLoc();
  RuntimeCalls calls(module);
  OpBuilder b(module.getContext());
  load.setLinkage(LLVM::Linkage::Internal);
  Block *block = load.addEntryBlock(b);
  b.setInsertionPointToStart(block);
  Value status = b.create<LLVM::ConstantOp>(loc, calls.i32(), b.getI32IntegerAttr(0));
  for (auto [number, image] : llvm::enumerate(images)) {
    SmallVector<Value> operands{block->getArgument(0)};
    for (auto [name, bytes] : {std::pair("cubin", StringRef(image.cubin.bytes)),
                               std::pair("ptx", StringRef(image.ptx))}) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(load);
      // The text ends with a 0 that its size does not count.
      std::string content = bytes.str() + '\0';
      auto global = b.create<LLVM::GlobalOp>(
          loc, LLVM::LLVMArrayType::get(b.getI8Type(), content.size()), /*isConstant=*/true,
          LLVM::Linkage::Internal, ("dsc_device_" + Twine(name) + "_" + Twine(number)).str(),
          b.getStringAttr(content), /*alignment=*/64);
      b.setInsertionPointToEnd(block);
      operands.push_back(b.create<LLVM::AddressOfOp>(loc, global));
      operands.push_back(
          b.create<LLVM::ConstantOp>(loc, calls.i64(), b.getI64IntegerAttr(bytes.size())));
    }
    Value each = calls.call(b, loc, "dsc_rt_device_module", operands);
    status = b.create<LLVM::OrOp>(loc, status, each);
  }
  b.create<LLVM::ReturnOp>(loc, status);
}
