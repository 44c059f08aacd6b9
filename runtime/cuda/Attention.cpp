// Plans of dsc_rt_attention by cuDNN.

#include "runtime/cuda/Attention.h"

#include "runtime/StartTimes.h"
#include "runtime/Tensor.h"
#include "runtime/cuda/CudaState.h"
#include "runtime/cuda/CudnnFrontend.h"

namespace fe = cudnn_frontend;
using namespace dsc;

namespace {
/// Numbers of the graphs' tensors.
enum Operand : int64_t { Q = 1, K, V, Mask, O, Lse, GradO, GradQ, GradK, GradV };
} // namespace

using TensorPointer = std::shared_ptr<fe::graph::Tensor_attributes>;

static fe::graph::Tensor_attributes numbered(Operand number, std::vector<int64_t> dims,
                                             std::vector<int64_t> strides, int32_t dtype) {
  return fe::graph::Tensor_attributes()
      .set_uid(number)
      .set_dim(std::move(dims))
      .set_stride(std::move(strides))
      .set_data_type(cudnnType(dtype));
}

/// [batch, heads, length, width] of what the ABI describes by strides of batch, position and head.
static fe::graph::Tensor_attributes headed(Operand number, int64_t batch, int64_t heads,
                                           int64_t length, int64_t width, const int64_t *strides,
                                           int32_t dtype) {
  return numbered(number, {batch, heads, length, width}, {strides[0], strides[2], strides[1], 1},
                  dtype);
}

static fe::graph::Tensor_attributes query(const AttentionShape &s, Operand number,
                                          const int64_t *strides, int32_t dtype) {
  return headed(number, s.batch, s.heads, s.qLength, s.width, strides, dtype);
}

static fe::graph::Tensor_attributes keys(const AttentionShape &s, Operand number,
                                         const int64_t *strides, int32_t dtype) {
  return headed(number, s.batch, s.kvHeads, s.kvLength, s.width, strides, dtype);
}

static fe::graph::Tensor_attributes maskOf(const AttentionShape &s) {
  // Batch and heads may be shared; rows and columns are there.
  auto shared = [](int64_t stride, int64_t size) { return stride ? size : int64_t(1); };
  const int64_t batch = shared(s.maskStrides[0], s.batch),
                heads = shared(s.maskStrides[1], s.heads);
  const int64_t rows = shared(s.maskStrides[2], s.qLength);
  const int64_t plane = rows * s.kvLength;
  return numbered(Mask, {batch, heads, rows, s.kvLength},
                  {s.maskStrides[0] ? s.maskStrides[0] : heads * plane,
                   s.maskStrides[1] ? s.maskStrides[1] : plane,
                   s.maskStrides[2] ? s.maskStrides[2] : s.kvLength, s.maskStrides[3]},
                  s.maskType);
}

static fe::graph::Tensor_attributes lseOf(const AttentionShape &s) {
  return numbered(Lse, {s.batch, s.heads, s.qLength, 1}, {s.heads * s.qLength, s.qLength, 1, 1},
                  DSC_F32);
}

static std::shared_ptr<fe::graph::Graph> newGraph(int32_t dtype) {
  auto graph = std::make_shared<fe::graph::Graph>();
  graph->set_io_data_type(cudnnType(dtype))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  return graph;
}

/// Makes `tensor` a result of the graph that lies as `like` says.
static void result(const TensorPointer &tensor, const fe::graph::Tensor_attributes &like) {
  tensor->set_output(true)
      .set_uid(like.get_uid())
      .set_dim(like.get_dim())
      .set_stride(like.get_stride())
      .set_data_type(like.get_data_type());
}

Result<std::shared_ptr<CudnnGraph::Graph>> CudaAttention::forwardGraph() const {
  const AttentionShape &s = shape;
  auto graph = newGraph(dtype);
  auto options = fe::graph::SDPA_attributes()
                     .set_name("attention")
                     .set_generate_stats(true)
                     .set_attn_scale(static_cast<float>(s.scale));
  if (s.causal) {
    options.set_causal_mask(true);
  }
  if (s.maskType) {
    options.set_bias(graph->tensor(maskOf(s)));
  }
  auto [o, lse] = graph->sdpa(graph->tensor(query(s, Q, s.qStrides, dtype)),
                              graph->tensor(keys(s, K, s.kStrides, dtype)),
                              graph->tensor(keys(s, V, s.vStrides, dtype)), options);
  result(o, query(s, O, s.oStrides, dtype));
  result(lse, lseOf(s));
  return graph;
}

