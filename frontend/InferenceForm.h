// A model's message as `module.eval()` runs it.

#ifndef DSC_FRONTEND_INFERENCEFORM_H
#define DSC_FRONTEND_INFERENCEFORM_H

#include "onnx/onnx_pb.h"

namespace dsc {

/// Takes Dropout and BatchNormalization out of training form, in the graph, its subgraphs and its
/// functions. Nodes stay: Dropout loses its operand training_mode, a batch norm its attribute and
/// its statistics' outputs; where something reads those, an Identity gives the running ones.
void setInferenceForm(onnx::ModelProto &model);

} // namespace dsc

#endif // DSC_FRONTEND_INFERENCEFORM_H
