// A row's passes. No thread leaves before the others: what lies behind a row or behind the last row
// is computed from elements that exist, counts as nothing and is not stored.

#include "codegen/cuda/RowEmitter.h"

#include "codegen/EmitElementwise.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;
using arith::CmpIPredicate;

// Vectors of a thread that are emitted one by one.
static constexpr int64_t kMaxSteps = 10;

static Type elementOf(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

Value cuda::combineLanes(CudaBuilder &b, ReduceKind kind, Type element, Value vector) {
  int64_t lanes = cast<VectorType>(vector.getType()).getNumElements();
  for (int64_t half = lanes / 2; half > 0; half /= 2) {
    auto part = [&](int64_t first) {
      return b.create<vector::ExtractStridedSliceOp>(vector, ArrayRef<int64_t>{first},
                                                     ArrayRef<int64_t>{half}, ArrayRef<int64_t>{1});
    };
    vector = emitCombine(b, kind, element, part(0), part(half));
  }
  return b.extractLane(vector, 0);
}

RowEmitter::RowEmitter(cuda::BodyEmitter &body, const RowLayout &layout, const ColumnSpan &span,
                       int64_t columnStage, bool storeResults)
    : body_(body), b(body.b), space_(body.space()), layout_(layout), span_(span),
      columnStage_(columnStage), storeResults_(storeResults) {
  for (ReduceOp reduce : space_.columnReductions()) {
    if (space_.columnStage(reduce) == columnStage + 1) {
      partials_.push_back(reduce);
      lastPass_ = std::max(lastPass_, space_.rowStage(reduce.getX()));
    }
  }
  int64_t dear = 0;
  for (Operation &op : space_.kernel().getBody().front().without_terminator()) {
    dear += isExpensive(&op) && space_.level(op.getResult(0)) == Level::element;
  }
  int64_t registers = span.steps * layout.lanes;
  keepDear_ = dear * registers <= RowLayout::keptRegisters / 2;
  keepAll_ = valuesOfSeveralPasses() * registers <= RowLayout::keptRegisters / 2;
  if (storeResults) {
    for (Value yielded : space_.kernel().getBody().front().getTerminator()->getOperands()) {
      lastPass_ = std::max(lastPass_, space_.rowStage(yielded));
    }
  }
}

int64_t RowEmitter::valuesOfSeveralPasses() const {
  int64_t count = 0;
  for (Operation &op : space_.kernel().getBody().front().without_terminator()) {
    for (Value value : op.getResults()) {
      auto isLater = [&](Operation *user) {
        return user->getNumResults() == 1 && space_.level(user->getResult(0)) == Level::element &&
               space_.rowStage(user->getResult(0)) > space_.rowStage(value);
      };
      count += space_.level(value) == Level::element && llvm::any_of(value.getUsers(), isLater);
    }
  }
  return count;
}

SmallVector<ReduceOp> RowEmitter::reductionsOf(int64_t pass) const {
  SmallVector<ReduceOp> reductions;
  for (ReduceOp reduce : space_.rowReductions()) {
    if (pass < lastPass_ && space_.rowStage(reduce) == pass + 1 &&
        space_.columnStage(reduce) <= columnStage_) {
      reductions.push_back(reduce);
    }
  }
  return reductions;
}

SmallVector<unsigned> RowEmitter::resultsOfRows() const {
  SmallVector<unsigned> results;
  for (unsigned i = 0; storeResults_ && i < space_.kernel()->getNumResults(); ++i) {
    if (!space_.isColumnResult(i)) {
      results.push_back(i);
    }
  }
  return results;
}

Value RowEmitter::both(Value a, Value c) {
  return !a ? c : !c ? a : b.create<arith::AndIOp>(a, c).getResult();
}

//===----------------------------------------------------------------------===//
// Vectors of a thread
//===----------------------------------------------------------------------===//

int64_t RowEmitter::columnsBelow(int64_t steps) const {
  int64_t columns = space_.columns();
  return span_.isWhole ? std::min(steps * span_.stride * layout_.lanes, columns) : columns;
}

Value RowEmitter::useStep(int64_t step) {
  Value vector = b.addIndex(span_.first, b.index(step * span_.stride)), inside;
  if (span_.isRagged && step + 1 == span_.steps) {
    inside = b.cmpi(CmpIPredicate::ult, vector, b.index(layout_.vectors));
    vector = b.create<arith::MinUIOp>(vector, b.index(layout_.vectors - 1));
  }
  // One value for each step, so that what is known of it is found again in the next pass.
  Value &column = columns_[step];
  if (!column) {
    column = b.mulIndex(vector, layout_.lanes);
    inside_[step] = inside;
  }
  body_.useVector(static_cast<unsigned>(step), column, columnsBelow(step + 1));
  return inside_[step];
}

FailureOr<SmallVector<Value>> RowEmitter::forSteps(
    SmallVector<Value> carried,
    llvm::function_ref<FailureOr<SmallVector<Value>>(Value, ArrayRef<Value>)> body) {
  if (layout_.inRegisters) {
    for (int64_t step = 0; step < span_.steps; ++step) {
      Value inside = useStep(step);
      FailureOr<SmallVector<Value>> next = body(inside, carried);
      if (failed(next)) {
        return failure();
      }
      carried = *next;
    }
    return carried;
  }
  // Whole groups of vectors in a loop, the others after it.
  bool failed = false;
  int64_t whole = span_.isRagged ? span_.steps - 1 : span_.steps, unroll = layout_.unroll,
          groups = whole / unroll;
  auto emitAt = [&](Value vector, int64_t slot, bool mayLieBehind, int64_t steps) {
    Value inside;
    if (mayLieBehind) {
      inside = b.cmpi(CmpIPredicate::ult, vector, b.index(layout_.vectors));
      vector = b.create<arith::MinUIOp>(vector, b.index(layout_.vectors - 1));
    }
    body_.useVector(static_cast<unsigned>(slot), b.mulIndex(vector, layout_.lanes),
                    columnsBelow(steps));
    FailureOr<SmallVector<Value>> next = body(inside, carried);
    failed |= mlir::failed(next);
    carried = mlir::failed(next) ? carried : *next;
  };
  if (groups > 0) {
    SmallVector<Value> before = carried;
    carried = b.loop(b.index(0), b.index(groups), 1, before, [&](Value group, ValueRange now) {
      carried.assign(now.begin(), now.end());
      body_.forgetVectors();
      Value first = b.addIndex(span_.first, b.mulIndex(group, unroll * span_.stride));
      for (int64_t i = 0; i < unroll; ++i) {
        emitAt(b.addIndex(first, b.index(i * span_.stride)), i, false, groups * unroll);
      }
      return carried;
    });
  }
  body_.forgetVectors();
  for (int64_t step = groups * unroll; step < span_.steps; ++step) {
    emitAt(b.addIndex(span_.first, b.index(step * span_.stride)), step, step >= whole, step + 1);
  }
  body_.forgetVectors();
  if (failed) {
    return failure();
  }
  return carried;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

SmallVector<Value> RowEmitter::combine(ArrayRef<ReduceOp> reductions, ArrayRef<Value> vectors) {
  SmallVector<Value> sums;
  for (auto [each, vector] : llvm::zip_equal(reductions, vectors)) {
    ReduceOp reduce = each;
    Type element = elementOf(reduce.getX());
    Value sum = combineLanes(b, reduce.getKind(), element, vector);
    for (int64_t offset = std::min(layout_.threads, kWarp) / 2; offset > 0; offset /= 2) {
      sum = emitCombine(b, reduce.getKind(), element, sum, b.shuffleXor(sum, offset));
    }
    sums.push_back(sum);
  }
  if (layout_.threads > kWarp && !reductions.empty()) {
    int64_t warps = layout_.threads / kWarp;
    Value warp = b.divIndex(b.threadIndex(), kWarp), lane = b.remIndex(b.threadIndex(), kWarp);
    SmallVector<Value> buffers;
    Value base = turn_ ? b.mulIndex(turn_, warps) : b.index(0);
    for (auto [i, each] : llvm::enumerate(reductions)) {
      ReduceOp reduce = each;
      buffers.push_back(
          b.sharedBuffer(computeType(elementOf(reduce.getX())), turn_ ? 2 * warps : warps));
    }
    b.ifThen(b.cmpi(CmpIPredicate::eq, lane, b.index(0)), [&] {
      for (auto [i, sum] : llvm::enumerate(sums)) {
        ReduceOp reduce = reductions[i];
        b.storeScalar(computeType(elementOf(reduce.getX())), sum, buffers[i],
                      b.addIndex(base, warp));
      }
    });
    b.barrier();
    for (auto [i, each] : llvm::enumerate(reductions)) {
      ReduceOp reduce = each;
      Type element = elementOf(reduce.getX()), type = computeType(element);
      Value mine = b.create<arith::MinUIOp>(lane, b.index(warps - 1));
      Value sum = b.loadScalar(type, buffers[i], b.addIndex(base, mine));
      Value isWarp = b.cmpi(CmpIPredicate::ult, lane, b.index(warps));
      sum = b.select(isWarp, sum, neutralElement(b, reduce.getKind(), element, type));
      int64_t width = static_cast<int64_t>(llvm::PowerOf2Ceil(warps));
      for (int64_t offset = kWarp / 2; offset > 0; offset /= 2) {
        if (offset < width) {
          sum = emitCombine(b, reduce.getKind(), element, sum, b.shuffleXor(sum, offset));
        }
      }
      // Lanes beyond the warps' number hold nothing; lane 0 holds all.
      sums[i] = width == kWarp ? sum : b.shuffleFirst(sum);
    }
  }
  for (auto [i, each] : llvm::enumerate(reductions)) {
    ReduceOp reduce = each;
    sums[i] = b.roundTo(elementOf(reduce.getX()), b.single(sums[i]));
  }
  return sums;
}

SmallVector<Value> RowEmitter::startSums() {
  SmallVector<Value> sums;
  for (ReduceOp reduce : partials_) {
    Type element = elementOf(reduce.getX());
    Value neutral = neutralElement(b, reduce.getKind(), element, b.vectorOf(computeType(element)));
    sums.append(add_ ? 0 : span_.steps, neutral);
  }
  return sums;
}

//===----------------------------------------------------------------------===//
// Passes
//===----------------------------------------------------------------------===//

SmallVector<Value> RowEmitter::loadRow(Value row) {
  forgetRow();
  SmallVector<Value> loaded = body_.loadRow(row);
  for (int64_t step = 0; step < span_.steps; ++step) {
    useStep(step);
    loaded.append(body_.loadVectors(row));
  }
  return loaded;
}

LogicalResult RowEmitter::emitRow(Value row, Value valid, SmallVector<Value> &sums) {
  columns_.clear();
  inside_.clear();
  ArrayRef<Value> loaded = loaded_;
  size_t scalars = body_.rowScalars();
  if (!loaded.empty()) {
    body_.takeRow(loaded.take_front(scalars));
    loaded = loaded.drop_front(scalars);
  }
  if (failed(body_.beginRow(row))) {
    return failure();
  }
  size_t vectors = loaded.size() / span_.steps;
  for (int64_t step = 0; vectors > 0 && step < span_.steps; ++step) {
    useStep(step);
    body_.takeVectors(loaded.slice(step * vectors, vectors));
  }
  for (int64_t pass = 0; pass <= lastPass_; ++pass) {
    if (failed(emitPass(pass, valid, sums))) {
      return failure();
    }
    if (pass == lastPass_) {
      break;
    }
    if (failed(body_.emitRowStage(pass + 1, columnStage_))) {
      return failure();
    }
    if (layout_.inRegisters && !keepAll_) {
      body_.endPass(keepDear_);
    } else if (!layout_.inRegisters) {
      body_.endSharedPass(/*isLast=*/pass + 1 == lastPass_);
    }
  }
  return storeRowResults(valid);
}

// -0 and not 0: it leaves every number as it is, so that the first addition is none.
Value RowEmitter::startOf(ReduceOp reduce) {
  Type element = elementOf(reduce.getX()), type = b.vectorOf(computeType(element));
  return reduce.getKind() == ReduceKind::sum && isa<FloatType>(element)
             ? b.constant(type, -0.0)
             : neutralElement(b, reduce.getKind(), element, type);
}

FailureOr<Value> RowEmitter::pickTerm(const KernelSpace::Pick &pick, Value zero) {
  FailureOr<Value> single = body_.getSingle(pick.index);
  if (failed(single)) {
    return failure();
  }
  Value number = b.extractLane(*single, 0), none = b.index(0);
  Value isColumn =
      b.cmpi(CmpIPredicate::ult, number, b.constantInt(number.getType(), space_.columns()));
  Value column = b.select(isColumn, b.create<arith::IndexCastUIOp>(b.getIndexType(), number), none);
  // The thread that has the element reads it: in place, another might have stored a result there.
  Value owner = b.remIndex(b.divIndex(column, layout_.lanes), span_.stride);
  Value isOwn = both(isColumn, b.cmpi(CmpIPredicate::eq, owner, span_.first));
  FailureOr<Value> value = body_.getAt(pick.x, b.select(isOwn, column, none));
  if (failed(value)) {
    return failure();
  }
  Value own = b.extractLane(*value, 0), nothing = b.extractLane(zero, 0);
  return b.create<vector::InsertOp>(b.select(isOwn, own, nothing), zero, ArrayRef<int64_t>{0})
      .getResult();
}

LogicalResult RowEmitter::emitPass(int64_t pass, Value valid, SmallVector<Value> &sums) {
  SmallVector<ReduceOp> reductions = reductionsOf(pass), picks;
  SmallVector<Value> picked;
  for (ReduceOp reduce : reductions) {
    if (std::optional<KernelSpace::Pick> pick = space_.pickOf(reduce); pick && span_.isWhole) {
      FailureOr<Value> term = pickTerm(*pick, startOf(reduce));
      if (failed(term)) {
        return failure();
      }
      picks.push_back(reduce);
      picked.push_back(*term);
    }
  }
  llvm::erase_if(reductions, [&](ReduceOp reduce) { return llvm::is_contained(picks, reduce); });
  if (!reductions.empty() || !picks.empty()) {
    SmallVector<Value> start =
        llvm::map_to_vector(reductions, [&](ReduceOp reduce) { return startOf(reduce); });
    FailureOr<SmallVector<Value>> vectors = forSteps(
        start, [&](Value inside, ArrayRef<Value> carried) -> FailureOr<SmallVector<Value>> {
          SmallVector<Value> next;
          for (auto [i, each] : llvm::enumerate(reductions)) {
            ReduceOp reduce = each;
            FailureOr<Value> term = body_.get(reduce.getX());
            if (failed(term)) {
              return failure();
            }
            Value counted = inside ? b.select(inside, *term, start[i]) : *term;
            next.push_back(
                emitCombine(b, reduce.getKind(), elementOf(reduce.getX()), carried[i], counted));
          }
          return next;
        });
    if (failed(vectors)) {
      return failure();
    }
    reductions.append(picks);
    vectors->append(picked);
    for (auto [reduce, sum] : llvm::zip_equal(reductions, combine(reductions, *vectors))) {
      body_.setRowValue(reduce, sum);
    }
  }
  return pass == lastPass_ ? emitLastSteps(valid, sums) : success();
}

LogicalResult RowEmitter::emitLastSteps(Value valid, SmallVector<Value> &sums) {
  SmallVector<unsigned> full;
  for (unsigned i : resultsOfRows()) {
    if (space_.isFullResult(i)) {
      full.push_back(i);
    }
  }
  if (full.empty() && partials_.empty()) {
    return success();
  }
  Operation *yield = space_.kernel().getBody().front().getTerminator();
  int64_t step = 0;
  auto emitVector = [&](Value inside, ArrayRef<Value>) -> FailureOr<SmallVector<Value>> {
    SmallVector<Value> terms, values;
    Value counts = both(inside, valid);
    for (ReduceOp reduce : partials_) {
      FailureOr<Value> term = body_.get(reduce.getX());
      if (failed(term)) {
        return failure();
      }
      Type element = elementOf(reduce.getX());
      Value neutral =
          neutralElement(b, reduce.getKind(), element, b.vectorOf(computeType(element)));
      // What a thread sums behind the row is stored nowhere.
      terms.push_back(valid ? b.select(valid, *term, neutral) : *term);
    }
    for (unsigned i : full) {
      FailureOr<Value> value = body_.get(yield->getOperand(i));
      if (failed(value)) {
        return failure();
      }
      values.push_back(*value);
    }
    auto store = [&] {
      for (auto [i, value] : llvm::zip_equal(full, values)) {
        body_.storeResult(i, value);
      }
    };
    if (counts && !full.empty()) {
      b.ifThen(counts, store);
    } else {
      store();
    }
    if (add_) {
      // The last vector of the row is its owner's alone.
      auto add = [&] {
        for (auto [i, term] : llvm::enumerate(terms)) {
          add_(i, term);
        }
      };
      if (inside) {
        b.ifThen(inside, add);
      } else {
        add();
      }
      return SmallVector<Value>();
    }
    for (auto [i, term] : llvm::enumerate(terms)) {
      Value &sum = sums[i * span_.steps + step];
      ReduceOp reduce = partials_[i];
      sum = emitCombine(b, reduce.getKind(), elementOf(reduce.getX()), sum, term);
    }
    ++step;
    return SmallVector<Value>();
  };
  return success(succeeded(forSteps({}, emitVector)));
}

LogicalResult RowEmitter::storeRowResults(Value valid) {
  Operation *yield = space_.kernel().getBody().front().getTerminator();
  SmallVector<std::pair<unsigned, Value>> results;
  for (unsigned i : resultsOfRows()) {
    if (!space_.isFullResult(i)) {
      FailureOr<Value> value = body_.getSingle(yield->getOperand(i));
      if (failed(value)) {
        return failure();
      }
      results.push_back({i, *value});
    }
  }
  if (results.empty()) {
    return success();
  }
  Value isFirst = b.cmpi(CmpIPredicate::eq, span_.first, b.index(0));
  b.ifThen(both(isFirst, valid), [&] {
    for (auto [i, value] : results) {
      body_.storeRowResult(i, value);
    }
  });
  return success();
}

RowLayout cuda::layoutRows(const KernelSpace &space) {
  RowLayout layout = RowLayout::of(space.columns());
  int64_t bytes = 0, sums = 0;
  for (Value argument : space.kernel().getBody().getArguments()) {
    Access access = space.access(argument);
    if (access.variesOverRows() && access.variesOverColumns()) {
      bytes += elementBytes(elementOf(argument));
    }
  }
  for (ReduceOp reduce : space.columnReductions()) {
    sums += elementBytes(computeType(elementOf(reduce.getY())));
  }
  int64_t perByte = layout.steps * layout.lanes;
  layout.rowRegisters = perByte * bytes / 4;
  layout.sumRegisters = perByte * sums / 4;
  layout.inRegisters = layout.rowRegisters <= RowLayout::keptRegisters &&
                       layout.sumRegisters <= RowLayout::keptRegisters && layout.steps <= kMaxSteps;
  return layout;
}

LogicalResult cuda::emitBlockRows(cuda::BodyEmitter &body, const RowLayout &layout,
                                  int64_t columnStage) {
  CudaBuilder &b = body.b;
  int64_t rows = body.space().rows();
  Value row =
      b.addIndex(b.mulIndex(b.blockIndex(), layout.rows),
                 layout.rows == 1 ? b.index(0) : b.divIndex(b.threadIndex(), layout.threads));
  Value valid;
  if (body.space().kernel().getOwnedChunks()) {
    OwnedChunks own = body.owned();
    row = b.addIndex(row, own.begin);
    valid = b.cmpi(CmpIPredicate::ult, row, own.end);
    row = b.create<arith::MinUIOp>(row, b.create<arith::SubIOp>(own.end, b.index(1)));
  } else if (rows % layout.rows != 0) {
    valid = b.cmpi(CmpIPredicate::ult, row, b.index(rows));
    row = b.create<arith::MinUIOp>(row, b.index(rows - 1));
  }
  RowEmitter emitter(body, layout, ColumnSpan::of(b, layout), columnStage, /*storeResults=*/true);
  SmallVector<Value> sums = emitter.startSums();
  return emitter.emitRow(row, valid, sums);
}

ColumnSpan ColumnSpan::of(CudaBuilder &b, const RowLayout &layout) {
  return {layout.rows == 1 ? b.threadIndex() : b.remIndex(b.threadIndex(), layout.threads),
          layout.threads, layout.steps, layout.isRagged(), /*isWhole=*/true};
}
