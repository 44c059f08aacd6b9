// The loops behind AttentionKernels.
// Included by AttentionAvx2.cpp and AttentionAvx512.cpp. Scores live as blocks of 64 keys x 64
// queries with the queries in the lanes: what softmax does with a row is then done by whole
// vectors, and every product below finds its operands without a transpose except the packed ones.
// The including file defines TileRows (most rows of a tile) and TileVectors (its width / 16).

#ifndef DSC_RUNTIME_CPU_ATTENTIONKERNELBODIES_H
#define DSC_RUNTIME_CPU_ATTENTIONKERNELBODIES_H

#include "runtime/cpu/AttentionKernels.h"
#include "runtime/cpu/GemmKernelBodies.h"

namespace {

constexpr int64_t blockRows = DSC_ATTENTION_BLOCK;
constexpr float infinity = __builtin_inff();

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/// c[rows, columns] (+)= sum over p of a(r, p) * b[p, columns], where a(r, p) = a[r * Apart + p *
/// aStride] with Apart 1 or a block's row.
template <int Apart>
void product(int64_t rows, int64_t columns, int64_t k, const float *a, int64_t aStride,
             const float *b, int64_t bStride, float *c, int64_t cStride, bool accumulate) {
  constexpr int64_t tileColumns = tileVectors * laneCount;
  dsc::TileEnd end;
  end.accumulate = accumulate;
  int64_t panels = (rows + tileRows - 1) / tileRows;
  for (int64_t j = 0; j < columns; j += tileColumns) {
    int width = static_cast<int>(least(columns - j, tileColumns));
    for (int64_t i = 0; i < panels; ++i) {
      int64_t first = rows * i / panels, last = rows * (i + 1) / panels;
      tileFunction<Apart>(static_cast<int>(last - first),
                          width)(width, k, a + first * Apart, aStride, b + j, bStride,
                                 c + first * cStride + j, cStride, end);
    }
  }
}

/// What one item knows of its place.
struct Head {
  const dsc::AttentionShape &shape;
  int64_t batch, head, kvHead;

  int64_t at(const int64_t (&strides)[3], int64_t position, int64_t which) const {
    return batch * strides[0] + position * strides[1] + which * strides[2];
  }
  int64_t row(int64_t query) const { return (batch * shape.heads + head) * shape.qLength + query; }
};

/// Cuts a thread's scratch into buffers, each aligned to a cache line.
struct Buffers {
  float *next;
  float *take(int64_t floats) {
    float *result = next;
    next += (floats + laneCount - 1) / laneCount * laneCount;
    return result;
  }
};

/// Rows of an operand that tiles can read in place, or a copy whose rows end at a whole vector.
struct Rows {
  const float *data;
  int64_t stride;
};

inline Rows wholeVectors(const float *from, int64_t stride, int64_t rows, int64_t width,
                         float *copy) {
  if (width % laneCount == 0) {
    return {from, stride};
  }
  int64_t padded = (width + laneCount - 1) / laneCount * laneCount;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < padded; j += laneCount) {
      int count = static_cast<int>(least(width - j, laneCount));
      store(copy + i * padded + j, loadFirst(from + i * stride + j, count));
    }
  }
  return {copy, padded};
}

