// The command `bench`.

#include "runtime/Bench.h"

#include "runtime/Batch.h"
#include "runtime/Progress.h"
#include "runtime/RunTimeValues.h"
#include "runtime/Startup.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <numeric>

using namespace dsc;

static constexpr int64_t warmUpSteps = 3;

/// The process's largest resident set. Not getrusage's: that one survives exec, and would tell of
/// the program that started this one.
static int64_t residentPeak() {
  int64_t kilobytes = 0;
  if (std::FILE *file = std::fopen("/proc/self/status", "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, file) &&
           std::sscanf(line, "VmHWM: %" SCNd64 " kB", &kilobytes) != 1) {
    }
    std::fclose(file);
  }
  return kilobytes * 1024;
}

static void printKernels(const Manifest &manifest, const OpTimes &times, int64_t steps,
                         double stepMs) {
  std::vector<size_t> order(times.ops.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return times.ops[a].nanoseconds > times.ops[b].nanoseconds;
  });
  std::printf("\n%10s %6s %6s %9s %9s  %s\n", "ms/step", "share", "calls", "GFLOP/s", "GB/s",
              "kernel or library call");
  double sum = 0;
  auto perStep = [&](double value) { return value / static_cast<double>(steps); };
  for (size_t i : order) {
    const OpTimes::Entry &entry = times.ops[i];
    if (entry.calls == 0) {
      continue;
    }
    const OpSpec &op = manifest.ops[i];
    double ms = perStep(static_cast<double>(entry.nanoseconds) * 1e-6);
    double nsPerCall = static_cast<double>(entry.nanoseconds) / static_cast<double>(entry.calls);
    sum += ms;
    std::string flops = op.flops ? format("%.1f", static_cast<double>(op.flops) / nsPerCall) : "-";
    std::string rate = op.bytes ? format("%.1f", static_cast<double>(op.bytes) / nsPerCall) : "-";
    std::printf("%10.4f %5.1f%% %6.0f %9s %9s  %s (%s)\n", ms, 100 * ms / stepMs,
                perStep(static_cast<double>(entry.calls)), flops.c_str(), rate.c_str(),
                printable(op.name).c_str(), op.kind.c_str());
  }
  std::printf("%10.4f %5.1f%% %33s  outside of kernels and library calls\n", stepMs - sum,
              100 * (stepMs - sum) / stepMs, "");
}

Status dsc::runBench(Executable &executable, const CommandLine &line) {
  const Manifest &manifest = executable.manifest();
  if (!manifest.hasEntry("last")) {
    return Status::user("this program was compiled without training");
  }
  Result<int64_t> steps = line.integer("--steps", 20, 1);
  if (steps.failed()) {
    return steps.status();
  }
  Result<RunTimeValues> values = RunTimeValues::parse(manifest, line);
  if (values.failed()) {
    return values.status();
  }
  int64_t residentBefore = residentPeak();
  Result<std::unique_ptr<Session>> opened = openSession(executable, line);
  if (opened.failed()) {
    return opened.status();
  }
  Session &session = **opened;
  DSC_RETURN_IF_FAILED(values->apply(session));
  const int64_t count = values->accumulate();
  OpTimes times;
  times.ops.resize(manifest.ops.size());
  std::vector<double> milliseconds;
  auto finish = [&](int open) -> Status {
    while (session.openReadings() > open) {
      Result<ScalarResults> results = session.finishReading();
      if (results.failed()) {
        return results.status();
      }
      milliseconds.push_back(results->seconds * 1e3);
    }
    return {};
  };
  for (int64_t step = 0; step < warmUpSteps + *steps; ++step) {
    if (step == warmUpSteps) {
      DSC_RETURN_IF_FAILED(finish(0));
      milliseconds.clear();
      if (line.has("--kernels")) {
        DSC_RETURN_IF_FAILED(session.device().startTimes(&session.context()));
      }
    }
    DSC_RETURN_IF_FAILED(loadMadeUpBatch(session, static_cast<uint64_t>(step)));
    DSC_RETURN_IF_FAILED(session.setRunTime("rt.step", static_cast<double>(step)));
    DSC_RETURN_IF_FAILED(session.setRunTime(
        "rt.sample_base", static_cast<double>(step * count * manifest.microBatch)));
    DSC_RETURN_IF_FAILED(session.markBegin());
    for (int64_t micro = 0; micro < count; ++micro) {
      DSC_RETURN_IF_FAILED(session.setRunTime("rt.micro_index", static_cast<double>(micro)));
      DSC_RETURN_IF_FAILED(micro + 1 < count ? session.run("micro")
                                             : session.runWithUpdate("last"));
    }
    DSC_RETURN_IF_FAILED(session.beginReading("last"));
    DSC_RETURN_IF_FAILED(finish(Device::readSlots - 1));
  }
  DSC_RETURN_IF_FAILED(finish(0));
  if (line.has("--kernels")) {
    DSC_RETURN_IF_FAILED(session.device().stopTimes(&session.context(), times));
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  double median = milliseconds[milliseconds.size() / 2];
  auto samples = static_cast<double>(manifest.microBatch * count);
  std::printf("%lld steps of %.0f samples, %s\n", static_cast<long long>(*steps), samples,
              session.device().summary().c_str());
  std::printf("ms a step: median %.3f, min %.3f\n", median, milliseconds.front());
  std::printf("rate: %s samples/s", shortNumber(samples / median * 1e3).c_str());
  if (manifest.tokensPerSample) {
    std::printf(", %s tokens/s",
                shortNumber(samples * static_cast<double>(manifest.tokensPerSample) / median * 1e3)
                    .c_str());
  }
  const auto &bytes = manifest.spaceBytes;
  std::printf("\nplanned bytes: state %lld, arena %lld, io %lld, constants %lld, peak %lld\n",
              static_cast<long long>(bytes[DSC_SPACE_STATE]),
              static_cast<long long>(bytes[DSC_SPACE_ARENA]),
              static_cast<long long>(bytes[DSC_SPACE_IO]),
              static_cast<long long>(bytes[DSC_SPACE_CONSTANTS]),
              static_cast<long long>(manifest.plannedBytes()));
  int64_t resident = residentPeak();
  std::printf("measured peak: %s resident, %s of them after start\n", bytesText(resident).c_str(),
              bytesText(resident - residentBefore).c_str());
  if (line.has("--kernels")) {
    double mean = std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0) /
                  static_cast<double>(milliseconds.size());
    printKernels(manifest, times, *steps, mean);
  }
  return {};
}
