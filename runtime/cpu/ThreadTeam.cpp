// The threads that share a CPU op.

#include "runtime/cpu/ThreadTeam.h"

#include "runtime/cpu/SharedLibrary.h"

#include <cstdlib>
#include <sched.h>
#include <thread>

using namespace dsc;

namespace {

/// libgomp's functions; one copy a process, as its pool is.
struct Gomp {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned) = nullptr;
  void (*barrier)() = nullptr;
  void (*setNumThreads)(int) = nullptr;
  void (*setDynamic)(int) = nullptr;
  int (*getThreadNum)() = nullptr;
  int (*getNumThreads)() = nullptr;
};

Gomp gomp;

Status loadGomp() {
  if (gomp.parallel) {
    return {};
  }
  // libgomp reads these once, when it is loaded. A step is many regions of 10 to 50 us with short
  // gaps; a worker that sleeps in a gap costs more than the region. About a millisecond of spinning
  // covers the gaps, and leaves the cores to others when the program waits for data.
  if (!std::getenv("OMP_WAIT_POLICY")) {
    setenv("GOMP_SPINCOUNT", "30000", /*overwrite=*/0);
  }
  Result<SharedLibrary> library =
      SharedLibrary::open({"GNU OpenMP", {"libgomp.so.1"}, "", "apt-get install libgomp1"});
  DSC_RETURN_IF_FAILED(library.status());
  DSC_RETURN_IF_FAILED(library->load("GOMP_barrier", gomp.barrier));
  DSC_RETURN_IF_FAILED(library->load("omp_set_num_threads", gomp.setNumThreads));
  DSC_RETURN_IF_FAILED(library->load("omp_set_dynamic", gomp.setDynamic));
  DSC_RETURN_IF_FAILED(library->load("omp_get_thread_num", gomp.getThreadNum));
  DSC_RETURN_IF_FAILED(library->load("omp_get_num_threads", gomp.getNumThreads));
  return library->load("GOMP_parallel", gomp.parallel);
}

} // namespace

int dsc::coresOfProcess() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(CPU_COUNT(&set), 1);
  }
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

Status ThreadTeam::start(int threads) {
  if (threads < 0 || threads > 4096) {
    return Status::user(format("%d threads were asked for; a team has 1 to 4096", threads));
  }
  count = threads ? threads : coresOfProcess();
  if (count > 1) {
    DSC_RETURN_IF_FAILED(loadGomp());
  }
  if (gomp.parallel) {
    // What else lives on OpenMP in this process must not start a larger team.
    gomp.setDynamic(0);
    gomp.setNumThreads(count);
  }
  getThreadNumber = gomp.getThreadNum;
  getThreadCount = gomp.getNumThreads;
  scratchOf.clear();
  for (int thread = 0; thread < count; ++thread) {
    void *memory = std::aligned_alloc(4096, scratchBytesEach);
    if (!memory) {
      return Status::machine("out of memory for the threads' scratch");
    }
    scratchOf.emplace_back(memory);
  }
  return {};
}

void ThreadTeam::parallel(void (*body)(void *), void *data, int threads) {
  gomp.parallel(body, data, static_cast<unsigned>(threads), 0);
}

void ThreadTeam::waitForAll() const { gomp.barrier(); }

void ThreadTeam::Free::operator()(void *memory) const { std::free(memory); }
