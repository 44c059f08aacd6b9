// What the CPU device holds.
// The definition of CpuDevice: the team, the memory, and the plans that the program made when it
// was loaded. Only the files of this folder see it.

#ifndef DSC_RUNTIME_CPU_CPUPLANS_H
#define DSC_RUNTIME_CPU_CPUPLANS_H

#include "runtime/Context.h"
#include "runtime/PlanList.h"
#include "runtime/cpu/Attention.h"
#include "runtime/cpu/Convolution.h"
#include "runtime/cpu/CpuDevice.h"
#include "runtime/cpu/Matmul.h"
#include "runtime/cpu/ThreadTeam.h"

#include <chrono>

namespace dsc {

class CpuDevice : public Device {
public:
  ~CpuDevice() override;
  Status start(int threads) { return team.start(threads); }

  std::string summary() const override;
  std::vector<std::pair<std::string, std::string>> facts() override;
  int threads() const override { return team.threads(); }

  Status allocate(const Manifest &manifest, const std::byte *constants) override;
  int64_t allocatedBytes() const override { return 0; }
  bool isHostMemory() const override { return true; }
  Status write(std::byte *target, int64_t bytes, int64_t elementBytes, const Fill &fill) override;
  Status read(const std::byte *source, int64_t bytes, int64_t elementBytes,
              const Consume &consume) override;

  Result<std::byte *> staged(const PlannedTensor &tensor) override { return address(tensor); }
  Status run(dsc_context *ctx, const EntryFunctions &entry) override;
  Status markBegin() override;
  Result<int64_t> requestRead(const std::vector<DeviceRange> &ranges) override;
  Result<bool> isRead(int64_t) override { return true; }
  Result<const std::byte *> finishRead(int64_t ticket, double &seconds) override;
  Status wait() override { return {}; }

  Status startTimes(dsc_context *ctx) override;
  Status stopTimes(dsc_context *ctx, OpTimes &times) override;
  Result<DeviceRates> measureRates(const Manifest &) override { return DeviceRates(); }
  void beginOp(int32_t op) override;
  void endOp(int32_t op) override;

  Status parallelForRange(dsc_kernel_fn kernel, void *const *args, int64_t first, int64_t last,
                          int64_t grain) override;
  Status copy(void *target, const void *source, int64_t bytes) override;
  Status planMatmul(int32_t plan, const MatmulShape &shape, int64_t workspace) override;
  Status matmul(int32_t plan, const void *a, const void *b, const void *bias, void *c,
                void *workspace) override;
  Status planConv(int32_t plan, const ConvDescription &shape, int64_t workspace) override;
  Status conv(int32_t plan, const void *a, const void *b, const void *bias, void *c,
              void *workspace) override;
  Status planAttention(const std::string &op, int32_t plan, int32_t dtype,
                       const AttentionShape &shape, int64_t workspace) override;
  Status attention(int32_t plan, const AttentionCall &call) override;
  Status attentionGrad(int32_t plan, const AttentionCall &call) override;

private:
  using Clock = std::chrono::steady_clock;
  struct Reading {
    std::vector<std::byte> bytes;
    double seconds = 0;
  };

  ThreadTeam team;
  int64_t spaceBytes[DSC_SPACE_COUNT] = {};
  Clock::time_point began, profileBegan, opBegan;
  Reading readings[readSlots];
  int64_t readingCount = 0;
  std::vector<OpTimes::Call> opTimes;

  PlanList<MatmulPlan> matmuls;
  PlanList<AttentionPlan> attentions;
  PlanList<ConvPlan> convolutions;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_CPUPLANS_H
