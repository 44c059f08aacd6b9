// A loaded program with its memory.

#include "runtime/Session.h"

#include "runtime/GeneratedCode.h"
#include "runtime/StridedRuns.h"
#include "runtime/comm/Ranks.h"
#include "runtime/cpu/ThreadTeam.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace dsc;

std::optional<double> ScalarResults::find(std::string_view name) const {
  for (const auto &[key, value] : values) {
    if (key == name) {
      return value;
    }
  }
  return std::nullopt;
}

/// Why `manifest`'s program does not run on `ranks`; ok where it does.
static Status checkRanks(const Manifest &manifest, int ranks) {
  if (ranks > manifest.maxRanks) {
    return Status::user(format("%d ranks were started and the program was compiled for at most "
                               "%lld; compile it with --max-ranks=%d",
                               ranks, static_cast<long long>(manifest.maxRanks), ranks));
  }
  return {};
}

Result<std::unique_ptr<Session>> Session::create(Executable &executable, int threads, Ranks *ranks,
                                                 const AlgorithmChoices &choices) {
  std::unique_ptr<Session> session(new Session(executable));
  const Manifest &manifest = executable.manifest();
  session->ctx.communicator = session->hosts = ranks ? ranks->communicator() : nullptr;
  session->sharingProcessors = ranks ? std::max(ranks->sharingProcessors(), 1) : 1;
  DSC_RETURN_IF_FAILED(checkRanks(manifest, session->ranks()));
  for (const OpSpec &op : manifest.ops) {
    session->ctx.opNames.push_back(op.name);
  }
  Result<std::unique_ptr<Device>> device = createDevice(executable, threads, ranks, choices);
  if (device.failed()) {
    return device.status();
  }
  session->ctx.device = std::move(*device);
  if (Communicator *own = session->ctx.device->communicator()) {
    session->ctx.communicator = own;
  }
  DSC_RETURN_IF_FAILED(session->ctx.device->beginPlans());
  Status planned = session->makePlans();
  Status told = session->ctx.device->endPlans();
  DSC_RETURN_IF_FAILED(planned);
  DSC_RETURN_IF_FAILED(told);
  session->ctx.device->setRank(session->rank(), session->ranks());
  DSC_RETURN_IF_FAILED(session->ctx.device->allocate(manifest, executable.constants()));
  DSC_RETURN_IF_FAILED(session->fillGlobals());
  return session;
}

Session::~Session() = default;

DSC_CALLS_GENERATED_CODE Status Session::makePlans() {
  DSC_RETURN_IF_FAILED(executable.load());
  DSC_RETURN_IF_FAILED(findEntries());
  auto *init = reinterpret_cast<int32_t (*)(dsc_context *)>(executable.symbol("dsc_program_init"));
  if (!init) {
    return Status::internal("the compiled program has no dsc_program_init");
  }
  if (init(&ctx) != 0 || ctx.status.failed()) {
    return ctx.status.failed() ? ctx.status
                               : Status::internal("the program's start failed in silence");
  }
  return {};
}

Status Session::findEntries() {
  for (const std::string &name : manifest().entries) {
    Entry entry;
    entry.name = name;
    entry.functions.main = reinterpret_cast<dsc_entry_fn>(executable.symbol("dsc_entry_" + name));
    entry.functions.update =
        reinterpret_cast<dsc_entry_fn>(executable.symbol("dsc_entry_" + name + "_update"));
    if (!entry.functions.main) {
      return Status::internal("the compiled program lacks its entry " + name);
    }
    entries.push_back(entry);
  }
  return {};
}

Status Session::fillGlobals() {
  for (const GlobalSpec &spec : manifest().globals) {
    if (!spec.weightsKey.empty() || spec.fill == 0 || spec.role == GlobalRole::Runtime) {
      continue; // fresh spaces are zero
    }
    DSC_RETURN_IF_FAILED(writeElements(spec, [&](std::byte *target, int64_t, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        storeFromDouble(spec.dtype, target, i, spec.fill);
      }
      return Status();
    }));
  }
  for (const GlobalSpec &spec : manifest().globals) {
    if (spec.role == GlobalRole::Runtime) {
      DSC_RETURN_IF_FAILED(setRunTime(spec.name, spec.fill));
    }
  }
  for (const RunTimeValue &spec : manifest().runTimeValues) {
    DSC_RETURN_IF_FAILED(setRunTime(spec.global, spec.defaultValue));
  }
  return setRunTime("rt.ranks", ranks());
}

