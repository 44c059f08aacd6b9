// Shapes and strides of library calls, from op types.

#include "codegen/LibraryPlans.h"

#include "codegen/HostProgram.h"

#include "ir/StridedShape.h"
#include "runtime/abi.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

int32_t dsc::abiType(Type element) {
  if (element.isF32() || element.isF64()) {
    return element.isF32() ? DSC_F32 : DSC_F64;
  }
  if (element.isF16() || element.isBF16()) {
    return element.isF16() ? DSC_F16 : DSC_BF16;
  }
  bool isUnsigned = element.isUnsignedInteger();
  switch (element.getIntOrFloatBitWidth()) {
  case 1:
    return DSC_BOOL;
  case 8:
    return isUnsigned ? DSC_U8 : DSC_I8;
  case 16:
    return isUnsigned ? DSC_U16 : DSC_I16;
  case 32:
    return isUnsigned ? DSC_U32 : DSC_I32;
  default:
    return isUnsigned ? DSC_U64 : DSC_I64;
  }
}

LibraryPlans::LibraryPlans(ModuleOp module, RuntimeCalls &calls)
    : module(module), calls(calls), b(OpBuilder::atBlockEnd(module.getBody())) {
  init = b.create<LLVM::LLVMFuncOp>(module.getLoc(), "dsc_program_init",
                                    LLVM::LLVMFunctionType::get(calls.i32(), {calls.ptr()}));
  Block *block = init.addEntryBlock(b);
  b.setInsertionPointToStart(block);
  context = block->getArgument(0);
  status = b.create<LLVM::ConstantOp>(module.getLoc(), calls.i32(), b.getI32IntegerAttr(0));
}

void LibraryPlans::registerKernels(ArrayRef<cuda::DeviceKernel> kernels) {
  status = cuda::emitDeviceInit(b, module.getLoc(), module, calls, context, kernels);
}

void LibraryPlans::finish() {
  b.create<LLVM::ReturnOp>(module.getLoc(), status);
  b.setInsertionPointToEnd(module.getBody());
  auto version =
      b.create<LLVM::LLVMFuncOp>(module.getLoc(), "dsc_program_abi_version",
                                 LLVM::LLVMFunctionType::get(calls.i32(), ArrayRef<Type>{}));
  b.setInsertionPointToStart(version.addEntryBlock(b));
  Value value = b.create<LLVM::ConstantOp>(module.getLoc(), calls.i32(),
                                           b.getI32IntegerAttr(DSC_ABI_VERSION));
  b.create<LLVM::ReturnOp>(module.getLoc(), value);
}

void LibraryPlans::collective(Operation *op) {
  Location loc = op->getLoc();
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  bool isSum = isa<AllReduceOp>(op);
  int64_t chunks = isSum ? 1 : type.getDimSize(0);
  auto integer = [&](Type width, int64_t value) -> Value {
    return b.create<LLVM::ConstantOp>(loc, width, b.getIntegerAttr(width, value));
  };
  // A gather into a global that no op of its entry waits for.
  bool isLeft = isa<AllGatherOp>(op) && llvm::all_of(op->getUsers(), [](Operation *user) {
                  return isa<SetGlobalOp>(user);
                });
  Value name = calls.text(b, loc, collectiveName(op));
  Value failed = calls.call(
      b, loc, "dsc_rt_collective_plan",
      {context, integer(calls.i32(), op->getAttrOfType<IntegerAttr>("id").getInt()),
       integer(calls.i32(), isSum                  ? DSC_ALL_REDUCE_SUM
                            : isa<AllGatherOp>(op) ? DSC_ALL_GATHER
                                                   : DSC_REDUCE_SCATTER_MEAN),
       integer(calls.i32(), abiType(type.getElementType())), integer(calls.i64(), chunks),
       integer(calls.i64(), type.getNumElements() / chunks), name, integer(calls.i32(), isLeft)});
  status = b.create<LLVM::OrOp>(loc, status, failed);
}

