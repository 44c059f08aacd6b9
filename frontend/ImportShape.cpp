// Shape: constants, views, data movement and indexing.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;
using onnx_model::NodeAttribute;

LogicalResult dsc::importIdentity(NodeImport &n) {
  if (auto values = n.sequence(0)) {
    return n.setSequence(0, *values);
  }
  return n.result(n.input(0));
}

LogicalResult dsc::importConstant(NodeImport &n) {
  Builder &b = n.e.builder;
  if (const NodeAttribute *value = n.node.attribute("value"); value && value->tensor) {
    DenseElementsAttr elements = toElements(b.getContext(), *value->tensor);
    if (!elements) {
      return n.refuse("a constant of type " + onnx_model::nameOf(value->tensor->type));
    }
    return n.result(n.e.constant(elements));
  }
  if (const NodeAttribute *value = n.node.attribute("value_int")) {
    return n.result(n.e.intTensor({value->i}, {}));
  }
  if (const NodeAttribute *value = n.node.attribute("value_ints")) {
    return n.result(n.e.intTensor(value->ints, {static_cast<int64_t>(value->ints.size())}));
  }
  if (const NodeAttribute *value = n.node.attribute("value_float")) {
    auto type = RankedTensorType::get({}, b.getF32Type());
    return n.result(n.e.constant(DenseElementsAttr::get(type, ArrayRef<float>(value->f))));
  }
  if (const NodeAttribute *value = n.node.attribute("value_floats")) {
    auto type = RankedTensorType::get({static_cast<int64_t>(value->floats.size())}, b.getF32Type());
    return n.result(n.e.constant(DenseElementsAttr::get(type, ArrayRef<float>(value->floats))));
  }
  return n.refuse("a constant that is no dense tensor of numbers");
}

LogicalResult dsc::importTranspose(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  int64_t rank = Emitter::shapeOf(x).size();
  SmallVector<int64_t> permutation;
  if (auto given = n.intsAttr("perm")) {
    permutation = *given;
  } else {
    for (int64_t i = rank; i-- > 0;) {
      permutation.push_back(i);
    }
  }
  return n.result(n.e.op<TransposeOp>({x}, {n.e.ints("permutation", permutation)}));
}

LogicalResult dsc::importReshape(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> shape = n.constantInts(1, "the shape");
  if (!x || failed(shape)) {
    return failure();
  }
  bool keepZero = n.intAttr("allowzero", 0) != 0;
  int64_t known = 1, open = -1;
  for (auto [i, dim] : llvm::enumerate(*shape)) {
    if (dim == 0 && !keepZero) {
      if (i >= Emitter::shapeOf(x).size()) {
        return n.error() << "dimension " << i
                         << " of the new shape is copied from an operand of rank "
                         << Emitter::shapeOf(x).size();
      }
      dim = Emitter::shapeOf(x)[i];
    }
    if (dim == -1 && open < 0) {
      open = static_cast<int64_t>(i);
    } else if (dim < 0 || __builtin_mul_overflow(known, dim, &known)) {
      return n.error() << "dimension " << i << " of the new shape is " << dim;
    }
  }
  int64_t total = Emitter::typeOf(x).getNumElements();
  if (open >= 0) {
    if (known == 0 || total % known != 0) {
      return n.error() << "an operand of " << total << " elements cannot take a shape with "
                       << known << " elements and one open dimension";
    }
    (*shape)[open] = total / known;
  }
  return n.result(n.e.reshape(x, *shape));
}
