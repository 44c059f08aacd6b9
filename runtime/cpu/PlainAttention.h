// Attention row by row.
// The formulas as they are written, for any element type and width: f64 checks other code with
// them. One row of scores is held at a time.

#ifndef DSC_RUNTIME_CPU_PLAINATTENTION_H
#define DSC_RUNTIME_CPU_PLAINATTENTION_H

#include "runtime/abi.h"
#include "runtime/cpu/AttentionKernels.h"

#include <cmath>
#include <limits>
#include <vector>

namespace dsc {

template <typename T> class PlainAttention {
public:
  PlainAttention(const AttentionShape &shape, const AttentionOperands<T> &operands)
      : shape(shape), operands(operands), row(static_cast<size_t>(shape.kvLength)) {}

  void forward(int64_t batch, int64_t head, int64_t query) {
    int64_t keys = visibleKeys(query), kvHead = head / (shape.heads / shape.kvHeads);
    T largest = scores(batch, head, query, keys), sum = 0;
    T reference = std::isinf(largest) && largest < 0 ? T(0) : largest;
    for (int64_t key = 0; key < keys; ++key) {
      row[size_t(key)] = std::exp(row[size_t(key)] - reference);
      sum += row[size_t(key)];
    }
    operands.lse[rowOf(batch, head, query)] = largest + std::log(sum);
    T *o = operands.o + offset(shape.oStrides, batch, query, head);
    for (int64_t d = 0; d < shape.width; ++d) {
      T total = 0;
      for (int64_t key = 0; key < keys; ++key) {
        total += row[size_t(key)] * operands.v[offset(shape.vStrides, batch, key, kvHead) + d];
      }
      o[d] = sum == T(0) ? T(0) : total / sum;
    }
  }

  /// Everything that depends on one head of k and v.
  void backward(int64_t batch, int64_t kvHead) {
    int64_t group = shape.heads / shape.kvHeads;
    for (int64_t key = 0; key < shape.kvLength; ++key) {
      for (int64_t d = 0; d < shape.width; ++d) {
        operands.dk[offset(shape.kStrides, batch, key, kvHead) + d] = 0;
        operands.dv[offset(shape.vStrides, batch, key, kvHead) + d] = 0;
      }
    }
    for (int64_t head = kvHead * group; head < (kvHead + 1) * group; ++head) {
      for (int64_t query = 0; query < shape.qLength; ++query) {
        backwardRow(batch, head, kvHead, query);
      }
    }
  }

private:
  int64_t offset(const int64_t (&strides)[3], int64_t batch, int64_t position, int64_t head) const {
    return batch * strides[0] + position * strides[1] + head * strides[2];
  }
  int64_t rowOf(int64_t batch, int64_t head, int64_t query) const {
    return (batch * shape.heads + head) * shape.qLength + query;
  }
  int64_t visibleKeys(int64_t query) const {
    return shape.causal ? std::min(query + 1, shape.kvLength) : shape.kvLength;
  }

  /// Fills `row` with masked scores; returns the largest.
  T scores(int64_t batch, int64_t head, int64_t query, int64_t keys) {
    int64_t kvHead = head / (shape.heads / shape.kvHeads);
    const T *q = operands.q + offset(shape.qStrides, batch, query, head);
    T largest = -std::numeric_limits<T>::infinity();
    for (int64_t key = 0; key < keys; ++key) {
      const T *k = operands.k + offset(shape.kStrides, batch, key, kvHead);
      T dot = 0;
      for (int64_t d = 0; d < shape.width; ++d) {
        dot += q[d] * k[d];
      }
      T x = dot * static_cast<T>(shape.scale) + maskAt(batch, head, query, key);
      row[size_t(key)] = x;
      largest = x > largest ? x : largest;
    }
    return largest;
  }

  T maskAt(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    if (!operands.mask) {
      return 0;
    }
    const int64_t *strides = shape.maskStrides;
    int64_t at = batch * strides[0] + head * strides[1] + query * strides[2] + key * strides[3];
    switch (shape.maskType) {
    case DSC_BOOL:
      return static_cast<const uint8_t *>(operands.mask)[at] ? T(0)
                                                             : -std::numeric_limits<T>::infinity();
    case DSC_F32:
      return static_cast<T>(static_cast<const float *>(operands.mask)[at]);
    default:
      return static_cast<T>(static_cast<const double *>(operands.mask)[at]);
    }
  }

  void backwardRow(int64_t batch, int64_t head, int64_t kvHead, int64_t query) {
    int64_t keys = visibleKeys(query);
    scores(batch, head, query, keys);
    int64_t at = offset(shape.qStrides, batch, query, head);
    int64_t outAt = offset(shape.oStrides, batch, query, head);
    const T *q = operands.q + at, *o = operands.o + outAt, *dO = operands.dO + outAt;
    T *dq = operands.dq + at;
    T lse = operands.lse[rowOf(batch, head, query)], delta = 0;
    for (int64_t d = 0; d < shape.width; ++d) {
      delta += o[d] * dO[d];
      dq[d] = 0;
    }
    if (std::isinf(lse) && lse < 0) {
      return; // sees nothing
    }
    T share = 1;
    if (std::abs(lse) > T(largestExactLse)) {
      T sum = 0;
      for (int64_t key = 0; key < keys; ++key) {
        sum += std::exp(row[size_t(key)] - lse);
      }
      share = 1 / sum;
    }
    for (int64_t key = 0; key < keys; ++key) {
      int64_t kAt = offset(shape.kStrides, batch, key, kvHead);
      int64_t vAt = offset(shape.vStrides, batch, key, kvHead);
      T p = std::exp(row[size_t(key)] - lse) * share, dP = 0;
      for (int64_t d = 0; d < shape.width; ++d) {
        dP += dO[d] * operands.v[vAt + d];
        operands.dv[vAt + d] += p * dO[d];
      }
      T dS = p * (dP - delta) * static_cast<T>(shape.scale);
      for (int64_t d = 0; d < shape.width; ++d) {
        dq[d] += dS * operands.k[kAt + d];
        operands.dk[kAt + d] += dS * q[d];
      }
    }
  }

  const AttentionShape &shape;
  const AttentionOperands<T> &operands;
  std::vector<T> row;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_PLAINATTENTION_H
