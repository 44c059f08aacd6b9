// Contraction: matrix products, Einsum, attention.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

/// numpy.matmul: vectors get a dimension of 1 that is removed again.
LogicalResult dsc::importMatMul(NodeImport &n) {
  Value a = n.input(0), b = n.input(1);
  if (!a || !b || Emitter::shapeOf(a).empty() || Emitter::shapeOf(b).empty()) {
    return n.error() << "MatMul needs two operands of rank 1 or more";
  }
  bool floats = Emitter::isFloat(a);
  Type element = Emitter::elementOf(a);
  if (!floats) {
    return n.refuse("matrix products of integers are not supported");
  }
  bool rowVector = Emitter::shapeOf(a).size() == 1, columnVector = Emitter::shapeOf(b).size() == 1;
  if (rowVector) {
    a = n.e.reshape(a, {1, Emitter::shapeOf(a)[0]});
  }
  if (columnVector) {
    b = n.e.reshape(b, {Emitter::shapeOf(b)[0], 1});
  }
  Value y = n.e.matmul(a, b);
  if (!y || element != Emitter::elementOf(y)) {
    return failure();
  }
  SmallVector<int64_t> shape(Emitter::shapeOf(y));
  if (columnVector) {
    shape.pop_back();
  }
  if (rowVector) {
    shape.erase(shape.end() - (columnVector ? 1 : 2));
  }
  return n.result(n.e.reshape(y, shape));
}

/// alpha A' B' + beta C.
LogicalResult dsc::importGemm(NodeImport &n) {
  if (!n.input(0) || !n.input(1) || !Emitter::isFloat(n.input(0))) {
    return n.refuse("matrix products of integers are not supported");
  }
  double alpha = n.floatAttr("alpha", 1), beta = n.floatAttr("beta", 1);
  Value y =
      n.e.matmul(n.input(0), n.input(1), n.intAttr("transA", 0) != 0, n.intAttr("transB", 0) != 0);
  if (alpha != 1) {
    y = n.e.mulScalar(y, alpha);
  }
  Value c = n.input(2);
  if (!c || beta == 0) {
    return n.result(y);
  }
  Value sum = n.e.add(y, beta == 1 ? c : n.e.mulScalar(c, beta));
  if (sum && Emitter::shapeOf(sum) != Emitter::shapeOf(y)) {
    return n.error() << "the shape of C, " << c.getType()
                     << ", does not broadcast to the product's, " << y.getType();
  }
  return n.result(sum);
}
