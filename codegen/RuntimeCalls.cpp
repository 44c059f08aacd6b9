// Types of the abi functions follow from their C parameters through overloads, so that the header's
// list is the only place that states a signature.

#include "codegen/RuntimeCalls.h"

#include "runtime/abi.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace dsc;

namespace {
/// Maps C types of the ABI to LLVM types.
struct AbiTypes {
  MLIRContext *context;

  template <typename T> Type get() const {
    if constexpr (std::is_pointer_v<T>) {
      return LLVM::LLVMPointerType::get(context);
    } else if constexpr (std::is_same_v<T, double>) {
      return Float64Type::get(context);
    } else {
      static_assert(std::is_integral_v<T>, "the ABI passes pointers, integers and doubles");
      return IntegerType::get(context, 8 * sizeof(T));
    }
  }

  template <typename Result, typename... Parameters>
  LLVM::LLVMFunctionType of(Result (*)(Parameters...)) const {
    return LLVM::LLVMFunctionType::get(get<Result>(), {get<Parameters>()...});
  }
};
} // namespace

/// Type of the abi function `name`; null for an unknown name.
static LLVM::LLVMFunctionType abiType(MLIRContext *context, StringRef name) {
  AbiTypes types{context};
#define DSC_RT_TYPE(result, function, parameters)                                                  \
  if (name == #function) {                                                                         \
    return types.of(static_cast<decltype(&function)>(nullptr));                                    \
  }
  DSC_RT_FUNCTIONS(DSC_RT_TYPE)
#undef DSC_RT_TYPE
  return {};
}

RuntimeCalls::RuntimeCalls(ModuleOp module)
    : module(module), pointer(LLVM::LLVMPointerType::get(module.getContext())) {}

Value RuntimeCalls::null(OpBuilder &b, Location loc) const {
  return b.create<LLVM::ZeroOp>(loc, pointer);
}

Value RuntimeCalls::call(OpBuilder &b, Location loc, StringRef name, ValueRange operands) {
  LLVM::LLVMFunctionType type = abiType(module.getContext(), name);
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    b.create<LLVM::LLVMFuncOp>(module.getLoc(), name, type);
  }
  return b.create<LLVM::CallOp>(loc, type, name, operands).getResult();
}

Value RuntimeCalls::constantArray(OpBuilder &b, Location loc, ArrayRef<int64_t> values) {
  auto attribute = b.getI64TensorAttr(values);
  auto [it, inserted] = arrays.try_emplace(attribute, "dsc_array_" + std::to_string(arrays.size()));
  if (inserted) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    b.create<LLVM::GlobalOp>(module.getLoc(), LLVM::LLVMArrayType::get(i64(), values.size()),
                             /*isConstant=*/true, LLVM::Linkage::Internal, it->second, attribute,
                             /*alignment=*/8);
  }
  return b.create<LLVM::AddressOfOp>(loc, pointer, it->second);
}

Value RuntimeCalls::text(OpBuilder &b, Location loc, StringRef text) {
  auto bytes = StringAttr::get(module.getContext(), text.str() + std::string(1, '\0'));
  auto [it, inserted] = texts.try_emplace(bytes, "dsc_text_" + std::to_string(texts.size()));
  if (inserted) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    b.create<LLVM::GlobalOp>(module.getLoc(),
                             LLVM::LLVMArrayType::get(b.getI8Type(), bytes.getValue().size()),
                             /*isConstant=*/true, LLVM::Linkage::Internal, it->second, bytes);
  }
  return b.create<LLVM::AddressOfOp>(loc, pointer, it->second);
}
