// How work is dealt to the CPU's threads.

#include "runtime/cpu/ThreadTeam.h"
#include "runtime/cpu/SharedLibrary.h"
#include "test/runtime/cpu/CpuTestDevice.h"

#include "gmock/gmock.h"

#include <atomic>

using namespace dsc;
using namespace dsc::testing;
using ::testing::HasSubstr;

namespace {

void countUnits(void *const *args, int64_t begin, int64_t end) {
  auto *counts = static_cast<std::atomic<int> *>(args[0]);
  auto *pieces = static_cast<std::atomic<int> *>(args[1]);
  for (int64_t unit = begin; unit < end; ++unit) {
    ++counts[unit];
  }
  ++*pieces;
}

TEST(ThreadTeam, CoversEveryUnitOnceInPiecesOfAtLeastTheGrain) {
  for (int threads : {1, 2, 3}) {
    CpuTestDevice device(threads);
    for (int64_t units : {0, 1, 2, 63, 64, 65, 1000}) {
      for (int64_t grain : {1, 64, 400}) {
        std::vector<std::atomic<int>> counts(static_cast<size_t>(units));
        std::atomic<int> pieces{0};
        void *args[] = {counts.data(), &pieces};
        EXPECT_EQ(0, dsc_rt_parallel_for(&device.ctx, 0, countUnits, args, units, grain));
        for (auto &count : counts) {
          EXPECT_EQ(1, count.load());
        }
        EXPECT_LE(pieces.load(), std::max<int64_t>(1, units / grain));
        EXPECT_LE(pieces.load(), threads);
      }
    }
  }
}

TEST(ThreadTeam, CopiesEveryByte) {
  CpuTestDevice device(2);
  for (size_t bytes : {size_t(0), size_t(1), size_t(63), size_t(1 << 20), size_t((3 << 20) + 5)}) {
    std::vector<char> from(bytes), to(bytes + 1, 'x');
    for (size_t i = 0; i < bytes; ++i) {
      from[i] = static_cast<char>(i * 7);
    }
    EXPECT_EQ(0, dsc_rt_copy(&device.ctx, 0, to.data(), from.data(), int64_t(bytes)));
    EXPECT_TRUE(std::equal(from.begin(), from.end(), to.begin()));
    EXPECT_EQ('x', to[bytes]);
  }
}

TEST(ThreadTeam, TakesTheNumberOfThreadsAskedFor) {
  CpuTestDevice device(3);
  EXPECT_EQ(3, device.ctx.device->threads());
  Status status = createCpuDevice(-1).status();
  EXPECT_THAT(status.message(), HasSubstr("-1 threads were asked for"));
  EXPECT_EQ(ExitCode::User, status.exitCode());
}

TEST(SharedLibrary, SaysWhatIsMissingWhereItLookedAndHowToInstallIt) {
  Result<SharedLibrary> library = SharedLibrary::open(
      {"Frobnication", {"libfrob.so.3", "libfrob.so.2"}, "/nowhere", "apt-get install libfrob2"});
  ASSERT_TRUE(library.failed());
  EXPECT_EQ(ExitCode::Machine, library.status().exitCode());
  EXPECT_THAT(library.status().message(), HasSubstr("Frobnication cannot be loaded"));
  EXPECT_THAT(library.status().message(), HasSubstr("libfrob.so.3, libfrob.so.2 in /nowhere"));
  EXPECT_THAT(library.status().message(), HasSubstr("apt-get install libfrob2"));
}

TEST(SharedLibrary, SaysWhichFunctionAVersionLacks) {
  Result<SharedLibrary> library =
      SharedLibrary::open({"The C library", {"libc.so.6"}, "", "apt-get install libc6"});
  ASSERT_TRUE(library.ok());
  void (*function)() = nullptr;
  EXPECT_THAT(library->load("no_such_function", function).message(),
              HasSubstr("has no function 'no_such_function'"));
  EXPECT_TRUE(library->load("malloc", function).ok());
}

} // namespace
