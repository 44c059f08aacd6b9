// The command `bench`.

#include "runtime/Bench.h"

#include "runtime/Batch.h"
#include "runtime/Json.h"
#include "runtime/Progress.h"
#include "runtime/RunTimeValues.h"
#include "runtime/StartTimes.h"
#include "runtime/Startup.h"
#include "runtime/Wire.h"

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

/// The least time that an op can take: its bytes at the speed of a copy, its operations at that of
/// a large matrix product, whichever is longer; 0 where nothing is known.
static double boundSeconds(const OpSpec &op, const DeviceRates &rates) {
  double moving =
      rates.bytesPerSecond > 0 ? static_cast<double>(op.bytes) / rates.bytesPerSecond : 0;
  double computing =
      rates.flopsPerSecond > 0 ? static_cast<double>(op.flops) / rates.flopsPerSecond : 0;
  return std::max(moving, computing);
}

namespace {
/// Steps of one program, timed.
class Bench {
public:
  Bench(Executable &executable, const CommandLine &line, Ranks &ranks)
      : executable(executable), manifest(executable.manifest()), line(line), ranks(ranks) {}

  Status run();

private:
  Status open(Facts &facts);
  Status step(int64_t number);
  Status finish(int open);
  Status measure();
  Status profile();
  void print() const;
  void printKernels() const;
  OrderedJson json() const;

  double perStep(double value) const { return value / static_cast<double>(profiledSteps); }
  double tokens() const { return samples * static_cast<double>(manifest.tokensPerSample); }
  int64_t peakBytes() const {
    const int64_t allocated = session->device().allocatedBytes();
    return allocated ? allocated : resident - residentBefore;
  }

  Executable &executable;
  const Manifest &manifest;
  const CommandLine &line;
  Ranks &ranks;
  std::unique_ptr<Session> session;
  int64_t steps = 0, micros = 1, residentBefore = 0, resident = 0;
  double samples = 0; ///< of a step
  double firstSeconds = 0, median = 0;
  std::vector<StartTime> firstTimes; ///< parts of firstSeconds
  std::vector<double> milliseconds;

  Wire wire;

  int64_t profiledSteps = 1;
  OpTimes times;
  DeviceRates rates;
  std::vector<size_t> order; ///< ops that were called, the longest first
};
} // namespace

Status Bench::open(Facts &facts) {
  if (!manifest.hasEntry("last")) {
    return Status::user("this program was compiled without training");
  }
  Result<int64_t> asked = line.integer("--steps", 20, 1);
  Result<RunTimeValues> values = RunTimeValues::parse(manifest, line);
  DSC_RETURN_IF_FAILED(asked.status());
  DSC_RETURN_IF_FAILED(values.status());
  steps = *asked;
  facts = programFacts(executable, line);
  residentBefore = residentPeak();
  Result<std::unique_ptr<Session>> opened = openSession(executable, line, ranks);
  DSC_RETURN_IF_FAILED(opened.status());
  session = std::move(*opened);
  micros = values->accumulate();
  samples = static_cast<double>(manifest.microBatch * micros * ranks.count());
  return values->apply(*session, steps);
}

Status Bench::step(int64_t number) {
  // A batch of its own for each rank: they may be the same ones in every micro-batch.
  const int64_t batch = number * ranks.count() + ranks.rank();
  ranks.state().step = number + 1;
  DSC_RETURN_IF_FAILED(loadMadeUpBatch(*session, static_cast<uint64_t>(batch)));
  DSC_RETURN_IF_FAILED(session->setRunTime("rt.step", static_cast<double>(number)));
  DSC_RETURN_IF_FAILED(session->setRunTime(
      "rt.sample_base", static_cast<double>(batch * micros * manifest.microBatch)));
  DSC_RETURN_IF_FAILED(session->markBegin());
  for (int64_t micro = 0; micro < micros; ++micro) {
    DSC_RETURN_IF_FAILED(session->setRunTime("rt.micro_index", static_cast<double>(micro)));
    DSC_RETURN_IF_FAILED(micro + 1 < micros ? session->run("micro")
                                            : session->runWithUpdate("last"));
  }
  return session->beginReading("last");
}

/// Takes the times of steps until at most `open` are not done.
Status Bench::finish(int open) {
  while (session->openReadings() > open) {
    Result<ScalarResults> results = session->finishReading();
    DSC_RETURN_IF_FAILED(results.status());
    milliseconds.push_back(results->seconds * 1e3);
  }
  return {};
}

