// Definitions of the ops of ir/OpsOrder.td. The dialect registers them (Dialect.cpp).

#include "ir/OpsOrder.h"

using namespace mlir;
using namespace dsc;

#define GET_OP_CLASSES
#include "ir/OpsOrder.cpp.inc"
