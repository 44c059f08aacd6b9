// The command `info`.

#include "runtime/Info.h"

#include "runtime/Device.h"
#include "runtime/Json.h"
#include "runtime/Startup.h"

#include <algorithm>
#include <cstdio>
#include <set>

using namespace dsc;

/// Bytes of the globals of one role and kind, and how many there are.
static std::string stateRow(const Manifest &manifest, GlobalRole role, const std::string &kind,
                            const char *title) {
  int64_t bytes = 0, count = 0;
  for (const GlobalSpec &global : manifest.globals) {
    if (global.role == role && (role != GlobalRole::State || global.kind == kind)) {
      bytes += global.bytes;
      ++count;
    }
  }
  return count ? format("    %-24s%14lld bytes in %lld tensors\n", title,
                        static_cast<long long>(bytes), static_cast<long long>(count))
               : "";
}

/// What the state space holds.
static std::string stateRows(const Manifest &manifest) {
  std::string text = stateRow(manifest, GlobalRole::Trained, "", "parameters") +
                     stateRow(manifest, GlobalRole::Buffer, "", "buffers");
  std::set<std::string> kinds;
  for (const GlobalSpec &global : manifest.globals) {
    if (global.role == GlobalRole::State) {
      kinds.insert(global.kind);
    }
  }
  for (const std::string &kind : kinds) {
    text += stateRow(manifest, GlobalRole::State, kind, kind.empty() ? "counters" : kind.c_str());
  }
  return text;
}

std::string dsc::describe(const Executable &executable) {
  const Manifest &manifest = executable.manifest();
  std::string text = format("%s, compiled by dsc %s for %s\n", manifest.name.c_str(),
                            manifest.version.c_str(), manifest.targetKind.c_str());
  if (!manifest.targetFeatures.empty()) {
    text += "  features: " + manifest.targetFeatures + "\n";
  }
  text += "  " + manifest.compileCommand + "\n\noptions:\n";
  for (const auto &[name, value] : manifest.options) {
    if (name != "config") {
      text += "  " + name + " = " + value + "\n";
      continue;
    }
    if (Result<Json> config = parseJson(value); config.ok() && config->is_object()) {
      for (const auto &[key, setting] : config->items()) {
        text += "  config " + key + " = " +
                (setting.is_string() ? setting.get<std::string>() : jsonText(setting)) + "\n";
      }
    }
  }
  text +=
      format("\ndata, in micro-batches of %lld:\n", static_cast<long long>(manifest.microBatch));
  for (const InputSpec &input : manifest.inputs) {
    if (input.role == InputRole::SampleWeight) {
      continue;
    }
    Shape sample(input.shape.begin() + 1, input.shape.end());
    text += "  " + input.name + " " + dtypeName(input.dtype) + " " + shapeText(sample) +
            (input.role == InputRole::Labels ? " labels" : "");
    text +=
        input.classes ? format(" in 0..%lld\n", static_cast<long long>(input.classes - 1)) : "\n";
  }
  int64_t trained = 0, buffers = 0, state = 0, trainedTensors = 0;
  for (const GlobalSpec &global : manifest.globals) {
    int64_t elements = elementCount(global.shape).value_or(0);
    trained += global.role == GlobalRole::Trained ? elements : 0;
    trainedTensors += global.role == GlobalRole::Trained;
    buffers += global.role == GlobalRole::Buffer ? elements : 0;
    state += global.role == GlobalRole::State ? elements : 0;
  }
  text += format("\nparameters: %lld trained in %lld tensors, %lld in buffers, %lld numbers of "
                 "optimizer state\n",
                 static_cast<long long>(trained), static_cast<long long>(trainedTensors),
                 static_cast<long long>(buffers), static_cast<long long>(state));
  text += "loss: " + (manifest.lossKind.empty() ? "none" : manifest.lossKind) + "\n";
  text += "accumulation: " +
          (manifest.accumulate == 0 ? "any number of micro-batches"
                                    : "at most " + std::to_string(manifest.accumulate)) +
          "\n\nmemory:\n";
  const char *names[DSC_SPACE_COUNT] = {"state", "arena", "constants", "io", "shards"};
  int64_t sum = 0;
  for (size_t i = 0; i < DSC_SPACE_COUNT; ++i) {
    if (i == DSC_SPACE_SHARD && manifest.shards.empty()) {
      continue;
    }
    sum += manifest.spaceBytes[i];
    text +=
        format("  %-10s%14lld bytes\n", names[i], static_cast<long long>(manifest.spaceBytes[i]));
    text += i == DSC_SPACE_STATE ? stateRows(manifest) : "";
  }
  text += format("  %-10s%14lld bytes\n", "together", static_cast<long long>(sum));
  text += "\nruns on:\n";
  if (Result<std::unique_ptr<Device>> device = createDevice(executable, 1); device.ok()) {
    for (const auto &[name, value] : (*device)->facts()) {
      text += "  " + name + ": " + value + "\n";
    }
  } else {
    text += "  not here: " + device.status().message() + "\n";
  }
  text += format("\n%zu kernels and library calls; program %s, constants %s\n", manifest.ops.size(),
                 bytesText(executable.programBytes()).c_str(),
                 bytesText(executable.constantsBytes()).c_str());
  if (!manifest.weightsFile.empty()) {
    text += "weights: " + manifest.weightsFile + "\n";
  }
  return text;
}

Status dsc::runInfo(Executable &executable, const CommandLine &line) {
  if (line.has("--json")) {
    std::printf("%s\n", executable.manifest().text.c_str());
  } else {
    std::printf("%s", printable(describe(executable)).c_str());
  }
  return {};
}
