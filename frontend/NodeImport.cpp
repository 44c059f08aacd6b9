// Reading operands and attributes of one node, with errors in the user's words.

#include "frontend/NodeImport.h"

using namespace mlir;
using namespace dsc;
using onnx_model::DataType;
using onnx_model::NodeAttribute;

SmallVector<Value> NodeImport::allInputs() const {
  SmallVector<Value> values;
  for (unsigned i = 0; i < inputs.size(); ++i) {
    if (Value value = input(i)) {
      values.push_back(value);
    }
  }
  return values;
}

FailureOr<SmallVector<int64_t>> NodeImport::constantInts(unsigned i, StringRef what) {
  if (std::optional<SmallVector<int64_t>> values = Emitter::intsOf(input(i))) {
    return *values;
  }
  return refuse(
      what +
      " depends on run-time data; it must be a constant (--bind gives a graph input a value)");
}

FailureOr<SmallVector<double>> NodeImport::constantNumbers(unsigned i, StringRef what) {
  if (std::optional<SmallVector<double>> values = Emitter::numbersOf(input(i))) {
    return *values;
  }
  return refuse(
      what +
      " depends on run-time data; it must be a constant (--bind gives a graph input a value)");
}

Value NodeImport::numbers(int64_t count, ArrayRef<int64_t> shape) {
  constexpr int64_t most = int64_t(1) << 24;
  if (count > most) {
    error() << "numbers the elements of a dimension of " << count << "; dsc takes up to " << most;
    return {};
  }
  return e.intTensor(llvm::to_vector(llvm::seq<int64_t>(0, count)), shape);
}

int64_t NodeImport::intAttr(StringRef name, int64_t otherwise) const {
  const NodeAttribute *attribute = node.attribute(name);
  return attribute && attribute->kind == NodeAttribute::Kind::Int ? attribute->i : otherwise;
}

double NodeImport::floatAttr(StringRef name, double otherwise) const {
  const NodeAttribute *attribute = node.attribute(name);
  return attribute && attribute->kind == NodeAttribute::Kind::Float ? attribute->f : otherwise;
}

std::string NodeImport::stringAttr(StringRef name, StringRef otherwise) const {
  const NodeAttribute *attribute = node.attribute(name);
  return attribute && attribute->kind == NodeAttribute::Kind::String ? attribute->s
                                                                     : otherwise.str();
}

std::optional<SmallVector<int64_t>> NodeImport::intsAttr(StringRef name) const {
  const NodeAttribute *attribute = node.attribute(name);
  if (!attribute || attribute->kind != NodeAttribute::Kind::Ints) {
    return std::nullopt;
  }
  return SmallVector<int64_t>(attribute->ints.begin(), attribute->ints.end());
}

FailureOr<int64_t> NodeImport::axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    error() << "axis is " << axis << ", the operand has rank " << rank;
    return failure();
  }
  return axis < 0 ? axis + rank : axis;
}

FailureOr<SmallVector<int64_t>> NodeImport::axes(ArrayRef<int64_t> list, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t entry : list) {
    FailureOr<int64_t> checked = axis(entry, rank);
    if (failed(checked)) {
      return failure();
    }
    if (llvm::is_contained(result, *checked)) {
      error() << "axis " << *checked << " is given twice";
      return failure();
    }
    result.push_back(*checked);
  }
  return result;
}

LogicalResult NodeImport::set(unsigned i, Value value) {
  if (!value) {
    return failure();
  }
  if (i < outputs.size()) {
    outputs[i] = {value};
  }
  return success();
}

LogicalResult NodeImport::setSequence(unsigned i, ArrayRef<Value> values) {
  if (llvm::is_contained(values, Value())) {
    return failure();
  }
  if (i < outputs.size()) {
    outputs[i].assign(values.begin(), values.end());
    outputSequences[i] = true;
  }
  return success();
}

Value NodeImport::random(Distribution distribution, RankedTensorType type) {
  auto scalar = RankedTensorType::get({}, e.builder.getI64Type());
  // Nodes are numbered by their place in the file; numbers are below 2^32, files have fewer than
  // 2^20 nodes.
  int64_t number = node.index + (state.randomInNode++ << 20);
  return e.op<RandomOp>(
      {e.getGlobal("rt.seed", scalar), e.getGlobal("rt.step", scalar),
       e.getGlobal("rt.sample_base", scalar)},
      {e.attr("distribution", DistributionAttr::get(e.builder.getContext(), distribution)),
       e.i64("number", number)},
      {type});
}

Type dsc::elementType(MLIRContext *context, DataType type) {
  Builder b(context);
  switch (type) {
  case DataType::Float:
    return b.getF32Type();
  case DataType::Double:
    return b.getF64Type();
  case DataType::Float16:
    return b.getF16Type();
  case DataType::Bfloat16:
    return b.getBF16Type();
  case DataType::Bool:
    return b.getI1Type();
  case DataType::Int8:
    return b.getIntegerType(8);
  case DataType::Int16:
    return b.getIntegerType(16);
  case DataType::Int32:
    return b.getIntegerType(32);
  case DataType::Int64:
    return b.getIntegerType(64);
  case DataType::Uint8:
    return b.getIntegerType(8, false);
  case DataType::Uint16:
    return b.getIntegerType(16, false);
  case DataType::Uint32:
    return b.getIntegerType(32, false);
  case DataType::Uint64:
    return b.getIntegerType(64, false);
  default:
    return {};
  }
}

DataType dsc::dataType(Type element) {
  for (int32_t i = 1; i <= static_cast<int32_t>(DataType::Bfloat16); ++i) {
    if (elementType(element.getContext(), static_cast<DataType>(i)) == element) {
      return static_cast<DataType>(i);
    }
  }
  return DataType::Undefined;
}

DenseElementsAttr dsc::toElements(MLIRContext *context, const onnx_model::Tensor &tensor) {
  Type element = elementType(context, tensor.type);
  if (!element) {
    return {};
  }
  auto type = RankedTensorType::get(tensor.dims, element);
  std::vector<char> bytes(tensor.byteCount());
  if (!tensor.read(0, bytes)) {
    return {};
  }
  if (element.isInteger(1)) {
    SmallVector<bool> bits;
    for (char byte : bytes) {
      bits.push_back(byte != 0);
    }
    return DenseElementsAttr::get(type, ArrayRef<bool>(bits));
  }
  if (bytes.empty()) {
    return DenseElementsAttr::get(type, ArrayRef<mlir::Attribute>());
  }
  return DenseElementsAttr::getFromRawBuffer(type, bytes);
}
