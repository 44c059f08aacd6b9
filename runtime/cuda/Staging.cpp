// Between the host and a program's memory.

#include "runtime/cuda/Staging.h"

#include <algorithm>
#include <cstring>

using namespace dsc;

/// Places of inputs in the staged batch.
static constexpr int64_t inputAlignment = 256;
static int64_t aligned(int64_t bytes) {
  return (bytes + inputAlignment - 1) / inputAlignment * inputAlignment;
}

int64_t BatchStaging::deviceBytes(const Manifest &manifest) {
  int64_t bytes = 0;
  for (const InputSpec &input : manifest.inputs) {
    bytes += aligned(input.bytes);
  }
  return bytes <= directBytes ? 0 : bytes;
}

Status BatchStaging::allocate(const Manifest &manifest, std::byte *const *spaces) {
  for (const InputSpec &input : manifest.inputs) {
    inputOf[keyOf(input)] = inputs.size();
    inputs.push_back({inputBytes, spaces[input.space] + input.offset, input.bytes, false});
    inputBytes += aligned(input.bytes);
  }
  for (PinnedMemory &memory : halves) {
    DSC_RETURN_IF_FAILED(memory.allocate(driver, inputBytes));
  }
  if (int64_t bytes = deviceBytes(manifest)) {
    DSC_RETURN_IF_FAILED(stage.allocate(driver, bytes));
  }

  std::vector<const GlobalSpec *> scalars;
  for (const GlobalSpec &global : manifest.globals) {
    if (global.role == GlobalRole::Runtime) {
      scalars.push_back(&global);
    }
  }
  std::sort(scalars.begin(), scalars.end(),
            [](const GlobalSpec *a, const GlobalSpec *b) { return keyOf(*a) < keyOf(*b); });
  int64_t reached = 0;
  for (const GlobalSpec *scalar : scalars) {
    std::byte *target = spaces[scalar->space] + scalar->offset;
    // The next planned place behind the last value: nothing but padding lies between.
    bool continues = !values.empty() && target >= values.back().target + values.back().bytes &&
                     target - values.back().target == dsc_align(values.back().bytes);
    if (continues) {
      Values &run = values.back();
      valueOf[keyOf(*scalar)] = run.stage + (target - run.target);
      run.bytes = target - run.target + scalar->bytes;
    } else {
      valueOf[keyOf(*scalar)] = reached;
      values.push_back({reached, target, scalar->bytes});
    }
    reached = values.back().stage + dsc_align(values.back().bytes);
  }
  mirror.resize(static_cast<size_t>(reached));
  return valueRing.allocate(driver, reached * valueSlots);
}

Result<std::byte *> BatchStaging::place(const PlannedTensor &tensor) {
  if (auto value = valueOf.find(keyOf(tensor)); value != valueOf.end()) {
    valuesWritten = true;
    return mirror.data() + value->second;
  }
  auto found = inputOf.find(keyOf(tensor));
  if (found == inputOf.end()) {
    return Status::internal("\"" + tensor.name + "\" is neither an input nor a run-time value");
  }
  if (!open) {
    DSC_RETURN_IF_FAILED(copied[half].wait());
    open = true;
  }
  Input &input = inputs[found->second];
  input.written = true;
  return halves[half].data() + input.stage;
}

Status BatchStaging::submit() {
  if (open) {
    DSC_RETURN_IF_FAILED(submitInputs());
  }
  return valuesWritten ? submitValues() : Status();
}

Status BatchStaging::submitInputs() {
  const DriverTable &api = driver.api();
  const bool direct = !stage.address();
  CUstream stream = direct ? driver.compute : driver.copies;
  if (!direct) {
    DSC_RETURN_IF_FAILED(consumed.wait(stream));
  }
  for (const Input &input : inputs) {
    if (input.written) {
      CUdeviceptr to = direct ? deviceAddress(input.target)
                              : stage.address() + static_cast<CUdeviceptr>(input.stage);
      DSC_RETURN_IF_FAILED(
          driver.check(api.cuMemcpyHtoDAsync(to, halves[half].data() + input.stage,
                                             static_cast<size_t>(input.bytes), stream),
                       "copy a batch"));
    }
  }
  DSC_RETURN_IF_FAILED(copied[half].record(driver, stream));
  if (!direct) {
    DSC_RETURN_IF_FAILED(copied[half].wait(driver.compute));
  }
  for (Input &input : inputs) {
    if (input.written && !direct) {
      DSC_RETURN_IF_FAILED(driver.check(
          api.cuMemcpyDtoDAsync(deviceAddress(input.target),
                                stage.address() + static_cast<CUdeviceptr>(input.stage),
                                static_cast<size_t>(input.bytes), driver.compute),
          "copy a batch"));
    }
    input.written = false;
  }
  half ^= 1;
  open = false;
  return direct ? Status() : consumed.record(driver, driver.compute);
}