int32_t LibraryPlans::plan(StringRef function, Location loc, int32_t number,
                           ArrayRef<Parameter> parameters) {
  std::string key = function.str();
  for (const Parameter &p : parameters) {
    key += llvm::formatv("|{0},{1}", p.integer, p.real).str();
    for (int64_t value : p.array) {
      key += llvm::formatv(" {0}", value).str();
    }
  }
  if (auto it = planOf.find(key); it != planOf.end()) {
    return it->second;
  }
  int32_t index = counts[function]++;
  planOf[key] = index;
  auto integer = [&](Type type, int64_t value) -> Value {
    return b.create<LLVM::ConstantOp>(loc, type, b.getIntegerAttr(type, value));
  };
  SmallVector<Value> operands{context, integer(calls.i32(), number), integer(calls.i32(), index)};
  for (const Parameter &p : parameters) {
    switch (p.kind) {
    case Parameter::Int32:
      operands.push_back(integer(calls.i32(), p.integer));
      break;
    case Parameter::Int64:
      operands.push_back(integer(calls.i64(), p.integer));
      break;
    case Parameter::Double:
      operands.push_back(
          b.create<LLVM::ConstantOp>(loc, b.getF64Type(), b.getF64FloatAttr(p.real)));
      break;
    case Parameter::Array:
      operands.push_back(p.array.empty() ? calls.null(b, loc)
                                         : calls.constantArray(b, loc, p.array));
      break;
    }
  }
  // A plan that fails does not stop the others: their messages are dropped, the first one stands.
  status = b.create<LLVM::OrOp>(loc, status, calls.call(b, loc, function, operands));
  return index;
}

