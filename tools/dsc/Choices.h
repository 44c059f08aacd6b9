// What was chosen for a training program, so that nobody trains something else than they think.

#ifndef DSC_TOOLS_DSC_CHOICES_H
#define DSC_TOOLS_DSC_CHOICES_H

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <utility>
#include <vector>

namespace dsc {

/// What and how: ("loss", "cross-entropy of 'logits' against 'labels'"), ..
std::vector<std::pair<std::string, std::string>> choicesOf(mlir::ModuleOp module);

/// What recomputation saves and costs, from the entry that ends a step; empty without that entry or
/// where everything is kept.
std::string describeRecomputation(mlir::ModuleOp module);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CHOICES_H
