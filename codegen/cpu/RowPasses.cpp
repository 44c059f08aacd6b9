// Emission of a row's passes.

#include "codegen/cpu/RowPasses.h"

#include "codegen/EmitElementwise.h"
#include "codegen/cpu/VectorSum.h"

#include "runtime/abi.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace dsc;

// Bytes of stack for values kept between passes: what the second-level cache holds; more is
// computed again.
static constexpr int64_t kMaxKeptBytes = 256 << 10;

static Type elementOf(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

RowPasses::RowPasses(BodyEmitter &body, int64_t columnStage, bool storeResults)
    : body_(body), space_(body.space()), columnStage_(columnStage), storeResults_(storeResults) {
  for (ReduceOp reduce : space_.columnReductions()) {
    if (space_.columnStage(reduce) == columnStage + 1) {
      lastPass_ = std::max(lastPass_, space_.rowStage(reduce.getX()));
    }
  }
  if (storeResults) {
    for (Value yielded : space_.kernel().getBody().front().getTerminator()->getOperands()) {
      lastPass_ = std::max(lastPass_, space_.rowStage(yielded));
    }
  }
  planBuffers();
}

SmallVector<ReduceOp> RowPasses::reductionsOf(int64_t pass) const {
  SmallVector<ReduceOp> reductions;
  for (ReduceOp reduce : space_.rowReductions()) {
    if (pass < lastPass_ && space_.rowStage(reduce) == pass + 1 &&
        space_.columnStage(reduce) <= columnStage_) {
      reductions.push_back(reduce);
    }
  }
  return reductions;
}

SmallVector<Value> RowPasses::roots(int64_t pass) const {
  SmallVector<Value> roots;
  for (ReduceOp reduce : reductionsOf(pass)) {
    roots.push_back(reduce.getX());
  }
  if (pass == lastPass_) {
    for (ReduceOp reduce : space_.columnReductions()) {
      if (space_.columnStage(reduce) == columnStage_ + 1) {
        roots.push_back(reduce.getX());
      }
    }
    if (storeResults_) {
      for (auto [i, yielded] :
           llvm::enumerate(space_.kernel().getBody().front().getTerminator()->getOperands())) {
        if (space_.isFullResult(i) && !space_.isColumnResult(i)) {
          roots.push_back(yielded);
        }
      }
    }
  }
  return roots;
}

void RowPasses::planBuffers() {
  kept_.resize(lastPass_ + 1);
  // What each pass so far has computed, but for what it read back.
  DenseMap<Value, int64_t> computedIn;
  llvm::SetVector<Value> kept;
  int64_t bytes = 0;
  for (int64_t pass = 0; pass <= lastPass_; ++pass) {
    SmallVector<Value> work = roots(pass), computed;
    llvm::DenseSet<Value> seen;
    while (!work.empty()) {
      Value value = work.pop_back_val();
      Operation *op = value.getDefiningOp();
      if (!seen.insert(value).second || !op || space_.level(value) != Level::element ||
          isa<ReduceOp>(op)) {
        continue;
      }
      auto earlier = computedIn.find(value);
      if (earlier != computedIn.end() && isExpensive(op)) {
        int64_t size = space_.columns() * elementBytes(computeType(elementOf(value)));
        if (kept.contains(value)) {
          continue;
        }
        if (bytes + size <= kMaxKeptBytes) {
          bytes += size;
          kept.insert(value);
          kept_[earlier->second].push_back(value);
          continue;
        }
      }
      computed.push_back(value);
      llvm::append_range(work, op->getOperands());
    }
    for (Value value : computed) {
      computedIn.try_emplace(value, pass);
    }
  }
  for (Value value : kept) {
    // Rows end at a whole vector, so that a tail is stored and read without a mask's cost.
    buffers_[value] = body_.b.stackBuffer(computeType(elementOf(value)), space_.columns());
  }
}

LogicalResult RowPasses::emitRow(Value row, const ColumnRange &columns,
                                 ArrayRef<PartialSums> partials) {
  if (failed(body_.beginRow(row))) {
    return failure();
  }
  for (auto [value, buffer] : buffers_) {
    body_.useBuffer(value, Value());
  }
  for (int64_t pass = 0; pass <= lastPass_; ++pass) {
    if (failed(emitPass(pass, columns, partials)) ||
        (pass < lastPass_ && failed(body_.emitRowStage(pass + 1, columnStage_)))) {
      return failure();
    }
  }
  if (storeResults_) {
    for (auto [i, yielded] :
         llvm::enumerate(space_.kernel().getBody().front().getTerminator()->getOperands())) {
      if (!space_.isFullResult(i) && !space_.isColumnResult(i)) {
        body_.beginColumns(body_.b.index(0), body_.b.maskOf(1));
        FailureOr<Value> value = body_.get(yielded);
        if (failed(value)) {
          return failure();
        }
        body_.storeRowResult(i, *value);
      }
    }
  }
  return success();
}

LogicalResult RowPasses::emitPass(int64_t pass, const ColumnRange &columns,
                                  ArrayRef<PartialSums> partials) {
  VectorBuilder &b = body_.b;
  SmallVector<ReduceOp> reductions = reductionsOf(pass);
  constexpr int64_t width = VectorSum::kAccumulators;
  SmallVector<VectorSum> sums;
  SmallVector<Value> accumulators;
  for (ReduceOp reduce : reductions) {
    sums.emplace_back(b, reduce.getKind(), elementOf(reduce.getX()));
    accumulators.append(sums.back().start());
  }
  bool last = pass == lastPass_;
  auto emitColumns = [&](ValueRange slots) -> FailureOr<SmallVector<Value>> {
    SmallVector<Value> next;
    for (auto [i, reduce] : llvm::enumerate(reductions)) {
      FailureOr<Value> value = body_.get(reduce.getX());
      if (failed(value)) {
        return failure();
      }
      next.append(sums[i].add(slots.slice(i * width, width), *value, body_.mask()));
    }
    for (Value value : kept_[pass]) {
      FailureOr<Value> vector = body_.get(value);
      if (failed(vector)) {
        return failure();
      }
      b.storeVector(computeType(elementOf(value)), *vector, buffers_[value], body_.column(),
                    body_.mask());
    }
    if (!last) {
      return next;
    }
    SmallVector<Value> terms;
    for (PartialSums partial : partials) {
      FailureOr<Value> term = body_.get(partial.reduce.getX());
      if (failed(term)) {
        return failure();
      }
      terms.push_back(*term);
    }
    if (storeResults_ && failed(storeFullResults())) {
      return failure();
    }
    for (auto [each, term] : llvm::zip_equal(partials, terms)) {
      PartialSums partial = each;
      Type element = elementOf(partial.reduce.getX()), stored = computeType(element);
      Value place = b.addIndex(partial.offset, body_.column());
      Value sum = b.loadVector(stored, partial.memory, place, body_.mask());
      sum = emitCombine(b, partial.reduce.getKind(), element, sum, term);
      b.storeVector(stored, sum, partial.memory, place, body_.mask());
    }
    return next;
  };
  FailureOr<SmallVector<Value>> slots = body_.forColumns(columns, accumulators, emitColumns);
  if (failed(slots)) {
    return failure();
  }
  int64_t vectors = llvm::divideCeil(space_.columns(), DSC_LANES);
  for (auto [i, reduce] : llvm::enumerate(reductions)) {
    ValueRange mine = ValueRange(*slots).slice(i * width, width);
    body_.setRowValue(reduce, sums[i].finish(mine, vectors));
  }
  for (Value value : kept_[pass]) {
    body_.useBuffer(value, buffers_[value]);
  }
  return success();
}

LogicalResult RowPasses::storeFullResults() {
  SmallVector<std::pair<unsigned, Value>> values;
  for (auto [i, yielded] :
       llvm::enumerate(space_.kernel().getBody().front().getTerminator()->getOperands())) {
    if (space_.isFullResult(i) && !space_.isColumnResult(i)) {
      FailureOr<Value> value = body_.get(yielded);
      if (failed(value)) {
        return failure();
      }
      values.push_back({static_cast<unsigned>(i), *value});
    }
  }
  for (auto [i, value] : values) {
    body_.storeResult(i, value);
  }
  return success();
}
