// The CUDA device without a program: kernels from PTX, entries as graphs,
// staged batches and values, results read behind, tensors in pieces, times of
// ops.

#include "test/runtime/cuda/CudaTestDevice.h"

#include "gmock/gmock.h"

using namespace dsc;
using namespace dsc::testing;
using ::testing::HasSubstr;

namespace {

// out[i] = x[i] * scale[0], 256 numbers.
const char ptx[] = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .entry scale(.param .u64 p0, .param .u64 p1, .param .u64 p2) {
  .reg .u64 %a<6>;
  .reg .u32 %i<2>;
  .reg .f32 %f<4>;
  ld.param.u64 %a0, [p0];
  ld.param.u64 %a1, [p1];
  ld.param.u64 %a2, [p2];
  mov.u32 %i0, %tid.x;
  mul.wide.u32 %a3, %i0, 4;
  add.u64 %a4, %a0, %a3;
  add.u64 %a5, %a2, %a3;
  ld.global.f32 %f0, [%a4];
  ld.global.f32 %f1, [%a1];
  mul.f32 %f2, %f0, %f1;
  st.global.f32 [%a5], %f2;
  ret;
}
)";

constexpr int64_t count = 256;
int entryCalls = 0;

/// A program: out = x * rt.scale; its update copies out over loss.
int32_t entryMain(dsc_context *ctx, void *const *spaces) {
  ++entryCalls;
  auto *io = static_cast<char *>(spaces[DSC_SPACE_IO]);
  void *args[] = {io, spaces[DSC_SPACE_STATE], io + 4096};
  return dsc_rt_launch(ctx, 0, 0, args, 3, 1, 1);
}
int32_t entryUpdate(dsc_context *ctx, void *const *spaces) {
  auto *io = static_cast<char *>(spaces[DSC_SPACE_IO]);
  return dsc_rt_copy(ctx, 1, io + 8192, io + 4096, 4);
}

PlannedTensor planned(const char *name, dsc_space space, int64_t offset, int64_t elements,
                      Dtype dtype = DSC_F32) {
  PlannedTensor tensor;
  tensor.name = name;
  tensor.dtype = dtype;
  tensor.shape = {elements};
  tensor.space = space;
  tensor.offset = offset;
  tensor.bytes = elements * dtypeSize(dtype);
  return tensor;
}

/// A device with this program, its batch of `elements` numbers.
void makeProgram(CudaTestDevice &device, int64_t elements = count) {
  InputSpec input;
  static_cast<PlannedTensor &>(input) = planned("x", DSC_SPACE_IO, 0, elements);
  if (elements > count) {
    input.offset = 16384;
  }
  device.manifest.inputs = {input};
  GlobalSpec scale, step;
  static_cast<PlannedTensor &>(scale) = planned("rt.scale", DSC_SPACE_STATE, 0, 1);
  static_cast<PlannedTensor &>(step) = planned("rt.step", DSC_SPACE_STATE, 64, 1, DSC_I64);
  scale.role = step.role = GlobalRole::Runtime;
  device.manifest.globals = {scale, step};
  device.manifest.spaceBytes = {128, 0, 0, 16384 + elements * 4};
  ASSERT_EQ(0, dsc_rt_device_module(&device.ctx, nullptr, 0, ptx, sizeof ptx))
      << device.ctx.status.message();
  ASSERT_EQ(0, dsc_rt_device_kernel(&device.ctx, 0, "scale", count, 0))
      << device.ctx.status.message();
  device.allocate();
}

void stage(CudaTestDevice &device, float value, float scale, int64_t elements = count) {
  Result<std::byte *> x = device.device().staged(device.manifest.inputs[0]);
  ASSERT_TRUE(x.ok()) << x.status().message();
  for (int64_t i = 0; i < elements; ++i) {
    storeFromDouble(DSC_F32, *x, i, value + static_cast<double>(i));
  }
  Result<std::byte *> place = device.device().staged(device.manifest.globals[0]);
  ASSERT_TRUE(place.ok());
  storeFromDouble(DSC_F32, *place, 0, scale);
}

} // namespace

TEST(CudaDevice, StepsRunAheadAndAreReadBehind) {
  DSC_CUDA_DEVICE(device);
  makeProgram(device);
  entryCalls = 0;
  std::vector<int64_t> tickets;
  std::vector<float> losses;
  const DeviceRange loss{device.device().address(planned("loss", DSC_SPACE_IO, 8192, 1)), 4};
  auto finish = [&] {
    double seconds = -1;
    Result<const std::byte *> bytes = device.device().finishRead(tickets.front(), seconds);
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    losses.push_back(static_cast<float>(loadAsDouble(DSC_F32, *bytes, 0)));
    EXPECT_GE(seconds, 0);
    tickets.erase(tickets.begin());
  };
  for (int step = 0; step < 50; ++step) {
    ASSERT_TRUE(device.device().markBegin().ok());
    stage(device, static_cast<float>(step), 3);
    Status status = device.device().run(&device.ctx, {entryMain, entryUpdate});
    ASSERT_TRUE(status.ok()) << status.message();
    Result<int64_t> ticket = device.device().requestRead({loss});
    ASSERT_TRUE(ticket.ok()) << ticket.status().message();
    tickets.push_back(*ticket);
    if (tickets.size() == Device::readSlots) {
      finish();
    }
  }
  while (!tickets.empty()) {
    finish();
  }
  for (int step = 0; step < 50; ++step) {
    EXPECT_EQ(3.0f * static_cast<float>(step), losses[static_cast<size_t>(step)]);
  }
  // Captured once, then replayed.
  EXPECT_EQ(1, entryCalls);
}

