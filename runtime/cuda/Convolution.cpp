// Plans of dsc_rt_conv by cuDNN.

#include "runtime/cuda/Convolution.h"

#include "runtime/StartTimes.h"
#include "runtime/Tensor.h"
#include "runtime/cuda/CudaState.h"
#include "runtime/cuda/CudnnFrontend.h"

namespace fe = cudnn_frontend;
using namespace dsc;

namespace {
/// Numbers of a graph's tensors, in the order of dsc_rt_conv.
enum Operand : int64_t { First = 1, Second, Bias, Target };

/// Dims and strides as cuDNN wants them: at least two spatial axes.
struct Lie {
  std::vector<int64_t> dims, strides;

  Lie(int rank, const int64_t *d, const int64_t *s) : dims(d, d + rank), strides(s, s + rank) {
    if (rank == 3) {
      // An axis of one element between channels and the one that is there.
      dims.insert(dims.begin() + 2, 1);
      strides.insert(strides.begin() + 2, strides[2] * dims[3]);
    }
  }

  int64_t bytes(int32_t dtype) const {
    int64_t last = 0;
    for (size_t i = 0; i < dims.size(); ++i) {
      last += (dims[i] - 1) * strides[i];
    }
    return (last + 1) * dtypeSize(static_cast<Dtype>(dtype));
  }
};
} // namespace

static fe::graph::Tensor_attributes numbered(Operand number, const Lie &lie) {
  return fe::graph::Tensor_attributes().set_uid(number).set_dim(lie.dims).set_stride(lie.strides);
}

/// A list with an entry for each spatial axis; the added one has `neutral`.
static std::vector<int64_t> spatial(const ConvDescription &shape, const int64_t *values,
                                    int64_t neutral) {
  std::vector<int64_t> list(values, values + shape.rank - 2);
  if (shape.rank == 3) {
    list.insert(list.begin(), neutral);
  }
  return list;
}

template <typename Attributes> static Attributes attributesOf(const ConvDescription &shape) {
  Attributes attributes;
  attributes.set_pre_padding(spatial(shape, shape.padsBegin, 0))
      .set_post_padding(spatial(shape, shape.padsEnd, 0))
      .set_stride(spatial(shape, shape.strides, 1))
      .set_dilation(spatial(shape, shape.dilations, 1));
  return attributes;
}

static std::string textOf(const ConvDescription &s) {
  auto list = [](const int64_t *values, int count) {
    return shapeText(Shape(values, values + count));
  };
  const char *kinds[] = {"convolution", "gradient of a convolution's input",
                         "gradient of a convolution's weights"};
  return format("%s in %s of %s (strides %s) by %s into %s, strides %s, %lld groups", kinds[s.kind],
                dtypeName(static_cast<Dtype>(s.dtype)), list(s.xDims, s.rank).c_str(),
                list(s.xStrides, s.rank).c_str(), list(s.wDims, s.rank).c_str(),
                list(s.yDims, s.rank).c_str(), list(s.strides, s.rank - 2).c_str(),
                (long long)s.groups);
}

/// A result that is computed in f32 and rounded once.
static std::shared_ptr<fe::graph::Graph> graphOf(const ConvDescription &s, const Lie &x,
                                                 const Lie &w, const Lie &y) {
  auto graph = std::make_shared<fe::graph::Graph>();
  auto compute = s.dtype == DSC_F64 ? fe::DataType_t::DOUBLE : fe::DataType_t::FLOAT;
  graph->set_io_data_type(cudnnType(s.dtype))
      .set_intermediate_data_type(compute)
      .set_compute_data_type(compute);
  auto finish = [](const std::shared_ptr<fe::graph::Tensor_attributes> &tensor, const Lie &lie) {
    tensor->set_output(true).set_uid(Target).set_dim(lie.dims).set_stride(lie.strides);
  };
  if (s.kind == DSC_CONV_GRAD_INPUT) {
    finish(graph->conv_dgrad(graph->tensor(numbered(First, y)), graph->tensor(numbered(Second, w)),
                             attributesOf<fe::graph::Conv_dgrad_attributes>(s)),
           x);
    return graph;
  }
  if (s.kind == DSC_CONV_GRAD_WEIGHT) {
    finish(graph->conv_wgrad(graph->tensor(numbered(Second, y)), graph->tensor(numbered(First, x)),
                             attributesOf<fe::graph::Conv_wgrad_attributes>(s)),
           w);
    return graph;
  }
  auto value =
      graph->conv_fprop(graph->tensor(numbered(First, x)), graph->tensor(numbered(Second, w)),
                        attributesOf<fe::graph::Conv_fprop_attributes>(s));
  auto pointwise = [](fe::PointwiseMode_t mode) {
    return fe::graph::Pointwise_attributes().set_mode(mode);
  };
  if (s.hasBias) {
    Lie bias = y;
    for (size_t i = 0; i < bias.dims.size(); ++i) {
      bias.dims[i] = i == 1 ? y.dims[1] : 1;
      bias.strides[i] = i == 1 ? 1 : y.dims[1];
    }
    value->set_dim(y.dims).set_stride(y.strides);
    value = graph->pointwise(value, graph->tensor(numbered(Bias, bias)),
                             pointwise(fe::PointwiseMode_t::ADD));
  }
  if (s.epilogue == DSC_EPILOGUE_RELU) {
    value->set_dim(y.dims).set_stride(y.strides);
    value = graph->pointwise(value, pointwise(fe::PointwiseMode_t::RELU_FWD));
  }
  finish(value, y);
  return graph;
}

