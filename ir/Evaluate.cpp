// The evaluator's tensors, its dispatch by family, and constant folding through it.

#include "ir/Evaluate.h"

using namespace mlir;
using namespace dsc;

//===----------------------------------------------------------------------===//
// EvaluatedTensor
//===----------------------------------------------------------------------===//

EvaluatedTensor::EvaluatedTensor(RankedTensorType type) : type(type) {
  if (isFloat()) {
    floats.resize(type.getNumElements());
  } else {
    integers.resize(type.getNumElements());
  }
}

void EvaluatedTensor::copyElement(int64_t to, const EvaluatedTensor &source, int64_t from) {
  if (isFloat()) {
    floats[to] = source.floats[from];
  } else {
    integers[to] = source.integers[from];
  }
}

void EvaluatedTensor::roundToType() {
  Type element = type.getElementType();
  if (element.isF64()) {
    return;
  }
  if (element.isF32()) {
    for (double &value : floats) {
      value = static_cast<float>(value);
    }
    return;
  }
  if (auto floatType = dyn_cast<FloatType>(element)) {
    for (double &value : floats) {
      APFloat rounded(value);
      bool losesInfo;
      rounded.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
      rounded.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      value = rounded.convertToDouble();
    }
    return;
  }
  unsigned width = element.getIntOrFloatBitWidth();
  if (width == 64) {
    return;
  }
  bool isUnsigned = element.isUnsignedInteger() || width == 1;
  for (int64_t &value : integers) {
    uint64_t bits = static_cast<uint64_t>(value) << (64 - width);
    value = isUnsigned ? static_cast<int64_t>(bits >> (64 - width))
                       : static_cast<int64_t>(bits) >> (64 - width);
  }
}

/// Constants of millions of elements are common (masks), so no APInt for each where it can be
/// helped.
template <typename T>
static void copyIntegers(DenseElementsAttr attribute, std::vector<int64_t> &integers) {
  int64_t i = 0;
  for (T value : attribute.getValues<T>()) {
    integers[i++] = static_cast<int64_t>(value);
  }
}

template <typename T>
static DenseElementsAttr integersAs(RankedTensorType type, const std::vector<int64_t> &integers) {
  SmallVector<T> values;
  values.reserve(integers.size());
  for (int64_t value : integers) {
    values.push_back(static_cast<T>(value));
  }
  return DenseElementsAttr::get(type, ArrayRef<T>(values));
}

EvaluatedTensor EvaluatedTensor::fromAttribute(DenseElementsAttr attribute) {
  EvaluatedTensor tensor(cast<RankedTensorType>(attribute.getType()));
  int64_t i = 0;
  Type element = tensor.type.getElementType();
  if (element.isF32()) {
    for (float value : attribute.getValues<float>()) {
      tensor.floats[i++] = value;
    }
  } else if (tensor.isFloat()) {
    for (APFloat value : attribute.getValues<APFloat>()) {
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      tensor.floats[i++] = value.convertToDouble();
    }
  } else if (element.isInteger(1)) {
    copyIntegers<bool>(attribute, tensor.integers);
  } else if (element.isSignlessInteger(32)) {
    copyIntegers<int32_t>(attribute, tensor.integers);
  } else if (element.isSignlessInteger(64)) {
    copyIntegers<int64_t>(attribute, tensor.integers);
  } else {
    bool isUnsigned = element.isUnsignedInteger();
    for (const APInt &value : attribute.getValues<APInt>()) {
      tensor.integers[i++] =
          isUnsigned ? static_cast<int64_t>(value.getZExtValue()) : value.getSExtValue();
    }
  }
  return tensor;
}

DenseElementsAttr EvaluatedTensor::toAttribute() const {
  Type element = type.getElementType();
  if (element.isF32()) {
    std::vector<float> values(floats.begin(), floats.end());
    return DenseElementsAttr::get(type, llvm::ArrayRef(values));
  }
  if (element.isF64()) {
    return DenseElementsAttr::get(type, llvm::ArrayRef(floats));
  }
  if (auto floatType = dyn_cast<FloatType>(element)) {
    std::vector<APFloat> values;
    for (double value : floats) {
      bool losesInfo;
      values.emplace_back(value);
      values.back().convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                            &losesInfo);
    }
    return DenseElementsAttr::get(type, values);
  }
  if (element.isInteger(1)) {
    return integersAs<bool>(type, integers);
  }
  if (element.isSignlessInteger(32)) {
    return integersAs<int32_t>(type, integers);
  }
  if (element.isSignlessInteger(64)) {
    return integersAs<int64_t>(type, integers);
  }
  std::vector<APInt> values;
  unsigned width = element.getIntOrFloatBitWidth();
  for (int64_t value : integers) {
    values.emplace_back(width,
                        static_cast<uint64_t>(value) & (width == 64 ? ~0ull : (1ull << width) - 1));
  }
  return DenseElementsAttr::get(type, values);
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

SmallVector<int64_t> dsc::rowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = static_cast<int64_t>(shape.size()) - 2; i >= 0; --i) {
    strides[i] = strides[i + 1] * shape[i + 1];
  }
  return strides;
}