Result<std::shared_ptr<CudnnGraph::Graph>> CudaAttention::backwardGraph(bool deterministic) const {
  const AttentionShape &s = shape;
  auto graph = newGraph(dtype);
  auto options = fe::graph::SDPA_backward_attributes()
                     .set_name("attention_grad")
                     .set_deterministic_algorithm(deterministic)
                     .set_attn_scale(static_cast<float>(s.scale));
  if (s.causal) {
    options.set_causal_mask(true);
  }
  if (s.maskType) {
    options.set_bias(graph->tensor(maskOf(s)));
  }
  auto [dq, dk, dv] = graph->sdpa_backward(
      graph->tensor(query(s, Q, s.qStrides, dtype)), graph->tensor(keys(s, K, s.kStrides, dtype)),
      graph->tensor(keys(s, V, s.vStrides, dtype)), graph->tensor(query(s, O, s.oStrides, dtype)),
      graph->tensor(query(s, GradO, s.oStrides, dtype)), graph->tensor(lseOf(s)), options);
  result(dq, query(s, GradQ, s.qStrides, dtype));
  result(dk, keys(s, GradK, s.kStrides, dtype));
  result(dv, keys(s, GradV, s.vStrides, dtype));
  return graph;
}

std::string CudaAttention::text() const {
  return format("attention in %s of %lld x %lld heads (%lld of keys), %lld queries, %lld keys, "
                "%lld wide%s%s",
                dtypeName(static_cast<Dtype>(dtype)), (long long)shape.batch,
                (long long)shape.heads, (long long)shape.kvHeads, (long long)shape.qLength,
                (long long)shape.kvLength, (long long)shape.width, shape.causal ? ", causal" : "",
                shape.maskType ? ", with a mask" : "");
}

Result<std::unique_ptr<CudaAttention>> CudaAttention::make(const AttentionShape &shape,
                                                           int32_t dtype, int64_t workspace) {
  auto plan = std::make_unique<CudaAttention>();
  plan->shape = shape;
  plan->dtype = dtype;
  plan->workspaceBytes = workspace;
  if (dtype != DSC_F16 && dtype != DSC_BF16) {
    return Status::internal(plan->text() + ": cuDNN's attention takes f16 and bf16; compile the "
                                           "model again");
  }
  if (shape.maskType == DSC_BOOL) {
    return Status::internal(plan->text() +
                            ": cuDNN adds masks, and this one is bool; compile the model again");
  }
  return plan;
}

CudnnGraph::Rules CudaAttention::rules() const {
  CudnnGraph::Rules rules;
  rules.what = text();
  rules.workspace = workspaceBytes;
  rules.dtype = dtype;
  return rules;
}

Status CudaAttention::buildForward(const Cudnn &library, Choices &choices) {
  try {
    Result<std::shared_ptr<CudnnGraph::Graph>> graph = forwardGraph();
    Result<std::unique_ptr<CudnnGraph>> made = CudnnGraph::make(library, choices, *graph, rules());
    DSC_RETURN_IF_FAILED(made.status());
    forwardPlan = std::move(*made);
  } catch (const std::exception &error) {
    return Status::machine(text() + ": " + error.what());
  }
  return {};
}

void CudaAttention::buildBackward(const Cudnn &library, Choices &choices) {
  CudnnGraph::Rules limits = rules();
  limits.what += ", gradient";
  try {
    Result<std::shared_ptr<CudnnGraph::Graph>> graph = backwardGraph(library.isDeterministic());
    Result<std::unique_ptr<CudnnGraph>> made = CudnnGraph::make(library, choices, *graph, limits);
    backwardStatus = made.status();
    if (made.ok()) {
      backwardPlan = std::move(*made);
    }
  } catch (const std::exception &error) {
    backwardStatus = Status::machine(limits.what + ": " + error.what());
  }
}