static int64_t workspaceOf(Operation *op) {
  auto workspace = op->getAttrOfType<IntegerAttr>("workspace");
  return workspace ? workspace.getInt() : 0;
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

namespace {
/// Dimensions and element strides of one operand of a plan.
struct Strided : StridedShape {
  using StridedShape::StridedShape;

  void swapLastTwo() {
    std::swap(dims.end()[-1], dims.end()[-2]);
    std::swap(strides.end()[-1], strides.end()[-2]);
  }
  void padRank(size_t rank) {
    while (dims.size() < rank) {
      dims.insert(dims.begin(), 1);
      strides.insert(strides.begin(), 0);
    }
  }
  /// [.., m, n] -> [.. * m, n], for a row-major operand.
  void collapseRows() {
    int64_t rows = 1;
    for (int64_t dim : ArrayRef(dims).drop_back()) {
      rows *= dim;
    }
    dims = {rows, dims.back()};
    strides = {dims.back(), 1};
  }
};
} // namespace

int32_t LibraryPlans::matmul(MatmulOp op, int32_t number) {
  Strided a(typeOf(op.getA())), bOperand(typeOf(op.getB())), c(typeOf(op.getResult()));
  // Rows of a batch that share one matrix are one product.
  bool shared = bOperand.dims.size() == 2 || llvm::all_of(ArrayRef(bOperand.dims).drop_back(2),
                                                          [](int64_t d) { return d == 1; });
  if (shared && !op.getTransposeA() && a.dims.size() >= c.dims.size() - 0 && a.dims.size() > 2 &&
      ArrayRef(a.dims).drop_back(2) == ArrayRef(c.dims).drop_back(2)) {
    a.collapseRows();
    c.collapseRows();
    bOperand.dims.erase(bOperand.dims.begin(), bOperand.dims.end() - 2);
    bOperand.strides.erase(bOperand.strides.begin(), bOperand.strides.end() - 2);
  }
  if (op.getTransposeA()) {
    a.swapLastTwo();
  }
  if (op.getTransposeB()) {
    bOperand.swapLastTwo();
  }
  size_t rank = c.dims.size();
  a.padRank(rank);
  bOperand.padRank(rank);
  return plan("dsc_rt_matmul_plan", op.getLoc(), number,
              {int32(abiType(typeOf(op.getResult()).getElementType())), int32(rank), array(a.dims),
               array(a.strides), array(bOperand.dims), array(bOperand.strides), array(c.dims),
               array(c.strides), int32(op.getBias() ? 1 : 0),
               int32(static_cast<int32_t>(op.getActivation())), int32(op.getAccumulator() ? 1 : 0),
               int64(workspaceOf(op))});
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

int32_t LibraryPlans::convolution(Operation *op, int32_t kind, RankedTensorType x,
                                  RankedTensorType w, RankedTensorType y, int32_t number, bool bias,
                                  Epilogue epilogue) {
  auto layout = cast<ConvLayoutAttr>(op->getAttr("layout")).getValue();
  StridedShape image = imageShape(x, layout), result = imageShape(y, layout),
               weight = imageShape(w, layout);
  auto list = [&](StringRef name) {
    return array(cast<DenseI64ArrayAttr>(op->getAttr(name)).asArrayRef());
  };
  return plan("dsc_rt_conv_plan", op->getLoc(), number,
              {int32(kind), int32(abiType(x.getElementType())), int32(x.getRank()),
               array(image.dims), array(image.strides), array(weight.dims), array(weight.strides),
               array(result.dims), array(result.strides), list("strides"), list("dilations"),
               list("pads_begin"), list("pads_end"),
               int64(cast<IntegerAttr>(op->getAttr("groups")).getInt()), int32(bias),
               int32(static_cast<int32_t>(epilogue)), int64(workspaceOf(op))});
}

int32_t LibraryPlans::conv(ConvOp op, int32_t number) {
  return convolution(op, DSC_CONV_FORWARD, typeOf(op.getX()), typeOf(op.getW()), typeOf(op.getY()),
                     number, op.getBias() != nullptr, op.getActivation());
}

int32_t LibraryPlans::convGradInput(ConvGradInputOp op, int32_t number) {
  return convolution(op, DSC_CONV_GRAD_INPUT, typeOf(op.getDx()), typeOf(op.getW()),
                     typeOf(op.getDy()), number, false, Epilogue::none);
}

int32_t LibraryPlans::convGradWeight(ConvGradWeightOp op, int32_t number) {
  return convolution(op, DSC_CONV_GRAD_WEIGHT, typeOf(op.getX()), typeOf(op.getDw()),
                     typeOf(op.getDy()), number, false, Epilogue::none);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

int32_t LibraryPlans::attentionPlan(Operation *op, ValueRange qkv, Value mask, int64_t heads,
                                    int64_t kvHeads, double scale, bool causal, int32_t number) {
  RankedTensorType q = typeOf(qkv.front());
  bool packed = qkv.size() == 1;
  int64_t qLength = q.getDimSize(1), kvLength = packed ? qLength : typeOf(qkv[1]).getDimSize(1);
  int64_t qRow = q.getDimSize(2), width = qRow / (packed ? heads + 2 * kvHeads : heads);
  int64_t kvRow = packed ? qRow : kvHeads * width;
  SmallVector<int64_t> qStrides{qLength * qRow, qRow, width},
      kvStrides{kvLength * kvRow, kvRow, width};
  SmallVector<int64_t> outStrides{qLength * heads * width, heads * width, width}, maskStrides;
  int32_t maskType = 0;
  if (mask) {
    maskType = abiType(typeOf(mask).getElementType());
    maskStrides = rowMajorStrides(typeOf(mask).getShape());
    for (auto [stride, size] : llvm::zip(maskStrides, typeOf(mask).getShape())) {
      stride = size == 1 ? 0 : stride;
    }
  }
  return plan("dsc_rt_attention_plan", op->getLoc(), number,
              {int32(abiType(q.getElementType())), int64(q.getDimSize(0)), int64(heads),
               int64(kvHeads), int64(qLength), int64(kvLength), int64(width), real(scale),
               int32(causal), int32(maskType), array(maskStrides), array(qStrides),
               array(kvStrides), array(kvStrides), array(outStrides), int64(workspaceOf(op))});
}

int32_t LibraryPlans::attention(AttentionOp op, int32_t number) {
  return attentionPlan(op, op.getQkv(), op.getMask(), op.getHeads(), op.getKvHeads(),
                       op.getScale().convertToDouble(), op.getCausal(), number);
}

int32_t LibraryPlans::attentionGrad(AttentionGradOp op, int32_t number) {
  return attentionPlan(op, op.getQkv(), op.getMask(), op.getHeads(), op.getKvHeads(),
                       op.getScale().convertToDouble(), op.getCausal(), number);
}
