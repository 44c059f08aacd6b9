// Verifiers and folds of elementwise ops that their base classes do not generate.

#include "ir/Dialect.h"

using namespace mlir;
using namespace dsc;

OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getY().getType()) {
    return getX();
  }
  return foldByEvaluation(getOperation(), adaptor.getOperands());
}