Status CudaAttention::forward(const AttentionCall &call) const {
  auto address = [](const void *pointer) { return const_cast<void *>(pointer); };
  CudnnOperands operands = {{Q, address(call.q)},
                            {K, address(call.k)},
                            {V, address(call.v)},
                            {O, address(call.o)},
                            {Lse, address(call.lse)}};
  if (call.mask) {
    operands[Mask] = address(call.mask);
  }
  return forwardPlan->run(operands, call.workspace);
}

Status CudaAttention::backward(const AttentionCall &call) const {
  DSC_RETURN_IF_FAILED(backwardStatus);
  auto address = [](const void *pointer) { return const_cast<void *>(pointer); };
  CudnnOperands operands = {
      {Q, address(call.q)}, {K, address(call.k)},     {V, address(call.v)},
      {O, address(call.o)}, {Lse, address(call.lse)}, {GradO, address(call.dO)},
      {GradQ, call.dq},     {GradK, call.dk},         {GradV, call.dv}};
  if (call.mask) {
    operands[Mask] = address(call.mask);
  }
  return backwardPlan->run(operands, call.workspace);
}

Status CudaDevice::planAttention(const std::string &op, int32_t plan, int32_t dtype,
                                 const AttentionShape &shape, int64_t workspace) {
  Result<std::unique_ptr<CudaAttention>> made = CudaAttention::make(shape, dtype, workspace);
  DSC_RETURN_IF_FAILED(made.status());
  if (!builders.opened.valid()) {
    // Libraries load one after the other, whoever asks: first the one that this thread needs.
    DSC_RETURN_IF_FAILED(openBlas());
    // Here, while no other thread reads the environment.
    Cudnn::setEnvironment(*driver);
    builders.opened = std::async([this]() -> Status {
                        DSC_RETURN_IF_FAILED(driver->makeCurrent());
                        DSC_RETURN_IF_FAILED(openCudnn(dnn));
                        return openCudnn(dnnOfGradients);
                      }).share();
  }
  CudaAttention *planned = made->get();
  builders.forward = std::async([this, op, planned, opened = builders.opened,
                                 earlier = std::move(builders.forward)]() mutable -> Status {
    DSC_RETURN_IF_FAILED(earlier.valid() ? earlier.get() : opened.get());
    DSC_RETURN_IF_FAILED(driver->makeCurrent());
    return planned->buildForward(*dnn, choices).in(op);
  });
  builders.backward = std::async([this, planned, opened = builders.opened,
                                  earlier = std::move(builders.backward)]() mutable -> Status {
    DSC_RETURN_IF_FAILED(earlier.valid() ? earlier.get() : opened.get());
    DSC_RETURN_IF_FAILED(driver->makeCurrent());
    planned->buildBackward(*dnnOfGradients, choices);
    return {};
  });
  return attentions.store(plan, std::move(*made));
}

void CudaDevice::Builders::wait() const {
  if (opened.valid()) {
    opened.wait();
  }
  for (const std::future<Status> *last : {&forward, &backward}) {
    if (last->valid()) {
      last->wait();
    }
  }
}

Status CudaDevice::Builders::finish() {
  Status status;
  for (std::future<Status> *last : {&forward, &backward}) {
    if (last->valid()) {
      Status ended = last->get();
      status = status.ok() ? ended : status;
    }
  }
  return status;
}

Status CudaDevice::attention(int32_t plan, const AttentionCall &call) {
  const CudaAttention *found = attentions.find(plan);
  return found && found->hasMask() == (call.mask != nullptr) ? found->forward(call)
                                                             : planMismatch(found != nullptr, plan);
}

Status CudaDevice::attentionGrad(int32_t plan, const AttentionCall &call) {
  const CudaAttention *found = attentions.find(plan);
  return found && found->hasMask() == (call.mask != nullptr) ? found->backward(call)
                                                             : planMismatch(found != nullptr, plan);
}
