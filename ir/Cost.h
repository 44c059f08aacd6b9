// FLOPs and bytes of ops: what reports, profiles and (later) recomputation ask of an op.

#ifndef DSC_IR_COST_H
#define DSC_IR_COST_H

#include "ir/Dialect.h"

namespace dsc {

struct Cost {
  int64_t flops = 0; // multiply and add count as two
  int64_t bytes = 0; // every operand read once and every result written once
};

/// Cost of one op at the top of an entry.
Cost costOf(mlir::Operation *op);

} // namespace dsc

#endif // DSC_IR_COST_H