/// The additive mask of a block with queries in the lanes: [keys][Block]; hidden is -infinity.
/// Null if nothing is masked.
inline const float *maskBlock(const Head &head, const void *mask, int64_t q0, int64_t queries,
                              int64_t k0, int64_t keys, float *block) {
  const dsc::AttentionShape &shape = head.shape;
  bool diagonal = shape.causal && k0 + keys - 1 > q0;
  if (!mask && !diagonal) {
    return nullptr;
  }
  int64_t lanes = (queries + laneCount - 1) / laneCount * laneCount;
  if (mask) {
    const int64_t *strides = shape.maskStrides;
    int64_t origin =
        head.batch * strides[0] + head.head * strides[1] + q0 * strides[2] + k0 * strides[3];
    bool isBool = shape.maskType == DSC_BOOL;
    const float *floats = static_cast<const float *>(mask) + (isBool ? 0 : origin);
    const uint8_t *bools = static_cast<const uint8_t *>(mask) + (isBool ? origin : 0);
    auto value = [&](int64_t q, int64_t key) {
      int64_t offset = q * strides[2] + key * strides[3];
      return isBool ? (bools[offset] ? 0.0f : -infinity) : floats[offset];
    };
    int64_t key = 0;
    if (!isBool && strides[3] == 1 && strides[2] != 0 && queries == blockRows) {
      for (; key + laneCount <= keys; key += laneCount) {
        for (int64_t q = 0; q < blockRows; q += laneCount) {
          transposeBlock(laneCount, floats + q * strides[2] + key, strides[2],
                         block + key * blockRows + q, blockRows);
        }
      }
    }
    for (; key < keys; ++key) {
      float *row = block + key * blockRows;
      if (strides[2] == 0) {
        Vec all = splat(value(0, key));
        for (int64_t q = 0; q < lanes; q += laneCount) {
          store(row + q, all);
        }
        continue;
      }
      for (int64_t q = 0; q < lanes; ++q) {
        row[q] = q < queries ? value(q, key) : 0.0f;
      }
    }
  }
  if (diagonal) {
    IntVec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int64_t key = 0; key < keys; ++key) {
      for (int64_t q = 0; q < lanes; q += laneCount) {
        // Key k0 + key is visible to query q0 + q + lane iff it is not later.
        IntVec visible = lane >= static_cast<int32_t>(k0 + key - q0 - q);
        Vec old = mask ? load(block + key * blockRows + q) : splat(0.0f);
        store(block + key * blockRows + q, visible ? old : splat(-infinity));
      }
    }
  }
  return block;
}

/// Running softmax of 16 queries: raw scores become probabilities against the running maximum.
/// Returns the factor by which what was summed so far shrinks.
inline Vec softmaxLanes(float *scores, const float *mask, int64_t keys, Vec scale, Vec &largest,
                        Vec &sum) {
  Vec high = largest;
  for (int64_t key = 0; key < keys; ++key) {
    Vec x = load(scores + key * blockRows) * scale;
    if (mask) {
      x += load(mask + key * blockRows);
    }
    store(scores + key * blockRows, x);
    high = maxOf(x, high);
  }
  // Nothing visible yet: any finite reference gives the zeros that are wanted.
  Vec reference = high == -infinity ? splat(0.0f) : high;
  Vec shrink = exponential(largest - reference);
  Vec total = sum * shrink;
  for (int64_t key = 0; key < keys; ++key) {
    Vec p = exponential(load(scores + key * blockRows) - reference);
    store(scores + key * blockRows, p);
    total += p;
  }
  largest = high;
  sum = total;
  return shrink;
}

void attentionForward(const dsc::AttentionShape &shape,
                      const dsc::AttentionOperands<float> &operands, int64_t item, void *scratch,
                      int64_t) {
  int64_t blocks = (shape.qLength + blockRows - 1) / blockRows;
  int64_t width = shape.width;
  Head head{shape, item / blocks / shape.heads, item / blocks % shape.heads, 0};
  head.kvHead = head.head / (shape.heads / shape.kvHeads);
  // Later blocks see more keys: they come first, so that no long one is left for the end.
  int64_t q0 = (blocks - 1 - item % blocks) * blockRows;
  int64_t queries = least(shape.qLength - q0, blockRows);
  int64_t lanes = (queries + laneCount - 1) / laneCount * laneCount;

  Buffers buffers{static_cast<float *>(scratch)};
  float *qT = buffers.take(width * blockRows), *kT = buffers.take(width * blockRows);
  float *oT = buffers.take(width * blockRows), *scores = buffers.take(blockRows * blockRows);
  float *maskMemory = buffers.take(blockRows * blockRows);
  Vec scale = splat(static_cast<float>(shape.scale));
  Vec largest[blockRows / laneCount], sum[blockRows / laneCount];
  for (int64_t g = 0; g < blockRows / laneCount; ++g) {
    largest[g] = splat(-infinity);
    sum[g] = splat(0.0f);
  }

  packColumns<blockRows>(static_cast<int>(queries), width,
                         operands.q + head.at(shape.qStrides, q0, head.head), 1, shape.qStrides[1],
                         qT);
  int64_t kEnd = shape.causal ? least(shape.kvLength, q0 + queries) : shape.kvLength;
  for (int64_t k0 = 0; k0 < kEnd; k0 += blockRows) {
    int64_t keys = least(kEnd - k0, blockRows);
    packColumns<blockRows>(static_cast<int>(keys), width,
                           operands.k + head.at(shape.kStrides, k0, head.kvHead), 1,
                           shape.kStrides[1], kT);
    product<1>(keys, lanes, width, kT, blockRows, qT, blockRows, scores, blockRows, false);
    const float *mask = maskBlock(head, operands.mask, q0, queries, k0, keys, maskMemory);
    for (int64_t g = 0; g * laneCount < lanes; ++g) {
      Vec shrink = softmaxLanes(scores + g * laneCount, mask ? mask + g * laneCount : nullptr, keys,
                                scale, largest[g], sum[g]);
      if (k0 > 0 && __builtin_reduce_and(shrink == 1.0f) == 0) {
        for (int64_t d = 0; d < width; ++d) {
          float *at = oT + d * blockRows + g * laneCount;
          store(at, load(at) * shrink);
        }
      }
    }
    product<1>(width, lanes, keys, operands.v + head.at(shape.vStrides, k0, head.kvHead),
               shape.vStrides[1], scores, blockRows, oT, blockRows, k0 > 0);
  }

  for (int64_t g = 0; g * laneCount < lanes; ++g) {
    int count = static_cast<int>(least(queries - g * laneCount, laneCount));
    Vec inverse = sum[g] == 0.0f ? splat(0.0f) : 1.0f / sum[g];
    storeFirst(operands.lse + head.row(q0 + g * laneCount), largest[g] + logarithm(sum[g]), count);
    float *o = operands.o + head.at(shape.oStrides, q0 + g * laneCount, head.head);
    for (int64_t d = 0; d < width; d += laneCount) {
      int columns = static_cast<int>(least(width - d, laneCount));
      alignas(64) float rows[laneCount * laneCount], turned[laneCount * laneCount];
      for (int i = 0; i < laneCount; ++i) {
        store(rows + i * laneCount,
              i < columns ? load(oT + (d + i) * blockRows + g * laneCount) * inverse : splat(0.0f));
      }
      transposeBlock(laneCount, rows, laneCount, turned, laneCount);
      for (int i = 0; i < count; ++i) {
        storeFirst(o + i * shape.oStrides[1] + d, load(turned + i * laneCount), columns);
      }
    }
  }
}

