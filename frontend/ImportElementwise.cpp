// Elementwise: arithmetic, activations, comparisons, conversions.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

LogicalResult dsc::importAdd(NodeImport &n) { return n.result(n.e.add(n.input(0), n.input(1))); }
LogicalResult dsc::importSub(NodeImport &n) { return n.result(n.e.sub(n.input(0), n.input(1))); }
LogicalResult dsc::importMul(NodeImport &n) { return n.result(n.e.mul(n.input(0), n.input(1))); }
LogicalResult dsc::importDiv(NodeImport &n) { return n.result(n.e.div(n.input(0), n.input(1))); }
LogicalResult dsc::importRelu(NodeImport &n) { return n.result(n.e.unary<ReluOp>(n.input(0))); }