Result<std::unique_ptr<CudaConvolution>> CudaConvolution::make(const Cudnn &library,
                                                               Choices &choices,
                                                               const ConvDescription &s,
                                                               int64_t workspace, bool allowTf32) {
  if (s.rank < 3 || s.rank > 5 || s.kind < DSC_CONV_FORWARD || s.kind > DSC_CONV_GRAD_WEIGHT) {
    return Status::internal(format("convolution of rank %d and kind %d; the runtime takes ranks 3 "
                                   "to 5; compile the model again",
                                   s.rank, s.kind));
  }
  if (s.epilogue != DSC_EPILOGUE_NONE && s.epilogue != DSC_EPILOGUE_RELU) {
    return Status::internal(textOf(s) + ": cuDNN applies no activation but ReLU; compile the model "
                                        "again");
  }
  const Lie x(s.rank, s.xDims, s.xStrides), w(s.rank, s.wDims, s.wStrides),
      y(s.rank, s.yDims, s.yStrides);
  CudnnGraph::Rules rules;
  rules.what = textOf(s);
  rules.key = rules.what + format(", dilations %s, pads %s %s%s%s%s, workspace %lld",
                                  shapeText(spatial(s, s.dilations, 1)).c_str(),
                                  shapeText(spatial(s, s.padsBegin, 0)).c_str(),
                                  shapeText(spatial(s, s.padsEnd, 0)).c_str(),
                                  s.hasBias ? ", bias" : "", s.epilogue ? ", relu" : "",
                                  allowTf32 ? ", tf32" : "", (long long)workspace);
  rules.workspace = workspace;
  rules.allowTf32 = allowTf32;
  rules.dtype = s.dtype;
  const int64_t xBytes = x.bytes(s.dtype), wBytes = w.bytes(s.dtype), yBytes = y.bytes(s.dtype);
  switch (s.kind) {
  case DSC_CONV_FORWARD:
    rules.operands = {{First, xBytes}, {Second, wBytes}, {Target, yBytes}};
    break;
  case DSC_CONV_GRAD_INPUT:
    rules.operands = {{First, yBytes}, {Second, wBytes}, {Target, xBytes}};
    break;
  default:
    rules.operands = {{First, xBytes}, {Second, yBytes}, {Target, wBytes}};
  }
  if (s.hasBias) {
    rules.operands.emplace_back(Bias, y.dims[1] * dtypeSize(static_cast<Dtype>(s.dtype)));
  }
  auto made = std::make_unique<CudaConvolution>();
  made->withBias = s.hasBias;
  try {
    Result<std::unique_ptr<CudnnGraph>> plan =
        CudnnGraph::make(library, choices, graphOf(s, x, w, y), rules);
    if (plan.failed()) {
      return plan.status();
    }
    made->plan = std::move(*plan);
  } catch (const std::exception &error) {
    return Status::machine(rules.what + ": " + error.what());
  }
  return made;
}

Status CudaConvolution::run(const void *a, const void *b, const void *bias, void *c,
                            void *workspace) const {
  CudnnOperands operands = {
      {First, const_cast<void *>(a)}, {Second, const_cast<void *>(b)}, {Target, c}};
  if (bias) {
    operands[Bias] = const_cast<void *>(bias);
  }
  return plan->run(operands, workspace);
}

Status CudaDevice::planConv(int32_t plan, const ConvDescription &shape, int64_t workspace) {
  builders.wait();
  DSC_RETURN_IF_FAILED(openCudnn(dnn));
  StartPhase phase("convolutions");
  Result<std::unique_ptr<CudaConvolution>> made =
      CudaConvolution::make(*dnn, choices, shape, workspace, allowTf32);
  return made.ok() ? convolutions.store(plan, std::move(*made)) : made.status();
}

Status CudaDevice::conv(int32_t plan, const void *a, const void *b, const void *bias, void *c,
                        void *workspace) {
  const CudaConvolution *found = convolutions.find(plan);
  if (!found || found->hasBias() != (bias != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  return found->run(a, b, bias, c, workspace);
}
