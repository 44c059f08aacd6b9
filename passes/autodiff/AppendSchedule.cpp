// Evaluation of the schedule's table: all pieces at once as vectors, of which the one that holds
// the update counts. f64, so that it gives what runtime/Schedule.cpp prints by the same formula.

#include "passes/autodiff/AppendSchedule.h"

#include "ir/ScheduleTable.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

namespace {
class ScheduleEvaluation {
public:
  ScheduleEvaluation(ValueBuilder &b, Value table, Value applied)
      : b(b), table(table), k(b.cast(applied, b.builder.getF64Type())) {
    Value begins = b.compare(ComparePredicate::ge, k, row(DSC_SCHEDULE_BEGIN));
    holds = b.create<AndOp>(begins, b.compare(ComparePredicate::lt, k, row(DSC_SCHEDULE_END)));
    share = shareOf();
  }

  /// start + span share of the piece that holds, or 0.
  Value number(dsc_schedule_row start, dsc_schedule_row span) {
    return chosen(b.add(row(start), b.mul(row(span), share)));
  }
  Value number(dsc_schedule_row constant) { return chosen(row(constant)); }

private:
  ValueBuilder &b;
  Value table, k, holds, share;

  /// One number of all pieces.
  Value row(dsc_schedule_row which) {
    Value part =
        b.create<SliceOp>(table, ArrayRef<int64_t>{which, 0},
                          ArrayRef<int64_t>{1, DSC_SCHEDULE_PIECES}, ArrayRef<int64_t>{1, 1});
    return b.reshape(part, {DSC_SCHEDULE_PIECES});
  }

  Value chosen(Value x) {
    return b.cast(b.sum(b.select(holds, x, b.scalar(0, x))), b.builder.getF32Type());
  }

  Value shareOf() {
    Value t = b.div(b.sub(k, row(DSC_SCHEDULE_ORIGIN)), row(DSC_SCHEDULE_WIDTH));
    Value stairs = row(DSC_SCHEDULE_STAIRS), zero = b.scalar(0, t);
    t = b.select(b.compare(ComparePredicate::gt, stairs, 0.0),
                 b.div(b.create<FloorOp>(b.mul(t, stairs)), stairs), t);
    t = b.create<MinOp>(b.create<MaxOp>(t, zero), row(DSC_SCHEDULE_LIMIT));
    Value curve = row(DSC_SCHEDULE_CURVE);
    auto isCurve = [&](dsc_schedule_curve kind) {
      return b.compare(ComparePredicate::eq, curve, static_cast<double>(kind));
    };
    Value cosine = b.mul(b.add(b.create<CosOp>(b.mul(t, M_PI)), 1.0), 0.5);
    Value logarithm = b.create<LogOp>(b.add(t, 1.0));
    Value inverse = b.create<ReciprocalOp>(b.add(t, 1.0));
    Value result = b.select(isCurve(DSC_CURVE_COSINE), cosine, t);
    result = b.select(isCurve(DSC_CURVE_LOG), logarithm, result);
    return b.select(isCurve(DSC_CURVE_INVERSE), inverse, result);
  }
};
} // namespace

ScheduledNumbers dsc::appendSchedule(ValueBuilder &b, TrainingGlobals &globals, Value applied) {
  ScheduleEvaluation schedule(b, globals.get(b, "rt.schedule"), applied);
  ScheduledNumbers numbers;
  numbers.offset = schedule.number(DSC_SCHEDULE_RATE, DSC_SCHEDULE_RATE_SPAN);
  numbers.factor = b.add(schedule.number(DSC_SCHEDULE_FACTOR, DSC_SCHEDULE_FACTOR_SPAN), 1.0);
  if (globals.lookup("rt.beta1")) {
    numbers.beta1 = b.add(globals.get(b, "rt.beta1"),
                          schedule.number(DSC_SCHEDULE_BETA1, DSC_SCHEDULE_BETA1_SPAN));
    numbers.beta2 = b.add(globals.get(b, "rt.beta2"), schedule.number(DSC_SCHEDULE_BETA2));
  }
  return numbers;
}