/// From raw scores and dP: P in `scores`, dS (with the scale) in `dScores`.
inline void gradientLanes(float *scores, float *dScores, const float *mask, int64_t keys, Vec scale,
                          Vec lse, Vec share, Vec delta) {
  for (int64_t key = 0; key < keys; ++key) {
    Vec x = load(scores + key * blockRows) * scale;
    if (mask) {
      x += load(mask + key * blockRows);
    }
    Vec p = exponential(x - lse) * share;
    store(scores + key * blockRows, p);
    store(dScores + key * blockRows, p * (load(dScores + key * blockRows) - delta) * scale);
  }
}

/// Packed transposes of a block of q and of d_o.
struct Turned {
  float *q, *dO;
};

/// Whether the logarithm of a sum is lost in `lse`; not so where nothing is visible.
inline bool losesSum(float lse) {
  return (lse > float(dsc::largestExactLse) || lse < -float(dsc::largestExactLse)) &&
         lse < infinity && lse > -infinity;
}

/// Sums the rows of a block of queries again, for their `share`: 1 / sum of e^(score - lse).
void shareOfBlock(const Head &head, const dsc::AttentionOperands<float> &operands, int64_t q0,
                  int64_t queries, void *scratch) {
  const dsc::AttentionShape &shape = head.shape;
  int64_t width = shape.width, lanes = (queries + laneCount - 1) / laneCount * laneCount;
  Buffers buffers{static_cast<float *>(scratch)};
  float *qT = buffers.take(width * blockRows), *kT = buffers.take(width * blockRows);
  float *scores = buffers.take(blockRows * blockRows);
  float *maskMemory = buffers.take(blockRows * blockRows);
  Vec scale = splat(static_cast<float>(shape.scale));
  Vec sum[blockRows / laneCount] = {};
  packColumns<blockRows>(static_cast<int>(queries), width,
                         operands.q + head.at(shape.qStrides, q0, head.head), 1, shape.qStrides[1],
                         qT);
  int64_t kEnd = shape.causal ? least(shape.kvLength, q0 + queries) : shape.kvLength;
  for (int64_t k0 = 0; k0 < kEnd; k0 += blockRows) {
    int64_t keys = least(kEnd - k0, blockRows);
    packColumns<blockRows>(static_cast<int>(keys), width,
                           operands.k + head.at(shape.kStrides, k0, head.kvHead), 1,
                           shape.kStrides[1], kT);
    product<1>(keys, lanes, width, kT, blockRows, qT, blockRows, scores, blockRows, false);
    const float *mask = maskBlock(head, operands.mask, q0, queries, k0, keys, maskMemory);
    for (int64_t g = 0; g * laneCount < lanes; ++g) {
      int count = static_cast<int>(least(queries - g * laneCount, laneCount));
      Vec lse = loadFirst(operands.lse + head.row(q0 + g * laneCount), count);
      for (int64_t key = 0; key < keys; ++key) {
        int64_t at = key * blockRows + g * laneCount;
        Vec x = load(scores + at) * scale;
        if (mask) {
          x += load(mask + at);
        }
        sum[g] += exponential(x - lse);
      }
    }
  }
  for (int64_t query = 0; query < queries; ++query) {
    int64_t row = head.row(q0 + query);
    if (losesSum(operands.lse[row])) {
      operands.share[row] = 1.0f / sum[query / laneCount][query % laneCount];
    }
  }
}

