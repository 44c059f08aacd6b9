// Traces of steps, in the Trace Event Format's complete events.

#include "runtime/Trace.h"

#include "runtime/FileWriter.h"
#include "runtime/Json.h"

#include <algorithm>
#include <fstream>

using namespace dsc;

/// How our traces begin.
static const std::string beginning = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";

Status dsc::checkOverwritesOwnTrace(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(beginning.size(), '\0');
  if (file && (!file.read(start.data(), static_cast<std::streamsize>(start.size())) ||
               start != beginning)) {
    return Status::user(path + ": is there and is no trace; name another file, or use --force");
  }
  return {};
}

/// Which track of the process a bar is on.
enum Track : int { programTrack = 1, collectiveTrack = 2 };

Status dsc::writeTrace(const std::string &path, const Manifest &manifest, const OpTimes &times,
                       const std::vector<CollectiveTime> &collectives, const std::string &device) {
  FileWriter writer;
  DSC_RETURN_IF_FAILED(writer.open(path));
  auto metadata = [&](const char *what, int thread, const std::string &name) {
    return jsonText(
        {{"ph", "M"}, {"pid", 1}, {"tid", thread}, {"name", what}, {"args", {{"name", name}}}});
  };
  DSC_RETURN_IF_FAILED(writer.write(beginning + metadata("process_name", 0, manifest.name) + ",\n" +
                                    metadata("thread_name", programTrack, device)));
  if (!collectives.empty()) {
    DSC_RETURN_IF_FAILED(
        writer.write(",\n" + metadata("thread_name", collectiveTrack, "collectives")));
  }
  for (const OpTimes::Call &call : times.calls) {
    const OpSpec &op = manifest.ops[static_cast<size_t>(call.op)];
    OrderedJson arguments = {{"onnx", op.onnxNames}};
    // Operations and bytes of a nanosecond are thousandths of TFLOP/s and GB/s.
    const double time = static_cast<double>(std::max<int64_t>(call.nanoseconds, 1));
    if (op.flops) {
      arguments["TFLOP/s"] = static_cast<double>(op.flops) / time * 1e-3;
    }
    if (op.bytes) {
      arguments["GB/s"] = static_cast<double>(op.bytes) / time;
    }
    OrderedJson event = {{"ph", "X"},
                         {"pid", 1},
                         {"tid", programTrack},
                         {"name", op.name},
                         {"cat", op.kind},
                         {"ts", static_cast<double>(call.begin) * 1e-3},
                         {"dur", static_cast<double>(call.nanoseconds) * 1e-3},
                         {"args", arguments}};
    DSC_RETURN_IF_FAILED(writer.write(",\n" + jsonText(event)));
  }
  for (const CollectiveTime &call : collectives) {
    const double time = static_cast<double>(std::max<int64_t>(call.nanoseconds, 1));
    OrderedJson event = {
        {"ph", "X"},
        {"pid", 1},
        {"tid", collectiveTrack},
        {"name", call.name},
        {"cat", "collective"},
        {"ts", static_cast<double>(call.begin) * 1e-3},
        {"dur", static_cast<double>(call.nanoseconds) * 1e-3},
        {"args", {{"bytes sent", call.bytes}, {"GB/s", static_cast<double>(call.bytes) / time}}}};
    DSC_RETURN_IF_FAILED(writer.write(",\n" + jsonText(event)));
  }
  DSC_RETURN_IF_FAILED(writer.write("\n]}\n"));
  return writer.commit();
}