Status Bench::measure() {
  Facts facts;
  Status opened = open(facts);
  DSC_RETURN_IF_FAILED(ranks.agree(opened, facts));
  ranks.state().activity = Activity::Computing;
  std::unique_ptr<WireCount> count;
  for (int64_t number = 0; number < warmUpSteps + steps; ++number) {
    if (number == warmUpSteps) {
      DSC_RETURN_IF_FAILED(session->wait());
      count = std::make_unique<WireCount>(*session, ranks);
    }
    DSC_RETURN_IF_FAILED(step(number));
    DSC_RETURN_IF_FAILED(finish(number < warmUpSteps ? 0 : Device::readSlots - 1));
    if (number == 0) {
      firstSeconds = secondsSinceStart();
      firstTimes = startTimes();
    }
  }
  DSC_RETURN_IF_FAILED(finish(0));
  DSC_RETURN_IF_FAILED(session->wait());
  Result<Wire> counted = count->finish();
  DSC_RETURN_IF_FAILED(counted.status());
  wire = *counted;
  resident = residentPeak();
  milliseconds.erase(milliseconds.begin(), milliseconds.begin() + warmUpSteps);
  std::sort(milliseconds.begin(), milliseconds.end());
  median = milliseconds[milliseconds.size() / 2];
  return {};
}

/// In steps of its own: taking the time of every op takes time. So do collectives that the host
/// does not wait for.
Status Bench::profile() {
  profiledSteps = std::min<int64_t>(steps, 10);
  times.ops.resize(manifest.ops.size());
  Communicator *communicator = session->context().communicator;
  if (communicator) {
    communicator->startTimes();
  }
  DSC_RETURN_IF_FAILED(session->device().startTimes(&session->context()));
  for (int64_t number = 0; number < profiledSteps; ++number) {
    DSC_RETURN_IF_FAILED(step(number));
    DSC_RETURN_IF_FAILED(session->finishReading().status());
  }
  DSC_RETURN_IF_FAILED(session->device().stopTimes(&session->context(), times));
  if (communicator && !session->device().isHostMemory()) {
    const double share = static_cast<double>(steps) / static_cast<double>(profiledSteps);
    wire.busy = wire.waited = 0;
    for (const CollectiveTime &time : communicator->stopTimes()) {
      wire.busy += static_cast<double>(time.nanoseconds) * 1e-9 * share;
    }
    for (size_t i = 0; i < times.ops.size(); ++i) {
      if (manifest.ops[i].kind == "wait") {
        wire.waited += static_cast<double>(times.ops[i].nanoseconds) * 1e-9 * share;
      }
    }
  }
  if (!line.has("--kernels")) {
    return {};
  }
  Result<DeviceRates> measured = session->device().measureRates(manifest);
  DSC_RETURN_IF_FAILED(measured.status());
  rates = *measured;
  for (size_t i = 0; i < times.ops.size(); ++i) {
    if (times.ops[i].calls) {
      order.push_back(i);
    }
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return times.ops[a].nanoseconds > times.ops[b].nanoseconds;
  });
  return {};
}

void Bench::printKernels() const {
  if (rates.flopsPerSecond > 0) {
    std::printf("\nceilings: copy %.0f GB/s, matrix product %.0f TFLOP/s\n",
                rates.bytesPerSecond * 1e-9, rates.flopsPerSecond * 1e-12);
  }
  std::printf("\n%10s %6s %6s %9s %9s %6s  %s\n", "ms/step", "share", "calls", "GFLOP/s", "GB/s",
              "bound", "kernel or library call");
  double sum = 0, bounds = 0;
  for (size_t i : order) {
    const OpTimes::Entry &entry = times.ops[i];
    const OpSpec &op = manifest.ops[i];
    if (entry.nanoseconds == 0) {
      continue; // A collective of one rank.
    }
    const double ms = perStep(static_cast<double>(entry.nanoseconds) * 1e-6);
    const double calls = perStep(static_cast<double>(entry.calls));
    const double runs = calls / static_cast<double>(op.launches), nsPerRun = ms * 1e6 / runs;
    const double bound = boundSeconds(op, rates);
    sum += ms;
    bounds += bound * runs * 1e3;
    std::string flops = op.flops ? format("%.1f", static_cast<double>(op.flops) / nsPerRun) : "-";
    std::string rate = op.bytes ? format("%.1f", static_cast<double>(op.bytes) / nsPerRun) : "-";
    std::string share = bound > 0 ? format("%.0f%%", bound * 1e11 / nsPerRun) : "-";
    std::string nodes;
    for (const std::string &node : op.onnxNames) {
      nodes += (nodes.empty() ? " [" : ", ") + node;
    }
    std::printf("%10.4f %5.1f%% %6.0f %9s %9s %6s  %s (%s)%s\n", ms, 100 * ms / median, calls,
                flops.c_str(), rate.c_str(), share.c_str(), printable(op.name).c_str(),
                op.kind.c_str(), nodes.empty() ? "" : printable(nodes + "]").c_str());
  }
  std::printf("%10.4f %5.1f%% %40s  outside of kernels and library calls\n", median - sum,
              100 * (median - sum) / median, "");
  std::printf("%10.4f %5.1f%% %40s  the step%s\n", median, 100.0, "",
              bounds > 0 ? format("; the sum of the bounds is %.4f ms, %.0f%% of it", bounds,
                                  100 * bounds / median)
                               .c_str()
                         : "");
}