Status Session::call(const std::string &name, bool main, bool update) {
  for (const Entry &entry : entries) {
    if (entry.name != name) {
      continue;
    }
    EntryFunctions part{main ? entry.functions.main : nullptr,
                        update ? entry.functions.update : nullptr};
    if (!part.main && !part.update) {
      return {};
    }
    ctx.status = Status();
    dropGathered();
    return ctx.device->run(&ctx, part);
  }
  return Status::user(format("this program was compiled without the entry \"%s\"", name.c_str()));
}

Status Session::run(const char *name) { return call(name, true, false); }
Status Session::runUpdate(const char *name) { return call(name, false, true); }
Status Session::runWithUpdate(const char *name) { return call(name, true, true); }

std::vector<const PlannedTensor *> Session::scalarsOf(std::string_view entry) const {
  std::vector<const PlannedTensor *> scalars;
  for (const auto &[name, results] : manifest().results) {
    for (const PlannedTensor &result : results) {
      if (name == entry && elementCount(result.shape) == 1) {
        scalars.push_back(&result);
      }
    }
  }
  return scalars;
}

Status Session::beginReading(const char *entry) {
  Reading reading;
  reading.scalars = scalarsOf(entry);
  std::vector<DeviceRange> ranges;
  for (const PlannedTensor *scalar : reading.scalars) {
    ranges.push_back({ctx.device->address(*scalar), dtypeSize(scalar->dtype)});
  }
  Result<int64_t> ticket = ctx.device->requestRead(ranges);
  if (ticket.failed()) {
    return ticket.status();
  }
  reading.ticket = *ticket;
  readings.push_back(std::move(reading));
  return {};
}

Result<bool> Session::isReadingDone() { return ctx.device->isRead(readings.front().ticket); }

Result<ScalarResults> Session::finishReading() {
  Reading reading = std::move(readings.front());
  readings.erase(readings.begin());
  ScalarResults results;
  Result<const std::byte *> bytes = ctx.device->finishRead(reading.ticket, results.seconds);
  if (bytes.failed()) {
    return bytes.status();
  }
  const std::byte *at = *bytes;
  for (const PlannedTensor *scalar : reading.scalars) {
    results.values.emplace_back(scalar->name, loadAsDouble(scalar->dtype, at, 0));
    at += dtypeSize(scalar->dtype);
  }
  return results;
}

Result<std::optional<double>> Session::scalar(const char *entry, const char *name) {
  const PlannedTensor *tensor = manifest().result(entry, name);
  if (!tensor) {
    return std::optional<double>();
  }
  std::optional<double> value;
  DSC_RETURN_IF_FAILED(read(*tensor, [&](const std::byte *data, int64_t offset, int64_t) {
    value = offset == 0 ? loadAsDouble(tensor->dtype, data, 0) : *value;
    return Status();
  }));
  return value;
}

Status Session::setRunTime(std::string_view name, double value) {
  const GlobalSpec *spec = manifest().global(name);
  if (!spec || spec->role != GlobalRole::Runtime) {
    return {};
  }
  Result<std::byte *> place = ctx.device->staged(*spec);
  if (place.ok()) {
    storeFromDouble(spec->dtype, *place, 0, value);
  }
  return place.status();
}

Status Session::wait() {
  DSC_RETURN_IF_FAILED(ctx.device->wait());
  return ctx.communicator ? ctx.communicator->waitAll() : Status();
}

Result<bool> Session::launchStart(const char *name, const std::vector<void *> &args,
                                  int64_t threads) {
  const auto kernel = ctx.device->kernelNamed(name);
  if (!kernel) {
    return false;
  }
  dropGathered();
  const auto [number, block] = *kernel;
  Status launched = ctx.device->launch(number, args.data(), static_cast<int32_t>(args.size()),
                                       (threads + block - 1) / block, 1);
  return launched.ok() ? Result<bool>(true) : Result<bool>(launched);
}

int Session::startThreads() const {
  constexpr int most = 16; // what a link to a device takes in
  if (ctx.device->isHostMemory()) {
    return std::max(ctx.device->threads(), 1);
  }
  return std::clamp(coresOfProcess() / sharingProcessors, 1, most);
}

void Session::dropGathered() {
  gatheredShard = -1;
  std::vector<std::byte>().swap(gathered);
}

