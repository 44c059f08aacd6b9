// The ops of ir/OpsOrder.td.

#ifndef DSC_IR_OPSORDER_H
#define DSC_IR_OPSORDER_H

#include "ir/Dialect.h"

#define GET_OP_CLASSES
#include "ir/OpsOrder.h.inc"

#endif // DSC_IR_OPSORDER_H