void Bench::print() const {
  std::printf("%lld steps of %.0f samples, %s, %s\n", static_cast<long long>(steps), samples,
              ranks.summary().c_str(), session->device().summary().c_str());
  std::printf("ms a step: median %.3f, min %.3f\n", median, milliseconds.front());
  std::printf("rate: %s samples/s", shortNumber(samples / median * 1e3).c_str());
  if (manifest.tokensPerSample) {
    std::printf(", %s tokens/s", shortNumber(tokens() / median * 1e3).c_str());
  }
  const auto &bytes = manifest.spaceBytes;
  std::printf("\nplanned bytes: state %lld, arena %lld, io %lld, constants %lld, peak %lld\n",
              static_cast<long long>(bytes[DSC_SPACE_STATE]),
              static_cast<long long>(bytes[DSC_SPACE_ARENA]),
              static_cast<long long>(bytes[DSC_SPACE_IO]),
              static_cast<long long>(bytes[DSC_SPACE_CONSTANTS]),
              static_cast<long long>(manifest.plannedBytes(ranks.count())));
  if (int64_t allocated = session->device().allocatedBytes()) {
    std::printf("measured peak: %lld bytes allocated on the GPU\n",
                static_cast<long long>(allocated));
  } else {
    std::printf("measured peak: %s resident, %s of them after start\n", bytesText(resident).c_str(),
                bytesText(resident - residentBefore).c_str());
  }
  std::printf("first step: done %.2f s after start (%s)\n", firstSeconds,
              startTimesText(firstTimes).c_str());
  if (ranks.count() > 1) {
    const auto perStep = static_cast<double>(steps);
    std::printf("on the wire a step: %.0f bytes payload (reduce-scatter %.0f, all-gather %.0f), "
                "padding %.0f, scalars %.0f\n",
                wire.payload() / perStep, wire.reduceScatter / perStep, wire.allGather / perStep,
                wire.padding / perStep, wire.scalars / perStep);
    std::printf("collectives: %.3f ms a step, of which the program waited %.3f ms\n",
                wire.busy * 1e3 / perStep, wire.waited * 1e3 / perStep);
  }
  if (!order.empty()) {
    printKernels();
  }
}

OrderedJson Bench::json() const {
  OrderedJson object = {{"device", session->device().summary()},
                        {"ranks", ranks.count()},
                        {"steps", steps},
                        {"ms", median},
                        {"min_ms", milliseconds.front()},
                        {"samples_per_s", samples / median * 1e3},
                        {"planned_bytes", manifest.plannedBytes(ranks.count())},
                        {"peak_bytes", peakBytes()},
                        {"first_step_seconds", firstSeconds}};
  for (const StartTime &time : firstTimes) {
    object["start_seconds"][time.phase] = time.seconds;
  }
  if (manifest.tokensPerSample) {
    object["tokens_per_s"] = tokens() / median * 1e3;
  }
  if (ranks.count() > 1) {
    object["wire"] = wire.json(static_cast<double>(steps));
  }
  if (order.empty()) {
    return object;
  }
  object["copy_bytes_per_s"] = rates.bytesPerSecond;
  object["product_flops_per_s"] = rates.flopsPerSecond;
  for (size_t i : order) {
    const OpSpec &op = manifest.ops[i];
    object["kernels"].push_back(
        {{"name", op.name},
         {"kind", op.kind},
         {"onnx", op.onnxNames},
         {"calls", perStep(static_cast<double>(times.ops[i].calls))},
         {"ms", perStep(static_cast<double>(times.ops[i].nanoseconds) * 1e-6)},
         {"bound_ms", boundSeconds(op, rates) * 1e3 *
                          perStep(static_cast<double>(times.ops[i].calls)) /
                          static_cast<double>(op.launches)},
         {"flops", op.flops},
         {"bytes", op.bytes}});
  }
  return object;
}

Status Bench::run() {
  DSC_RETURN_IF_FAILED(measure());
  if (line.has("--kernels") || (ranks.count() > 1 && !session->device().isHostMemory())) {
    DSC_RETURN_IF_FAILED(profile());
  }
  if (!ranks.isFirst()) {
    return {};
  }
  if (line.has("--json")) {
    std::printf("%s\n", jsonText(json()).c_str());
  } else {
    print();
  }
  return {};
}

Status dsc::runBench(Executable &executable, const CommandLine &line, Ranks &ranks) {
  return Bench(executable, line, ranks).run();
}