SmallVector<int64_t> dsc::broadcastStrides(ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  SmallVector<int64_t> own = rowMajorStrides(from), strides(to.size(), 0);
  for (size_t i = 0, skip = to.size() - from.size(); i < from.size(); ++i) {
    strides[i + skip] = from[i] == 1 ? 0 : own[i];
  }
  return strides;
}

void dsc::forEachRow(ArrayRef<int64_t> shape, ArrayRef<SmallVector<int64_t>> strides,
                     llvm::function_ref<void(int64_t, ArrayRef<int64_t>, int64_t)> visit) {
  SmallVector<int64_t> offsets(strides.size(), 0);
  if (shape.empty()) {
    return visit(0, offsets, 1);
  }
  int64_t length = shape.back(), rows = length == 0 ? 0 : 1;
  ArrayRef<int64_t> outer = shape.drop_back();
  for (int64_t size : outer) {
    rows *= size;
  }
  SmallVector<int64_t> index(outer.size(), 0);
  for (int64_t row = 0; row < rows; ++row) {
    visit(row * length, offsets, length);
    for (int64_t dim = static_cast<int64_t>(outer.size()) - 1; dim >= 0; --dim) {
      bool wraps = ++index[dim] == outer[dim];
      for (auto [offset, stride] : llvm::zip_equal(offsets, strides)) {
        offset += wraps ? -stride[dim] * (outer[dim] - 1) : stride[dim];
      }
      if (!wraps) {
        break;
      }
      index[dim] = 0;
    }
  }
}

void dsc::forEachIndex(ArrayRef<int64_t> shape,
                       llvm::function_ref<void(int64_t, ArrayRef<int64_t>)> visit) {
  int64_t count = 1;
  for (int64_t size : shape) {
    count *= size;
  }
  SmallVector<int64_t> index(shape.size(), 0);
  for (int64_t linear = 0; linear < count; ++linear) {
    visit(linear, index);
    for (int64_t dim = static_cast<int64_t>(shape.size()) - 1;
         dim >= 0 && ++index[dim] == shape[dim]; --dim) {
      index[dim] = 0;
    }
  }
}

//===----------------------------------------------------------------------===//
// Dispatch and folding
//===----------------------------------------------------------------------===//

bool dsc::evaluate(Operation *op, ArrayRef<EvaluatedTensor> operands,
                   std::vector<EvaluatedTensor> &results) {
  return evaluateAs(op->getResultTypes(), op, operands, results);
}

bool dsc::evaluateAs(TypeRange types, Operation *op, ArrayRef<EvaluatedTensor> operands,
                     std::vector<EvaluatedTensor> &results) {
  results.clear();
  for (Type type : types) {
    results.emplace_back(cast<RankedTensorType>(type));
  }
  if (!evaluateNormalization(op, operands, results) &&
      !evaluateConvolution(op, operands, results) && !evaluateAttention(op, operands, results) &&
      !evaluateOptimizer(op, operands, results) &&
      !(op->hasTrait<Elementwise>() && evaluateElementwise(op, operands, results)) &&
      !evaluateShape(op, operands, results) && !evaluateReduction(op, operands, results)) {
    return false;
  }
  for (EvaluatedTensor &result : results) {
    result.roundToType();
  }
  return true;
}

/// An elementwise op on operands that are one number each; null where it is something else.
static DenseElementsAttr foldNumbers(Operation *op, ArrayRef<Attribute> operands) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (!op->hasTrait<Elementwise>() || op->getNumResults() != 1 || type.getNumElements() == 0) {
    return {};
  }
  std::vector<EvaluatedTensor> numbers, results;
  for (Attribute operand : operands) {
    auto value = dyn_cast_if_present<SplatElementsAttr>(operand);
    if (!value) {
      return {};
    }
    auto scalar = RankedTensorType::get({}, value.getElementType());
    numbers.push_back(EvaluatedTensor::fromAttribute(value.resizeSplat(scalar)));
  }
  Type scalar = type.clone(ArrayRef<int64_t>());
  return evaluateAs(scalar, op, numbers, results) ? results.front().toAttribute().resizeSplat(type)
                                                  : DenseElementsAttr();
}

OpFoldResult dsc::foldByEvaluation(Operation *op, ArrayRef<Attribute> operands) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (operands.empty()) {
    return {};
  }
  if (DenseElementsAttr number = foldNumbers(op, operands)) {
    return number;
  }
  if (type.getNumElements() > kMaxFoldedElements) {
    return {};
  }
  std::vector<EvaluatedTensor> values;
  for (Attribute operand : operands) {
    auto value = dyn_cast_if_present<DenseElementsAttr>(operand);
    if (!value || value.getNumElements() > kMaxFoldedElements) {
      return {};
    }
    values.push_back(EvaluatedTensor::fromAttribute(value));
  }
  std::vector<EvaluatedTensor> results;
  return evaluate(op, values, results) ? OpFoldResult(results.front().toAttribute())
                                       : OpFoldResult();
}