void attentionRowSums(const dsc::AttentionShape &shape,
                      const dsc::AttentionOperands<float> &operands, int64_t item, void *scratch) {
  Head head{shape, item / shape.heads, item % shape.heads, 0};
  head.kvHead = head.head / (shape.heads / shape.kvHeads);
  for (int64_t query = 0; query < shape.qLength; ++query) {
    const float *o = operands.o + head.at(shape.oStrides, query, head.head);
    const float *dO = operands.dO + head.at(shape.oStrides, query, head.head);
    Vec dot = splat(0.0f);
    for (int64_t d = 0; d < shape.width; d += laneCount) {
      int count = static_cast<int>(least(shape.width - d, laneCount));
      dot = fma(loadFirst(o + d, count), loadFirst(dO + d, count), dot);
    }
    operands.delta[head.row(query)] = sumOf(dot);
    operands.share[head.row(query)] = 1.0f;
  }
  for (int64_t q0 = 0; q0 < shape.qLength; q0 += blockRows) {
    int64_t queries = least(shape.qLength - q0, blockRows);
    bool lost = false;
    for (int64_t query = q0; query < q0 + queries; ++query) {
      lost |= losesSum(operands.lse[head.row(query)]);
    }
    if (lost) {
      shareOfBlock(head, operands, q0, queries, scratch);
    }
  }
}

