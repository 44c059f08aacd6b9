// Between protobuf and plain data, one node or tensor at a time.

#ifndef DSC_FRONTEND_ONNXCONVERSION_H
#define DSC_FRONTEND_ONNXCONVERSION_H

#include "frontend/OnnxModel.h"

#include "onnx/onnx_pb.h"

namespace dsc {

/// Moves `proto` into plain data: bytes in little-endian order whatever field held them. Returns a
/// fault, "" if none. A tensor with external data keeps an empty place that the reader fills.
std::string takeTensor(onnx::TensorProto &proto, onnx_model::Tensor &tensor);

/// Moves `proto` into plain data. Returns a fault, "" if none.
std::string takeNode(onnx::NodeProto &proto, int64_t index, onnx_model::Node &node);

/// Moves `proto` (a subgraph or the main graph) into plain data. Returns a fault, "" if none.
std::string takeGraph(onnx::GraphProto &proto, onnx_model::Graph &graph);

onnx_model::ValueInfo toValueInfo(const onnx::ValueInfoProto &proto);

/// A node for libonnx's function builders.
void toProto(const onnx_model::Node &node, onnx::NodeProto &proto);

} // namespace dsc

#endif // DSC_FRONTEND_ONNXCONVERSION_H