Status Session::write(const PlannedTensor &tensor, const Device::Fill &fill) {
  auto [begin, end] = manifest().ownBytes(tensor, ranks(), rank());
  dropGathered();
  return ctx.device->write(ctx.device->address(tensor) + begin, end - begin,
                           dtypeSize(tensor.dtype),
                           [&, first = begin](std::byte *data, int64_t offset, int64_t bytes) {
                             return fill(data, first + offset, bytes);
                           });
}

Status Session::writeElements(const PlannedTensor &tensor, const ElementFill &fill) {
  const int64_t size = dtypeSize(tensor.dtype);
  if (tensor.strides.empty()) {
    return write(tensor, [&](std::byte *target, int64_t offset, int64_t bytes) {
      return fill(target, offset / size, bytes / size);
    });
  }
  // Between its elements may lie those of other parts, or padding.
  Result<std::vector<std::byte>> storage = bytes(tensor);
  if (storage.failed()) {
    return storage.status();
  }
  DSC_RETURN_IF_FAILED(forEachRun(tensor, [&](int64_t place, int64_t dense, int64_t count) {
    return fill(storage->data() + place * size, dense, count);
  }));
  return write(tensor, [&](std::byte *target, int64_t offset, int64_t bytes) {
    std::memcpy(target, storage->data() + offset, static_cast<size_t>(bytes));
    return Status();
  });
}

Status Session::read(const PlannedTensor &tensor, const Device::Consume &consume) const {
  auto [begin, end] = manifest().ownBytes(tensor, ranks(), rank());
  return read(tensor, begin, end, consume);
}

Status Session::read(const PlannedTensor &tensor, int64_t begin, int64_t end,
                     const Device::Consume &consume) const {
  return ctx.device->read(ctx.device->address(tensor) + begin, end - begin, dtypeSize(tensor.dtype),
                          [&](const std::byte *data, int64_t offset, int64_t bytes) {
                            return consume(data, begin + offset, bytes);
                          });
}

Result<std::vector<std::byte>> Session::bytes(const PlannedTensor &tensor) const {
  std::vector<std::byte> all(static_cast<size_t>(tensor.bytes));
  Status status = read(tensor, [&](const std::byte *data, int64_t offset, int64_t bytes) {
    std::copy_n(data, bytes, all.begin() + offset);
    return Status();
  });
  if (status.failed()) {
    return status;
  }
  return all;
}

Result<std::vector<std::byte>> Session::wholeBytes(const PlannedTensor &tensor) {
  if (tensor.shard < 0 || ranks() == 1) {
    return bytes(tensor);
  }
  if (tensor.shard != gatheredShard) {
    const ShardSpec &shard = manifest().shards[static_cast<size_t>(tensor.shard)];
    PlannedTensor whole;
    whole.space = DSC_SPACE_SHARD;
    whole.dtype = DSC_U8;
    whole.shard = tensor.shard;
    whole.bytes = shard.chunks * shard.chunkBytes;
    DSC_RETURN_IF_FAILED(wait());
    dsc_collective gather{DSC_HOST_COLLECTIVES + tensor.shard,
                          DSC_ALL_GATHER,
                          DSC_U8,
                          shard.chunks,
                          shard.chunkBytes,
                          shard.name.c_str(),
                          0};
    Communicator &devices = *ctx.communicator;
    const int64_t room = devices.sentChunks(shard.chunks) * shard.chunkBytes;
    const bool onDevices = &devices != hosts && room <= manifest().spaceBytes[DSC_SPACE_ARENA];
    const std::byte *own = ctx.device->address(whole);
    if (onDevices) {
      // Between entries the arena is free, and devices are nearer to each other than their hosts.
      whole.space = DSC_SPACE_ARENA;
      whole.shard = -1;
      DSC_RETURN_IF_FAILED(devices.run(gather, own, ctx.device->address(whole)));
    }
    Result<std::vector<std::byte>> read = bytes(whole);
    if (read.failed()) {
      return read.status();
    }
    gathered = std::move(*read);
    if (!onDevices) {
      DSC_RETURN_IF_FAILED(hosts->run(gather, nullptr, gathered.data()));
    }
    gatheredShard = tensor.shard;
  }
  const std::byte *begin = gathered.data() + tensor.offset;
  return std::vector<std::byte>(begin, begin + tensor.bytes);
}

std::byte *Session::hostAddress(const PlannedTensor &tensor) const {
  return ctx.device->isHostMemory() ? ctx.device->address(tensor) : nullptr;
}