void attentionBackward(const dsc::AttentionShape &shape,
                       const dsc::AttentionOperands<float> &operands,
                       const dsc::AttentionPart &part, void *scratch, int64_t scratchBytes) {
  int64_t width = shape.width, group = shape.heads / shape.kvHeads;
  Head head{shape, part.batch, 0, part.kvHead};

  Buffers buffers{static_cast<float *>(scratch)};
  float *kT = buffers.take(width * blockRows), *vT = buffers.take(width * blockRows);
  float *scores = buffers.take(blockRows * blockRows),
        *dScores = buffers.take(blockRows * blockRows);
  float *maskMemory = buffers.take(blockRows * blockRows);
  int64_t padded = (width + laneCount - 1) / laneCount * laneCount;
  int64_t copyFloats = width % laneCount ? padded * blockRows : 0;
  float *kCopy = buffers.take(copyFloats), *qCopy = buffers.take(copyFloats);
  float *dOCopy = buffers.take(copyFloats);
  // The transposes of all blocks of queries are kept if they fit; else they are made again for
  // every block of keys.
  int64_t turnedFloats = 2 * width * blockRows, qBlocks = part.qEnd - part.qBegin;
  int64_t room =
      scratchBytes / int64_t(sizeof(float)) - (buffers.next - static_cast<float *>(scratch));
  bool keep = (part.headEnd - part.headBegin) * qBlocks * turnedFloats <= room;
  auto turnedOf = [&](int64_t h, int64_t i) {
    int64_t slot = keep ? (h - part.headBegin) * qBlocks + i - part.qBegin : 0;
    float *at = buffers.next + slot * turnedFloats;
    return Turned{at, at + width * blockRows};
  };
  auto turn = [&](const Turned &to, int64_t q0, int64_t queries) {
    packColumns<blockRows>(static_cast<int>(queries), width,
                           operands.q + head.at(shape.qStrides, q0, head.head), 1,
                           shape.qStrides[1], to.q);
    packColumns<blockRows>(static_cast<int>(queries), width,
                           operands.dO + head.at(shape.oStrides, q0, head.head), 1,
                           shape.oStrides[1], to.dO);
  };
  for (int64_t h = part.headBegin; keep && h < part.headEnd; ++h) {
    head.head = head.kvHead * group + h;
    for (int64_t i = part.qBegin; i < part.qEnd; ++i) {
      turn(turnedOf(h, i), i * blockRows, least(shape.qLength - i * blockRows, blockRows));
    }
  }

  Vec scale = splat(static_cast<float>(shape.scale));
  for (int64_t k0 = part.kBegin * blockRows; k0 < least(part.kEnd * blockRows, shape.kvLength);
       k0 += blockRows) {
    int64_t keys = least(shape.kvLength - k0, blockRows);
    const float *k = operands.k + head.at(shape.kStrides, k0, head.kvHead);
    const float *v = operands.v + head.at(shape.vStrides, k0, head.kvHead);
    float *dk = operands.dk + head.at(shape.kStrides, k0, head.kvHead);
    float *dv = operands.dv + head.at(shape.vStrides, k0, head.kvHead);
    packColumns<blockRows>(static_cast<int>(keys), width, k, 1, shape.kStrides[1], kT);
    packColumns<blockRows>(static_cast<int>(keys), width, v, 1, shape.vStrides[1], vT);
    Rows kRows = wholeVectors(k, shape.kStrides[1], keys, width, kCopy);
    bool first = true;
    for (int64_t h = part.headBegin; h < part.headEnd; ++h) {
      head.head = head.kvHead * group + h;
      for (int64_t i = part.qBegin; i < part.qEnd; ++i) {
        // Blocks of queries before the keys see none of them.
        int64_t q0 = i * blockRows;
        if (shape.causal && q0 < k0) {
          continue;
        }
        int64_t queries = least(shape.qLength - q0, blockRows);
        int64_t lanes = (queries + laneCount - 1) / laneCount * laneCount;
        Turned turned = turnedOf(h, i);
        if (!keep) {
          turn(turned, q0, queries);
        }
        product<1>(keys, lanes, width, kT, blockRows, turned.q, blockRows, scores, blockRows,
                   false);
        product<1>(keys, lanes, width, vT, blockRows, turned.dO, blockRows, dScores, blockRows,
                   false);
        const float *mask = maskBlock(head, operands.mask, q0, queries, k0, keys, maskMemory);
        for (int64_t g = 0; g * laneCount < lanes; ++g) {
          int count = static_cast<int>(least(queries - g * laneCount, laneCount));
          Vec lse = loadFirst(operands.lse + head.row(q0 + g * laneCount), count);
          // A row that sees nothing has probabilities of 0, not of e^(infinity - infinity).
          lse = lse == -infinity ? splat(infinity) : lse;
          Vec delta = loadFirst(operands.delta + head.row(q0 + g * laneCount), count);
          Vec share = loadFirst(operands.share + head.row(q0 + g * laneCount), count);
          gradientLanes(scores + g * laneCount, dScores + g * laneCount,
                        mask ? mask + g * laneCount : nullptr, keys, scale, lse, share, delta);
        }
        if (part.wantKv) {
          Rows qRows = wholeVectors(operands.q + head.at(shape.qStrides, q0, head.head),
                                    shape.qStrides[1], queries, width, qCopy);
          Rows dORows = wholeVectors(operands.dO + head.at(shape.oStrides, q0, head.head),
                                     shape.oStrides[1], queries, width, dOCopy);
          product<blockRows>(keys, width, queries, scores, 1, dORows.data, dORows.stride, dv,
                             shape.vStrides[1], !first);
          product<blockRows>(keys, width, queries, dScores, 1, qRows.data, qRows.stride, dk,
                             shape.kStrides[1], !first);
          first = false;
        }
        if (part.wantQ) {
          product<1>(queries, width, keys, dScores, blockRows, kRows.data, kRows.stride,
                     operands.dq + head.at(shape.qStrides, q0, head.head), shape.qStrides[1],
                     k0 > 0);
        }
      }
    }
    for (int64_t key = 0; part.wantKv && first && key < keys; ++key) {
      __builtin_memset(dk + key * shape.kStrides[1], 0, static_cast<size_t>(width) * sizeof(float));
      __builtin_memset(dv + key * shape.vStrides[1], 0, static_cast<size_t>(width) * sizeof(float));
    }
  }
}

} // namespace

#endif // DSC_RUNTIME_CPU_ATTENTIONKERNELBODIES_H
