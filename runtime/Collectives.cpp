// The collectives of abi.h, and what they are with one rank.

#include "runtime/Communicator.h"
#include "runtime/Context.h"
#include "runtime/Tensor.h"

#include <algorithm>
#include <vector>

using namespace dsc;

Communicator::~Communicator() = default;

Status Communicator::plan(const dsc_collective &) { return {}; }

Status Communicator::run(const dsc_collective &collective, const void *src, void *base) {
  DSC_RETURN_IF_FAILED(issue(collective, src, base));
  return wait(collective.id);
}

int64_t dsc::chunkBytes(const dsc_collective &collective) {
  return collective.chunk_elements * dtypeSize(static_cast<Dtype>(collective.dtype));
}

/// Keeps a failure under the op's name; that a rank is gone is no failure of the op, and says
/// where.
static int32_t finish(dsc_context *ctx, int32_t op, const Status &status) {
  if (status.ok()) {
    return 0;
  }
  return setError(ctx, status.exitCode() == ExitCode::Rank ? status : status.in(opName(ctx, op)));
}

/// The collective `id`, or null with the error set.
static const dsc_collective *find(dsc_context *ctx, int32_t op, int32_t id) {
  if (id >= 0 && static_cast<size_t>(id) < ctx->collectives.size()) {
    return &ctx->collectives[static_cast<size_t>(id)];
  }
  setError(ctx, Status::internal(
                    format("collective %d is used before it is planned", static_cast<int>(id)))
                    .in(opName(ctx, op)));
  return nullptr;
}

extern "C" {

int32_t dsc_rt_parallel_for_owned(dsc_context *ctx, int32_t op, dsc_kernel_fn kernel,
                                  void *const *args, int64_t chunks, int64_t grain) {
  OpTimer timer(ctx, op);
  const int64_t begin = dsc_slice_begin(chunks, ctx->ranks(), ctx->rank());
  const int64_t end = dsc_slice_end(chunks, ctx->ranks(), ctx->rank());
  return finish(ctx, op, ctx->device->parallelForRange(kernel, args, begin, end, grain));
}

int32_t dsc_rt_launch_owned(dsc_context *ctx, int32_t op, int32_t kernel, void *const *args,
                            int32_t arg_count, int64_t chunks, int64_t chunks_per_block,
                            int64_t most_blocks) {
  OpTimer timer(ctx, op);
  const int64_t begin = dsc_slice_begin(chunks, ctx->ranks(), ctx->rank());
  const int64_t end = dsc_slice_end(chunks, ctx->ranks(), ctx->rank());
  if (begin == end) {
    return 0;
  }
  std::vector<void *> all(args, args + arg_count);
  all.push_back(reinterpret_cast<void *>(begin));
  all.push_back(reinterpret_cast<void *>(end));
  const int64_t blocks = (end - begin + chunks_per_block - 1) / chunks_per_block;
  return finish(
      ctx, op,
      ctx->device->launch(kernel, all.data(), arg_count + 2, std::min(blocks, most_blocks), 1));
}

int32_t dsc_rt_collective_plan(dsc_context *ctx, int32_t id, int32_t kind, int32_t dtype,
                               int64_t chunks, int64_t chunk_elements, const char *name,
                               int32_t left) {
  if (id != static_cast<int32_t>(ctx->collectives.size())) {
    return setError(ctx, Status::internal(format("collective %d is planned out of order",
                                                 static_cast<int>(id))));
  }
  ctx->collectives.push_back({id, kind, dtype, chunks, chunk_elements, name, left});
  Status status = ctx->communicator ? ctx->communicator->plan(ctx->collectives.back()) : Status();
  return status.ok() ? 0 : setError(ctx, status.in(name));
}

int32_t dsc_rt_collective_issue(dsc_context *ctx, int32_t op, int32_t id, const void *src,
                                void *base) {
  OpTimer timer(ctx, op);
  const dsc_collective *collective = find(ctx, op, id);
  if (!collective) {
    return 1;
  }
  if (ctx->communicator) {
    return finish(ctx, op, ctx->communicator->issue(*collective, src, base));
  }
  if (src && src != base) {
    return finish(ctx, op,
                  ctx->device->copy(base, src, collective->chunks * chunkBytes(*collective)));
  }
  return 0;
}

int32_t dsc_rt_collective_wait(dsc_context *ctx, int32_t op, int32_t id) {
  OpTimer timer(ctx, op);
  if (!find(ctx, op, id)) {
    return 1;
  }
  return ctx->communicator ? finish(ctx, op, ctx->communicator->wait(id)) : 0;
}
}
