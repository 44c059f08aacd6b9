// What the CUDA device holds.
// The definition of CudaDevice: driver, kernels, plans, graphs and staging. Only the files of this
// folder see it.

#ifndef DSC_RUNTIME_CUDA_CUDASTATE_H
#define DSC_RUNTIME_CUDA_CUDASTATE_H

#include "runtime/PlanList.h"
#include "runtime/cuda/Attention.h"
#include "runtime/cuda/Choices.h"
#include "runtime/cuda/Convolution.h"
#include "runtime/cuda/CudaDevice.h"
#include "runtime/cuda/Matmul.h"
#include "runtime/cuda/NcclCommunicator.h"
#include "runtime/cuda/Staging.h"
#include "runtime/cuda/StepGraph.h"

#include <chrono>
#include <future>

namespace dsc {

class CudaDevice : public Device {
public:
  CudaDevice(std::unique_ptr<CudaDriver> driver, const Manifest &manifest,
             const std::string &executable, const AlgorithmChoices &given);
  ~CudaDevice() override;
  /// Whether the plan for so many ranks and the program's architecture fit the GPU.
  Status check(const Manifest &manifest, int ranks) const;
  const CudaDriver &gpu() const { return *driver; }
  void setCommunicator(std::unique_ptr<NcclCommunicator> communicator, Ranks &ranksOfRun);

  std::string summary() const override { return driver->chip(); }
  std::vector<std::pair<std::string, std::string>> facts() override;
  int threads() const override { return 1; }
  AlgorithmChoices algorithmChoices() const override { return choices.all(); }

  Communicator *communicator() override { return nccl.get(); }
  Status beginPlans() override;
  Status endPlans() override;

  Status allocate(const Manifest &manifest, const std::byte *constants) override;
  int64_t allocatedBytes() const override { return allocated; }
  bool isHostMemory() const override { return false; }
  Status write(std::byte *target, int64_t bytes, int64_t elementBytes, const Fill &fill) override {
    return tensors.write(target, bytes, elementBytes, fill);
  }
  Status read(const std::byte *source, int64_t bytes, int64_t elementBytes,
              const Consume &consume) override {
    return explained(tensors.read(source, bytes, elementBytes, consume));
  }

  Result<std::byte *> staged(const PlannedTensor &tensor) override { return batch.place(tensor); }
  Status run(dsc_context *ctx, const EntryFunctions &entry) override;
  Status markBegin() override { return results.markBegin(); }
  Result<int64_t> requestRead(const std::vector<DeviceRange> &ranges) override {
    return results.request(ranges);
  }
  Result<bool> isRead(int64_t ticket) override { return results.isDone(ticket); }
  Result<const std::byte *> finishRead(int64_t ticket, double &seconds) override;
  Status wait() override;

  Status startTimes(dsc_context *ctx) override;
  Status stopTimes(dsc_context *ctx, OpTimes &times) override;
  Result<DeviceRates> measureRates(const Manifest &manifest) override;
  void beginOp(int32_t op) override;
  void endOp(int32_t op) override;

  Status copy(void *target, const void *source, int64_t bytes) override;
  Status loadModule(const void *cubin, int64_t cubinBytes, const char *ptx,
                    int64_t ptxBytes) override;
  Status addKernel(int32_t kernel, const char *name, int32_t block, int32_t sharedBytes) override;
  Status launch(int32_t kernel, void *const *args, int32_t count, int64_t gridX,
                int32_t gridY) override;
  std::optional<std::pair<int32_t, int32_t>> kernelNamed(std::string_view name) const override;
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
  struct Kernel {
    CUfunction function = nullptr;
    std::string name;
    int32_t block = 0, sharedBytes = 0;
  };
  using GraphKey = std::pair<dsc_entry_fn, dsc_entry_fn>;
  Status enqueue(dsc_context *ctx, const EntryFunctions &entry);
  /// Does what was put off: times products, while attention's kernels are compiled, and waits for
  /// both.
  Status finishPlans();
  Status openBlas();
  Status openCudnn(std::unique_ptr<Cudnn> &library);
  Result<StepGraph *> graphOf(dsc_context *ctx, const EntryFunctions &entry);
  Status launch(StepGraph &graph);
  /// A wait for the GPU that ended so: where a rank is lost, that is the reason.
  Status explained(const Status &status) const { return nccl ? nccl->explained(status) : status; }

  std::unique_ptr<CudaDriver> driver;
  /// With several ranks.
  std::unique_ptr<NcclCommunicator> nccl;
  Ranks *ranksOfRun = nullptr;
  /// Of the program: "sm_90".
  std::string architecture;
  bool allowTf32 = false;
  bool deterministic = true;
  /// Off for debugging: entries are enqueued op by op.
  bool usesGraphs = true;

  DeviceMemory memory; ///< all spaces
  int64_t allocated = 0;
  BatchStaging batch;
  ResultStaging results;
  TensorStaging tensors;

  std::vector<CUmodule> modules;
  std::vector<Kernel> kernels;
  Choices choices;
  std::unique_ptr<CublasLt> blas; ///< opened by the first plan
  std::unique_ptr<Cudnn> dnn;
  std::unique_ptr<Cudnn> dnnOfGradients; ///< of attention: their plans are built beside the others
  PlanList<CudaMatmul> matmuls;
  std::vector<CudaMatmul *> undecided; ///< until finishPlans
  PlanList<CudaAttention> attentions;
  PlanList<CudaConvolution> convolutions;

  /// The threads that build attention's plans, until finishPlans: the last one of each kind, which
  /// waits for those before it. cuDNN's handles are theirs alone.
  struct Builders {
    std::shared_future<Status> opened; ///< cuDNN
    std::future<Status> forward, backward;

    void wait() const;
    /// Waits, and returns the first failure.
    Status finish();
  };
  Builders builders;

  std::map<GraphKey, std::unique_ptr<StepGraph>> graphs, timedGraphs;
  /// While a profile is taken: the events of the entry that is captured, and the sums so far.
  OpEvents *events = nullptr;
  std::unique_ptr<OpTimes> timesSoFar;
  std::chrono::steady_clock::time_point profileBegan;
  Status timingFailure;
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_CUDASTATE_H
