//===- All ops of the dsc dialect, by family ----------------------------===//

#ifndef DSC_IR_OPS_TD
#define DSC_IR_OPS_TD

include "ir/OpsElementwise.td"
include "ir/OpsShape.td"
include "ir/OpsReduction.td"
include "ir/OpsContraction.td"
include "ir/OpsConvolution.td"
include "ir/OpsNormalization.td"
include "ir/OpsRandom.td"
include "ir/OpsOptimizer.td"
include "ir/OpsMemory.td"
include "ir/OpsCollective.td"

#endif // DSC_IR_OPS_TD
