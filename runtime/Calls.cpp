// The functions of abi.h.
// Each takes the device of the context, and turns a failure into the context's error with the name
// of the op in front.

#include "runtime/Context.h"

#include <algorithm>

using namespace dsc;

/// Keeps a failure under the op's name.
static int32_t finish(dsc_context *ctx, int32_t op, const Status &status) {
  return __builtin_expect(status.ok(), 1) ? 0 : setError(ctx, status.in(opName(ctx, op)));
}

extern "C" {

int32_t dsc_rt_parallel_for(dsc_context *ctx, int32_t op, dsc_kernel_fn kernel, void *const *args,
                            int64_t units, int64_t grain) {
  OpTimer timer(ctx, op);
  return finish(ctx, op, ctx->device->parallelFor(kernel, args, units, grain));
}

int32_t dsc_rt_copy(dsc_context *ctx, int32_t op, void *dst, const void *src, int64_t bytes) {
  OpTimer timer(ctx, op);
  return finish(ctx, op, ctx->device->copy(dst, src, bytes));
}

int32_t dsc_rt_matmul_plan(dsc_context *ctx, int32_t op, int32_t plan, int32_t dtype, int32_t rank,
                           const int64_t *a_dims, const int64_t *a_strides, const int64_t *b_dims,
                           const int64_t *b_strides, const int64_t *c_dims,
                           const int64_t *c_strides, int32_t has_bias, int32_t epilogue,
                           int32_t accumulate, int64_t workspace) {
  MatmulShape shape{dtype,  rank,      a_dims,        a_strides, b_dims,         b_strides,
                    c_dims, c_strides, has_bias != 0, epilogue,  accumulate != 0};
  return finish(ctx, op, ctx->device->planMatmul(plan, shape, workspace));
}

int32_t dsc_rt_matmul(dsc_context *ctx, int32_t op, int32_t plan, const void *a, const void *b,
                      const void *bias, void *c, void *workspace) {
  OpTimer timer(ctx, op);
  return finish(ctx, op, ctx->device->matmul(plan, a, b, bias, c, workspace));
}

int32_t dsc_rt_conv_plan(dsc_context *ctx, int32_t op, int32_t plan, int32_t kind, int32_t dtype,
                         int32_t rank, const int64_t *x_dims, const int64_t *x_strides,
                         const int64_t *w_dims, const int64_t *w_strides, const int64_t *y_dims,
                         const int64_t *y_strides, const int64_t *strides, const int64_t *dilations,
                         const int64_t *pads_begin, const int64_t *pads_end, int64_t groups,
                         int32_t has_bias, int32_t epilogue, int64_t workspace) {
  ConvDescription shape{kind,      dtype,  rank,          x_dims,  x_strides, w_dims,
                        w_strides, y_dims, y_strides,     strides, dilations, pads_begin,
                        pads_end,  groups, has_bias != 0, epilogue};
  return finish(ctx, op, ctx->device->planConv(plan, shape, workspace));
}

int32_t dsc_rt_conv(dsc_context *ctx, int32_t op, int32_t plan, const void *a, const void *b,
                    const void *bias, void *c, void *workspace) {
  OpTimer timer(ctx, op);
  return finish(ctx, op, ctx->device->conv(plan, a, b, bias, c, workspace));
}

int32_t dsc_rt_attention_plan(dsc_context *ctx, int32_t op, int32_t plan, int32_t dtype,
                              int64_t batch, int64_t heads, int64_t kv_heads, int64_t q_len,
                              int64_t kv_len, int64_t width, double scale, int32_t causal,
                              int32_t mask_dtype, const int64_t *mask_strides,
                              const int64_t *q_strides, const int64_t *k_strides,
                              const int64_t *v_strides, const int64_t *o_strides,
                              int64_t workspace) {
  AttentionShape shape = {};
  shape.batch = batch;
  shape.heads = heads;
  shape.kvHeads = kv_heads;
  shape.qLength = q_len;
  shape.kvLength = kv_len;
  shape.width = width;
  shape.scale = scale;
  shape.causal = causal != 0;
  shape.maskType = mask_strides ? mask_dtype : 0;
  if (shape.maskType) {
    std::copy_n(mask_strides, 4, shape.maskStrides);
  }
  std::copy_n(q_strides, 3, shape.qStrides);
  std::copy_n(k_strides, 3, shape.kStrides);
  std::copy_n(v_strides, 3, shape.vStrides);
  std::copy_n(o_strides, 3, shape.oStrides);
  return finish(ctx, op,
                ctx->device->planAttention(opName(ctx, op), plan, dtype, shape, workspace));
}

int32_t dsc_rt_attention(dsc_context *ctx, int32_t op, int32_t plan, const void *q, const void *k,
                         const void *v, const void *mask, void *o, void *lse, void *workspace) {
  OpTimer timer(ctx, op);
  AttentionCall call{q, k, v, mask, o, lse, nullptr, nullptr, nullptr, nullptr, workspace};
  return finish(ctx, op, ctx->device->attention(plan, call));
}

int32_t dsc_rt_attention_grad(dsc_context *ctx, int32_t op, int32_t plan, const void *q,
                              const void *k, const void *v, const void *mask, const void *o,
                              const void *lse, const void *d_o, void *dq, void *dk, void *dv,
                              void *workspace) {
  OpTimer timer(ctx, op);
  AttentionCall call{q, k, v, mask, o, lse, d_o, dq, dk, dv, workspace};
  return finish(ctx, op, ctx->device->attentionGrad(plan, call));
}

int32_t dsc_rt_device_module(dsc_context *ctx, const void *cubin, int64_t cubin_bytes,
                             const char *ptx, int64_t ptx_bytes) {
  Status status = ctx->device->loadModule(cubin, cubin_bytes, ptx, ptx_bytes);
  return status.ok() ? 0 : setError(ctx, status);
}

int32_t dsc_rt_device_kernel(dsc_context *ctx, int32_t kernel, const char *name, int32_t block,
                             int32_t shared_bytes) {
  Status status = ctx->device->addKernel(kernel, name, block, shared_bytes);
  return status.ok() ? 0 : setError(ctx, status);
}

int32_t dsc_rt_launch(dsc_context *ctx, int32_t op, int32_t kernel, void *const *args,
                      int32_t arg_count, int64_t grid_x, int32_t grid_y) {
  OpTimer timer(ctx, op);
  return finish(ctx, op, ctx->device->launch(kernel, args, arg_count, grid_x, grid_y));
}

} // extern "C"