TEST(CudaDevice, LargeBatchesTravelBesideTheStep) {
  DSC_CUDA_DEVICE(device);
  const int64_t elements = 1 << 20;
  makeProgram(device, elements);
  for (int step = 0; step < 6; ++step) {
    stage(device, static_cast<float>(step), 1, elements);
    ASSERT_TRUE(device.device().run(&device.ctx, {entryMain, nullptr}).ok());
    std::vector<double> x =
        device.get(device.device().address(device.manifest.inputs[0]), DSC_F32, elements);
    ASSERT_EQ(step, x.front());
    ASSERT_EQ(step + static_cast<double>(elements - 1), x.back());
  }
}

TEST(CudaDevice, ValuesKeepWhatTheyHad) {
  DSC_CUDA_DEVICE(device);
  makeProgram(device);
  stage(device, 1, 2);
  ASSERT_TRUE(device.device().run(&device.ctx, {entryMain, nullptr}).ok());
  for (int i = 0; i < 20; ++i) {
    Result<std::byte *> step = device.device().staged(device.manifest.globals[1]);
    ASSERT_TRUE(step.ok());
    storeFromInteger(DSC_I64, *step, 0, i);
    ASSERT_TRUE(device.device().run(&device.ctx, {entryMain, nullptr}).ok());
  }
  EXPECT_EQ(19, device.get(device.device().address(device.manifest.globals[1]), DSC_I64, 1)[0]);
  std::vector<double> out = device.get(
      device.device().address(planned("out", DSC_SPACE_IO, 4096, count)), DSC_F32, count);
  EXPECT_EQ(2, out[0]);
  EXPECT_EQ(2 * 256, out[255]);
}

TEST(CudaDevice, TensorsTravelInPieces) {
  DSC_CUDA_DEVICE(device);
  device.allocate();
  // Several pieces and a rest.
  const int64_t elements = (int64_t(30) << 20) / 4 + 7;
  std::byte *address = device.place(elements * 4);
  Status status = device.device().write(address, elements * 4, 4,
                                        [](std::byte *piece, int64_t offset, int64_t bytes) {
                                          for (int64_t i = 0; i < bytes / 4; ++i) {
                                            storeFromInteger(DSC_I32, piece, i, offset / 4 + i);
                                          }
                                          return Status();
                                        });
  ASSERT_TRUE(status.ok()) << status.message();
  int64_t seen = 0, wrong = 0;
  status = device.device().read(address, elements * 4, 4,
                                [&](const std::byte *piece, int64_t offset, int64_t bytes) {
                                  EXPECT_EQ(seen * 4, offset);
                                  for (int64_t i = 0; i < bytes / 4; ++i) {
                                    wrong += loadAsInteger(DSC_I32, piece, i) != seen++;
                                  }
                                  return Status();
                                });
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(elements, seen);
  EXPECT_EQ(0, wrong);
}

TEST(CudaDevice, TimesEachOp) {
  DSC_CUDA_DEVICE(device);
  makeProgram(device);
  stage(device, 1, 1);
  ASSERT_TRUE(device.device().startTimes(&device.ctx).ok());
  for (int i = 0; i < 5; ++i) {
    Status status = device.device().run(&device.ctx, {entryMain, entryUpdate});
    ASSERT_TRUE(status.ok()) << status.message();
  }
  OpTimes times;
  times.ops.resize(2);
  Status status = device.device().stopTimes(&device.ctx, times);
  ASSERT_TRUE(status.ok()) << status.message();
  for (const OpTimes::Entry &op : times.ops) {
    EXPECT_EQ(5, op.calls);
    EXPECT_GT(op.nanoseconds, 0);
    EXPECT_LT(op.nanoseconds, 5000000);
  }
}

TEST(CudaDevice, SaysWhatAProgramDoesWrong) {
  {
    DSC_CUDA_DEVICE(device);
    EXPECT_NE(0, dsc_rt_device_module(&device.ctx, nullptr, 0, "not PTX", 8));
    EXPECT_EQ(ExitCode::Machine, device.ctx.status.exitCode());
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("load the program's kernels"));
  }
  {
    DSC_CUDA_DEVICE(device);
    ASSERT_EQ(0, dsc_rt_device_module(&device.ctx, nullptr, 0, ptx, sizeof ptx));
    EXPECT_NE(0, dsc_rt_device_kernel(&device.ctx, 0, "missing", 1, 0));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("missing"));
  }
  {
    DSC_CUDA_DEVICE(device);
    EXPECT_NE(0, dsc_rt_parallel_for(&device.ctx, 0, nullptr, nullptr, 1, 1));
    EXPECT_THAT(device.ctx.status.message(), HasSubstr("the_op: the program calls "
                                                       "dsc_rt_parallel_for"));
  }
}
