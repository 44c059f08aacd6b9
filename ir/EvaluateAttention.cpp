// Evaluation of attention and its gradients, with the whole matrix of probabilities in memory.

#include "ir/Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

namespace {
/// Where the parts of q, k and v lie in one packed operand or three.
struct Parts {
  template <typename OpT>
  Parts(OpT op, ArrayRef<EvaluatedTensor> qkv)
      : heads(op.getHeads()), kvHeads(op.getKvHeads()), packed(qkv.size() == 1),
        batch(qkv[0].shape()[0]), qLength(qkv[0].shape()[1]),
        kvLength(packed ? qLength : qkv[1].shape()[1]),
        width(qkv[0].shape()[2] / (packed ? heads + 2 * kvHeads : heads)) {}

  /// Operand and first element of q (part 0), k (1) or v (2) at a position, for query head `head`.
  std::pair<int, int64_t> at(int part, int64_t sample, int64_t position, int64_t head) const {
    int64_t columns = (packed ? heads + 2 * kvHeads : part == 0 ? heads : kvHeads) * width;
    int64_t first = packed ? (part == 0 ? 0 : heads + (part - 1) * kvHeads) : 0;
    int64_t own = part == 0 ? head : head / (heads / kvHeads);
    int64_t row = sample * (part == 0 ? qLength : kvLength) + position;
    return {packed ? 0 : part, row * columns + (first + own) * width};
  }

  int64_t heads, kvHeads;
  bool packed;
  int64_t batch, qLength, kvLength, width;
};
} // namespace

/// Scores of one query row before the softmax; -inf where hidden.
template <typename OpT>
static std::vector<double> scores(OpT op, const Parts &parts, ArrayRef<EvaluatedTensor> qkv,
                                  const EvaluatedTensor *mask, int64_t n, int64_t head, int64_t i) {
  std::vector<double> row(parts.kvLength);
  auto [qPart, qAt] = parts.at(0, n, i, head);
  for (int64_t j = 0; j < parts.kvLength; ++j) {
    auto [kPart, kAt] = parts.at(1, n, j, head);
    for (int64_t d = 0; d < parts.width; ++d) {
      row[j] += qkv[qPart].floats[qAt + d] * qkv[kPart].floats[kAt + d];
    }
    row[j] *= op.getScale().convertToDouble();
    if (op.getCausal() && j > i) {
      row[j] = -INFINITY;
    }
    if (mask) {
      int64_t position = 0;
      const int64_t index[] = {n, head, i, j};
      for (size_t k = 0; k < 4; ++k) {
        position = position * mask->shape()[k] + (mask->shape()[k] == 1 ? 0 : index[k]);
      }
      row[j] = mask->isFloat()            ? row[j] + mask->floats[position]
               : mask->integers[position] ? row[j]
                                          : -INFINITY;
    }
  }
  return row;
}

template <typename OpT, typename Visitor>
static void forEachQuery(OpT op, const Parts &parts, Visitor visit) {
  for (int64_t n = 0; n < parts.batch; ++n) {
    for (int64_t head = 0; head < parts.heads; ++head) {
      for (int64_t i = 0; i < parts.qLength; ++i) {
        visit(n, head, i);
      }
    }
  }
}

static void evaluateForward(AttentionOp op, ArrayRef<EvaluatedTensor> operands,
                            EvaluatedTensor &out, EvaluatedTensor &lse) {
  ArrayRef<EvaluatedTensor> qkv = operands.take_front(op.getQkv().size());
  const EvaluatedTensor *mask = op.getMask() ? &operands[qkv.size()] : nullptr;
  Parts parts(op, qkv);
  forEachQuery(op, parts, [&](int64_t n, int64_t head, int64_t i) {
    std::vector<double> row = scores(op, parts, qkv, mask, n, head, i);
    double largest = *std::max_element(row.begin(), row.end()), sum = 0;
    for (double score : row) {
      sum += std::isinf(largest) ? 0 : std::exp(score - largest);
    }
    double &total = lse.floats[(n * parts.heads + head) * parts.qLength + i];
    total = sum > 0 ? largest + std::log(sum) : -INFINITY;
    double *o = out.floats.data() + ((n * parts.qLength + i) * parts.heads + head) * parts.width;
    for (int64_t j = 0; sum > 0 && j < parts.kvLength; ++j) {
      auto [vPart, vAt] = parts.at(2, n, j, head);
      for (int64_t d = 0; d < parts.width; ++d) {
        o[d] += std::exp(row[j] - total) * qkv[vPart].floats[vAt + d];
      }
    }
  });
}

static void evaluateBackward(AttentionGradOp op, ArrayRef<EvaluatedTensor> operands,
                             std::vector<EvaluatedTensor> &results) {
  ArrayRef<EvaluatedTensor> qkv = operands.take_front(op.getQkv().size());
  const EvaluatedTensor *mask = op.getMask() ? &operands[qkv.size()] : nullptr;
  ArrayRef<EvaluatedTensor> rest = operands.take_back(3);
  const EvaluatedTensor &out = rest[0], &lse = rest[1], &dout = rest[2];
  Parts parts(op, qkv);
  double scale = op.getScale().convertToDouble();
  forEachQuery(op, parts, [&](int64_t n, int64_t head, int64_t i) {
    std::vector<double> row = scores(op, parts, qkv, mask, n, head, i);
    double total = lse.floats[(n * parts.heads + head) * parts.qLength + i], delta = 0;
    int64_t at = ((n * parts.qLength + i) * parts.heads + head) * parts.width;
    for (int64_t d = 0; d < parts.width; ++d) {
      delta += out.floats[at + d] * dout.floats[at + d];
    }
    // The logarithm of the sum is rounded off where every score is very negative.
    double sum = 0;
    for (double score : row) {
      sum += std::exp(score - total);
    }
    auto [qPart, qAt] = parts.at(0, n, i, head);
    for (int64_t j = 0; std::isfinite(total) && j < parts.kvLength; ++j) {
      auto [kPart, kAt] = parts.at(1, n, j, head);
      auto [vPart, vAt] = parts.at(2, n, j, head);
      double p = std::exp(row[j] - total) / sum, dp = 0;
      for (int64_t d = 0; d < parts.width; ++d) {
        results[vPart].floats[vAt + d] += p * dout.floats[at + d];
        dp += dout.floats[at + d] * qkv[vPart].floats[vAt + d];
      }
      double ds = p * (dp - delta) * scale;
      for (int64_t d = 0; d < parts.width; ++d) {
        results[qPart].floats[qAt + d] += ds * qkv[kPart].floats[kAt + d];
        results[kPart].floats[kAt + d] += ds * qkv[qPart].floats[qAt + d];
      }
    }
  });
}

bool dsc::evaluateAttention(Operation *op, ArrayRef<EvaluatedTensor> operands,
                            std::vector<EvaluatedTensor> &results) {
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    evaluateForward(attention, operands, results[0], results[1]);
    return true;
  }
  if (auto grad = dyn_cast<AttentionGradOp>(op)) {
    evaluateBackward(grad, operands, results);
    return true;
  }
  return false;
}
