// Timed choices of algorithms.

#include "runtime/cuda/Choices.h"

#include "runtime/FileWriter.h"
#include "runtime/Json.h"
#include "runtime/Sha256.h"
#include "runtime/StartTimes.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

using namespace dsc;

static constexpr int formatVersion = 1;

/// ~/.cache/dsc/choices/HASH.json, its folders made.
static std::string cacheFile(const std::string &executable) {
  std::string folder;
  if (const char *cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) {
    folder = cache;
  } else if (const char *home = std::getenv("HOME"); home && *home) {
    folder = std::string(home) + "/.cache";
  } else {
    return {};
  }
  for (const char *part : {"", "/dsc", "/choices"}) {
    folder += part;
    mkdir(folder.c_str(), 0777);
  }
  return folder + "/" + Sha256::hex(executable.data(), executable.size()).substr(0, 16) + ".json";
}

Choices::Choices(const std::string &executable, const CudaDriver &driver,
                 const AlgorithmChoices &given)
    : driver(driver), beside(executable + ".choices.json"), cached(cacheFile(executable)) {
  for (const std::string &path : {cached, beside}) {
    std::ifstream file(path, std::ios::binary);
    take({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  }
  for (const auto &[key, value] : given) {
    choices[key] = value;
  }
}

void Choices::take(const std::string &text) {
  Result<Json> json = parseJson(text);
  // A damaged file is as good as none.
  if (json.failed() || !json->is_object() || json->value("format", 0) != formatVersion ||
      !json->contains("choices") || !(*json)["choices"].is_object()) {
    return;
  }
  const Json &stored = (*json)["choices"];
  for (auto item = stored.begin(); item != stored.end(); ++item) {
    if (item->is_string()) {
      choices[item.key()] = item->get<std::string>();
    }
  }
}

std::string Choices::text() const {
  OrderedJson json = {{"format", formatVersion}, {"choices", OrderedJson::object()}};
  for (const auto &[key, value] : choices) {
    json["choices"][key] = value;
  }
  return jsonText(json, 1);
}

std::optional<std::string> Choices::find(const std::string &key) const {
  auto found = choices.find(driver.chip() + " " + key);
  return found == choices.end() ? std::nullopt : std::optional(found->second);
}

void Choices::store(const std::string &key, const std::string &value) {
  choices[driver.chip() + " " + key] = value;
  changed = true;
}

Status Choices::save() {
  for (Operand &operand : operands) {
    operand.memory.release();
    operand.bytes = 0;
  }
  if (!changed) {
    return {};
  }
  for (const std::string &path : {beside, cached}) {
    FileWriter writer;
    if (!path.empty() && writer.open(path).ok() && writer.write(text()).ok() &&
        writer.commit().ok()) {
      changed = false;
      break;
    }
  }
  return {};
}

Status Choices::fill(Operand &operand) const {
  StartPhase phase("timing of algorithms");
  // Random, since zeros draw less power and run faster: a block made here, then doubled there.
  const Dtype dtype = static_cast<Dtype>(operand.dtype);
  const int64_t size = dtypeSize(dtype);
  std::vector<std::byte> block(static_cast<size_t>(std::min(operand.bytes, int64_t(1) << 17)));
  uint64_t state = 1;
  for (int64_t i = 0, end = static_cast<int64_t>(block.size()) / size; i < end; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    storeFromDouble(dtype, block.data(), i, static_cast<double>(state >> 32) * 0x1p-31 - 1);
  }
  const DriverTable &api = driver.api();
  auto done = static_cast<int64_t>(block.size());
  DSC_RETURN_IF_FAILED(driver.check(
      api.cuMemcpyHtoDAsync(operand.memory.address(), block.data(), block.size(), driver.compute),
      "copy"));
  while (done < operand.bytes) {
    const int64_t count = std::min(done, operand.bytes - done);
    DSC_RETURN_IF_FAILED(driver.check(
        api.cuMemcpyDtoDAsync(operand.memory.address() + static_cast<CUdeviceptr>(done),
                              operand.memory.address(), static_cast<size_t>(count), driver.compute),
        "copy"));
    done += count;
  }
  // The block goes away.
  return driver.check(api.cuStreamSynchronize(driver.compute), "copy");
}

void *Choices::operand(int slot, int64_t bytes, int32_t dtype) {
  Operand &operand = operands[slot];
  if (operand.bytes < bytes || operand.dtype != dtype) {
    if (operand.bytes < bytes) {
      operand.bytes = 0;
      if (operand.memory.allocate(driver, bytes).failed()) {
        return nullptr;
      }
      operand.bytes = bytes;
    }
    operand.dtype = dtype;
    if (fill(operand).failed()) {
      return nullptr;
    }
  }
  return operand.memory.data();
}

Result<double> Choices::time(const std::function<Status()> &enqueue, int repetitions) {
  CudaEvent begin(true), end(true);
  DSC_RETURN_IF_FAILED(begin.record(driver, driver.compute));
  for (int i = 0; i < repetitions; ++i) {
    DSC_RETURN_IF_FAILED(enqueue());
  }
  DSC_RETURN_IF_FAILED(end.record(driver, driver.compute));
  DSC_RETURN_IF_FAILED(end.wait());
  Result<double> seconds = end.secondsSince(begin);
  return seconds.ok() ? Result<double>(*seconds / repetitions) : seconds;
}

Result<double> Choices::secondsOf(const std::function<Status()> &enqueue, int repetitions) {
  Result<double> first = time(enqueue, 1);
  return first.ok() ? time(enqueue, repetitions) : first;
}

std::optional<size_t> Choices::fastest(size_t count, const std::function<Status(size_t)> &enqueue) {
  StartPhase phase("timing of algorithms");
  // Each round takes longer for a variant, and leaves out those that are further behind the best.
  struct Round {
    double behind, seconds;
  };
  constexpr Round rounds[] = {{1.3, 0.5e-3}, {1.1, 1e-3}, {1.05, 2e-3}};
  constexpr double latency = 5e-6; // of a launch, which a single run of a small product shows
  constexpr double never = std::numeric_limits<double>::infinity();
  std::vector<double> best(count, never);
  for (size_t i = 0; i < count; ++i) {
    auto once = [&] { return enqueue(i); };
    // The first run loads the kernel.
    Result<double> first = time(once, 1);
    Result<double> second = first.ok() ? time(once, 1) : first;
    best[i] = second.ok() ? *second : never;
  }
  if (count == 0 || *std::min_element(best.begin(), best.end()) == never) {
    return std::nullopt;
  }
  for (const Round &round : rounds) {
    const double most = *std::min_element(best.begin(), best.end()) * round.behind + latency;
    for (size_t i = 0; i < count; ++i) {
      if (best[i] > most) {
        continue;
      }
      const int repetitions =
          std::clamp(static_cast<int>(round.seconds / std::max(best[i], 1e-6)), 1, 20);
      Result<double> seconds = time([&] { return enqueue(i); }, repetitions);
      if (seconds.ok()) {
        best[i] = std::min(best[i], *seconds);
      }
    }
  }
  return static_cast<size_t>(std::min_element(best.begin(), best.end()) - best.begin());
}
