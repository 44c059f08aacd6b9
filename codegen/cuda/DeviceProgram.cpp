// Registration of kernels, and images as constants of the program.

#include "codegen/cuda/DeviceProgram.h"

#include "codegen/cuda/CudaBuilder.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kCubin = "dsc_device_cubin", kPtx = "dsc_device_ptx";

static std::string sizeName(StringRef image) { return (image + "_bytes").str(); }

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
  auto declare = [&](StringRef name, Type type) -> Value {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    b.create<LLVM::GlobalOp>(loc, type, /*isConstant=*/true, LLVM::Linkage::External, name,
                             Attribute());
    return {};
  };
  SmallVector<Value> images{context};
  for (StringRef image : {kCubin, kPtx}) {
    declare(image, LLVM::LLVMArrayType::get(b.getI8Type(), 0));
    declare(sizeName(image), b.getI64Type());
    images.push_back(b.create<LLVM::AddressOfOp>(loc, calls.ptr(), image));
    Value size = b.create<LLVM::AddressOfOp>(loc, calls.ptr(), sizeName(image));
    images.push_back(b.create<LLVM::LoadOp>(loc, b.getI64Type(), size));
  }
  Value status = calls.call(b, loc, "dsc_rt_device_module", images);
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

void cuda::defineImages(ModuleOp module, StringRef cubin, StringRef ptx) {
  OpBuilder b(module.getContext());
  auto define = [&](StringRef name, Type type, Attribute value, unsigned alignment) {
    auto declared = module.lookupSymbol<LLVM::GlobalOp>(name);
    b.setInsertionPoint(declared);
    b.create<LLVM::GlobalOp>(declared.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Internal,
                             name, value, alignment);
    declared.erase();
  };
  for (auto [name, bytes] :
       {std::pair(StringRef(kCubin), cubin), std::pair(StringRef(kPtx), ptx)}) {
    // The text ends with a 0 that its size does not count.
    std::string image = bytes.str() + '\0';
    define(name, LLVM::LLVMArrayType::get(b.getI8Type(), image.size()), b.getStringAttr(image), 64);
    define(sizeName(name), b.getI64Type(), b.getI64IntegerAttr(bytes.size()), 8);
  }
}
