// Contraction: matrix products, Einsum, attention.

#include "frontend/OpTable.h"

#include <cmath>

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

namespace {
/// Sizes of an Attention node's operands, in either of its layouts.
struct AttentionShape {
  int64_t batch, length, heads, width;
};
} // namespace

/// q, k or v as [batch, length, heads * width], and its sizes. 4-D operands are [batch, heads,
/// length, width].
static std::optional<std::pair<Value, AttentionShape>> attentionOperand(NodeImport &n, unsigned i,
                                                                        StringRef headsName) {
  Value x = n.input(i);
  if (!x || !Emitter::isFloat(x)) {
    return std::nullopt;
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(x);
  if (shape.size() == 4) {
    AttentionShape sizes{shape[0], shape[2], shape[1], shape[3]};
    Value rows =
        n.e.reshape(n.e.transpose(x, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * shape[3]});
    return std::make_pair(rows, sizes);
  }
  int64_t heads = n.intAttr(headsName, 0);
  if (shape.size() != 3 || heads < 1 || shape[2] % heads != 0) {
    return std::nullopt;
  }
  return std::make_pair(x, AttentionShape{shape[0], shape[1], heads, shape[2] / heads});
}

/// Plain attention is the core op; caches, soft caps, score outputs and lengths go through the
/// function body.
LogicalResult dsc::importAttention(NodeImport &n) {
  bool plain = !n.hasInput(4) && !n.hasInput(5) && !n.hasInput(6) &&
               n.floatAttr("softcap", 0) == 0 && !n.wants(1) && !n.wants(2) && !n.wants(3) &&
               n.intAttr("left_window_size", -1) < 0 && n.intAttr("right_window_size", -1) < 0;
  if (!plain) {
    return n.expandBody();
  }
  auto q = attentionOperand(n, 0, "q_num_heads"), k = attentionOperand(n, 1, "kv_num_heads"),
       v = attentionOperand(n, 2, "kv_num_heads");
  if (!q || !k || !v || k->second.heads < 1 || q->second.heads % k->second.heads != 0 ||
      k->second.width != q->second.width || v->second.width != q->second.width ||
      k->second.length != v->second.length) {
    return n.expandBody();
  }
  AttentionShape sizes = q->second;
  Value mask = n.input(3);
  if (mask) {
    SmallVector<int64_t> shape(Emitter::shapeOf(mask));
    while (shape.size() < 4) {
      shape.insert(shape.begin(), 1);
    }
    bool fits = shape.size() == 4 &&
                broadcastsTo(shape, {sizes.batch, sizes.heads, sizes.length, k->second.length}) &&
                (Emitter::isBool(mask) || Emitter::elementOf(mask) == Emitter::elementOf(q->first));
    if (!fits) {
      return n.expandBody();
    }
    mask = n.e.reshape(mask, shape);
  }
  SmallVector<Value> operands = {q->first, k->first, v->first};
  if (mask) {
    operands.push_back(mask);
  }
  double scale = n.floatAttr("scale", 1 / std::sqrt(static_cast<double>(sizes.width)));
  SmallVector<Value> results = n.e.ops<AttentionOp>(
      operands,
      {n.e.i64("heads", sizes.heads), n.e.i64("kv_heads", k->second.heads), n.e.f64("scale", scale),
       n.e.flag("causal", n.intAttr("is_causal", 0) != 0), n.e.segments({3, mask ? 1 : 0})});
  if (results.empty()) {
    return failure();
  }
  Value y = results.front();
  if (Emitter::shapeOf(n.input(0)).size() == 4) {
    y = n.e.reshape(y, {sizes.batch, sizes.length, sizes.heads, sizes.width});
    y = n.e.transpose(y, {0, 2, 1, 3});
  }
  return n.result(y);
}
