// The CPU's part of a session.

#include "runtime/cpu/CpuDevice.h"

#include "runtime/cpu/CpuPlans.h"
#include "runtime/cpu/Gemm.h"

#include <cstring>

using namespace dsc;

Status dsc::createCpuDevice(dsc_context &ctx, int threads) {
  if (!gemmKernels()) {
    return Status::machine("this CPU has neither AVX-512 nor AVX2 with FMA, one of which the CPU "
                           "kernels need; use a newer machine (Intel since 2013, AMD since 2015)");
  }
  auto device = std::make_unique<CpuDevice>();
  DSC_RETURN_IF_FAILED(device->team.start(threads));
  destroyCpuDevice(ctx);
  ctx.cpu = device.release();
  return {};
}

void dsc::destroyCpuDevice(dsc_context &ctx) {
  delete ctx.cpu;
  ctx.cpu = nullptr;
}

int dsc::cpuThreads(const dsc_context &ctx) { return ctx.cpu->team.threads(); }

Status dsc::planMismatch(bool found, int32_t plan) {
  return Status::internal(format(found
                                     ? "plan %d was made with another set of operands than this "
                                       "call has; compile the model again"
                                     : "the program calls plan %d without having made it; compile "
                                       "the model again",
                                 static_cast<int>(plan)));
}

extern "C" {

int32_t dsc_rt_parallel_for(dsc_context *ctx, int32_t op, dsc_kernel_fn kernel, void *const *args,
                            int64_t units, int64_t grain) {
  OpTimer timer(ctx, op);
  ctx->cpu->team.parallelFor(units, grain,
                             [&](int64_t begin, int64_t end) { kernel(args, begin, end); });
  return 0;
}

int32_t dsc_rt_copy(dsc_context *ctx, int32_t op, void *dst, const void *src, int64_t bytes) {
  OpTimer timer(ctx, op);
  constexpr int64_t lineBytes = DSC_ALIGNMENT;
  int64_t lines = (bytes + lineBytes - 1) / lineBytes;
  ctx->cpu->team.parallelFor(
      lines, (int64_t(1) << 18) / lineBytes, [&](int64_t begin, int64_t end) {
        int64_t from = begin * lineBytes, to = std::min(end * lineBytes, bytes);
        std::memcpy(static_cast<char *>(dst) + from, static_cast<const char *>(src) + from,
                    static_cast<size_t>(to - from));
      });
  return 0;
}

} // extern "C"