Status BatchStaging::submitValues() {
  const auto slot = static_cast<size_t>(valueCount++ % valueSlots);
  DSC_RETURN_IF_FAILED(valuesCopied[slot].wait());
  std::byte *block = valueRing.data() + slot * mirror.size();
  std::memcpy(block, mirror.data(), mirror.size());
  for (const Values &run : values) {
    DSC_RETURN_IF_FAILED(
        driver.check(driver.api().cuMemcpyHtoDAsync(deviceAddress(run.target), block + run.stage,
                                                    static_cast<size_t>(run.bytes), driver.compute),
                     "copy run-time values"));
  }
  valuesWritten = false;
  return valuesCopied[slot].record(driver, driver.compute);
}

Status ResultStaging::markBegin() { return slotOf(count).begin.record(driver, driver.compute); }

Result<int64_t> ResultStaging::request(const std::vector<DeviceRange> &ranges) {
  Slot &slot = slotOf(count);
  if (!slot.memory) {
    DSC_RETURN_IF_FAILED(slot.memory.allocate(driver, slotBytes));
  }
  slot.offsets.clear();
  slot.bytes.clear();
  int64_t used = 0;
  for (size_t first = 0, next; first < ranges.size(); first = next) {
    // Ranges close to each other travel together, with what lies between them.
    const std::byte *begin = ranges[first].address, *end = begin + ranges[first].bytes;
    for (next = first; next < ranges.size(); ++next) {
      const DeviceRange &range = ranges[next];
      if (next > first && (range.address < end || range.address - end > DSC_ALIGNMENT)) {
        break;
      }
      slot.offsets.push_back(used + (range.address - begin));
      slot.bytes.push_back(range.bytes);
      end = range.address + range.bytes;
    }
    const int64_t bytes = end - begin;
    if (used + bytes > slotBytes) {
      return Status::internal("the scalar results do not fit a slot");
    }
    DSC_RETURN_IF_FAILED(
        driver.check(driver.api().cuMemcpyDtoHAsync(slot.memory.data() + used, deviceAddress(begin),
                                                    static_cast<size_t>(bytes), driver.compute),
                     "copy results"));
    used += dsc_align(bytes);
  }
  DSC_RETURN_IF_FAILED(slot.end.record(driver, driver.compute));
  return count++;
}

Result<const std::byte *> ResultStaging::finish(int64_t ticket, double &seconds) {
  Slot &slot = slotOf(ticket);
  DSC_RETURN_IF_FAILED(slot.end.wait());
  Result<double> elapsed = slot.end.secondsSince(slot.begin);
  if (elapsed.failed()) {
    return elapsed.status();
  }
  seconds = *elapsed;
  packed.clear();
  for (size_t i = 0; i < slot.offsets.size(); ++i) {
    const std::byte *from = slot.memory.data() + slot.offsets[i];
    packed.insert(packed.end(), from, from + slot.bytes[i]);
  }
  return packed.data();
}

Status TensorStaging::prepare() {
  for (PinnedMemory &piece : pieces) {
    if (!piece) {
      DSC_RETURN_IF_FAILED(piece.allocate(driver, pieceBytes));
    }
  }
  return {};
}

Status TensorStaging::write(std::byte *target, int64_t bytes, int64_t elementBytes,
                            const Device::Fill &fill) {
  DSC_RETURN_IF_FAILED(prepare());
  const int64_t step = pieceBytes / elementBytes * elementBytes;
  int half = 0;
  for (int64_t offset = 0; offset < bytes; offset += step, half ^= 1) {
    const int64_t count = std::min(step, bytes - offset);
    DSC_RETURN_IF_FAILED(copied[half].wait());
    DSC_RETURN_IF_FAILED(fill(pieces[half].data(), offset, count));
    DSC_RETURN_IF_FAILED(driver.check(
        driver.api().cuMemcpyHtoDAsync(deviceAddress(target + offset), pieces[half].data(),
                                       static_cast<size_t>(count), driver.compute),
        "copy a tensor"));
    DSC_RETURN_IF_FAILED(copied[half].record(driver, driver.compute));
  }
  return {};
}

Status TensorStaging::read(const std::byte *source, int64_t bytes, int64_t elementBytes,
                           const Device::Consume &consume) {
  DSC_RETURN_IF_FAILED(prepare());
  const int64_t step = pieceBytes / elementBytes * elementBytes;
  auto request = [&](int64_t offset, int half) -> Status {
    if (offset >= bytes) {
      return {};
    }
    DSC_RETURN_IF_FAILED(driver.check(
        driver.api().cuMemcpyDtoHAsync(pieces[half].data(), deviceAddress(source + offset),
                                       static_cast<size_t>(std::min(step, bytes - offset)),
                                       driver.compute),
        "copy a tensor"));
    return copied[half].record(driver, driver.compute);
  };
  // A piece is consumed while the next one is under way.
  int half = 0;
  DSC_RETURN_IF_FAILED(copied[0].wait());
  DSC_RETURN_IF_FAILED(copied[1].wait());
  DSC_RETURN_IF_FAILED(request(0, 0));
  for (int64_t offset = 0; offset < bytes; offset += step, half ^= 1) {
    DSC_RETURN_IF_FAILED(request(offset + step, half ^ 1));
    DSC_RETURN_IF_FAILED(copied[half].wait());
    DSC_RETURN_IF_FAILED(consume(pieces[half].data(), offset, std::min(step, bytes - offset)));
  }
  return {};
}
