// Collectives between GPUs, by NCCL.

#include "runtime/cuda/NcclCommunicator.h"

#include "runtime/Json.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

using namespace dsc;

static std::byte *bytesAt(void *base) { return static_cast<std::byte *>(base); }

//===----------------------------------------------------------------------===//
// The library
//===----------------------------------------------------------------------===//

Status NcclTable::check(NcclResult result, const char *what) const {
  if (__builtin_expect(result == ncclSuccess, 1)) {
    return {};
  }
  return {ExitCode::Rank, format("NCCL failed to %s: %s; NCCL_DEBUG=WARN in the environment tells "
                                 "more",
                                 what, ncclGetErrorString(result))};
}

std::string NcclTable::versionText() const {
  int version = 0;
  ncclGetVersion(&version);
  return format("%d.%d.%d, %s", version / 10000, version / 100 % 100, version % 100,
                loadedLibrary("NCCL").c_str());
}

//===----------------------------------------------------------------------===//
// Meeting the other ranks
//===----------------------------------------------------------------------===//

static std::string hexOf(const NcclId &id) {
  std::string text;
  for (char byte : id.bytes) {
    text += format("%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  }
  return text;
}

static NcclId idFrom(const std::string &hex) {
  NcclId id = {};
  for (size_t i = 0; i < sizeof id.bytes && 2 * i + 1 < hex.size(); ++i) {
    id.bytes[i] = static_cast<char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  return id;
}

Result<std::unique_ptr<NcclCommunicator>>
NcclCommunicator::connect(const CudaDriver *driver, Ranks &ranks, const Status &prepared) {
  Status ready = prepared;
  const NcclTable *nccl = nullptr;
  std::string gpu;
  NcclId id = {};
  if (ready.ok()) {
    Result<std::string> identity = driver->identity();
    Result<const NcclTable *> loaded = loadNccl(driver->version());
    ready = identity.failed() ? identity.status() : loaded.status();
    gpu = identity.ok() ? *identity : "";
    nccl = loaded.ok() ? *loaded : nullptr;
  }
  if (ready.ok() && ranks.isFirst()) {
    ready = nccl->check(nccl->ncclGetUniqueId(&id), "start");
  }
  // All ranks come here whatever happened to them, so that none waits for one that does not.
  Result<std::vector<std::string>> all = ranks.exchange(
      jsonText({{"code", static_cast<int>(ready.exitCode())}, {"gpu", gpu}, {"id", hexOf(id)}}));
  DSC_RETURN_IF_FAILED(ready);
  DSC_RETURN_IF_FAILED(all.status());
  std::map<std::string, int> owners;
  for (int other = 0; other < ranks.count(); ++other) {
    Result<Json> told = parseJson((*all)[static_cast<size_t>(other)]);
    DSC_RETURN_IF_FAILED(told.status());
    if (const int code = told->value("code", 0)) {
      return Status(static_cast<ExitCode>(code), ""); // that rank says why
    }
    if (other == 0) {
      id = idFrom(told->value("id", ""));
    }
    auto [owner, isNew] = owners.try_emplace(told->value("gpu", ""), other);
    if (!isNew) {
      return Status::machine(
          format("ranks %d and %d have the same GPU, %s: %d ranks are on this machine and each "
                 "needs a GPU of its own; start fewer, or check CUDA_VISIBLE_DEVICES",
                 owner->second, other, driver->chip().c_str(), ranks.onThisMachine()));
    }
  }
  std::unique_ptr<NcclCommunicator> communicator(new NcclCommunicator(*driver, *nccl, ranks));
  // Signals go to the threads that look for them, none of which is NCCL's or the watcher.
  sigset_t blocked, before;
  sigfillset(&blocked);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  Status status = communicator->open(id);
  if (status.ok()) {
    communicator->watcher = std::thread([raw = communicator.get()] { raw->watch(); });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  DSC_RETURN_IF_FAILED(status);
  ranks.onFailure(communicator.get(),
                  [raw = communicator.get()](const Status &failure) { raw->end(failure); });
  return communicator;
}

Status NcclCommunicator::open(const NcclId &id) {
  Result<CUstream> urgent = driver.makeUrgentStream();
  DSC_RETURN_IF_FAILED(urgent.status());
  stream = *urgent;
  DSC_RETURN_IF_FAILED(
      driver.check(driver.api().cuStreamCreate(&notes, CU_STREAM_NON_BLOCKING), "make a stream"));
  std::vector<uint32_t> numbers(static_cast<size_t>(mostNotes));
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<uint32_t>(i);
  }
  const auto bytes = static_cast<int64_t>(numbers.size() * sizeof numbers[0]);
  DSC_RETURN_IF_FAILED(noteNumbers.allocate(driver, bytes));
  DSC_RETURN_IF_FAILED(lastNote.allocate(driver, sizeof(uint32_t)));
  std::memset(lastNote.data(), 0, sizeof(uint32_t));
  DSC_RETURN_IF_FAILED(
      driver.check(driver.api().cuMemcpyHtoDAsync(noteNumbers.address(), numbers.data(),
                                                  static_cast<size_t>(bytes), notes),
                   "copy"));
  DSC_RETURN_IF_FAILED(driver.check(driver.api().cuStreamSynchronize(notes), "copy"));
  return explained(
      nccl.check(nccl.ncclCommInitRank(&comm, ranks(), id, rank()), "connect the ranks' GPUs"));
}

NcclCommunicator::~NcclCommunicator() {
  ranksOfRun.onFailure(this, nullptr);
  {
    std::lock_guard<std::mutex> lock(mutex);
    closing = true;
    changed.notify_all();
  }
  if (watcher.joinable()) {
    watcher.join();
  }
  if (comm && !isAborted) {
    nccl.ncclCommDestroy(comm);
  }
  for (CUstream each : {stream, notes}) {
    if (each) {
      driver.api().cuStreamDestroy(each);
    }
  }
}

//===----------------------------------------------------------------------===//
// Watching
//===----------------------------------------------------------------------===//

/// Runs until the communicator is closed, or ended because a rank is lost.
void NcclCommunicator::watch() {
  constexpr auto interval = std::chrono::milliseconds(50);
  std::unique_lock<std::mutex> lock(mutex);
  while (!closing && failed.ok()) {
    changed.wait_for(lock, interval);
    observe();
  }
  if (failed.ok()) {
    return;
  }
  lock.unlock();
  // Kernels that wait for a rank that is gone would wait for ever; this ends them. It returns when
  // all graphs that hold some are gone.
  Lock call(calls);
  isAborted = true;
  call.unlock();
  nccl.ncclCommAbort(comm);
}

/// Tells the control channel what the GPU is in; the host itself only waits for results.
void NcclCommunicator::observe() {
  RankState &state = ranksOfRun.state();
  uint32_t note = 0;
  std::memcpy(&note, lastNote.data(), sizeof note);
  if (note != shownNote) {
    shownNote = note;
    state.moved();
  }
  const char *name = note == 0                 ? nullptr
                     : note - 1 < names.size() ? names[note - 1]
                                               : "a collective";
  // What the host waits for itself it told before, and takes back.
  if (shown && shown != name) {
    const char *expected = shown;
    state.waitsFor.compare_exchange_strong(expected, nullptr);
    shown = nullptr;
  }
  if (name && !shown) {
    const char *expected = nullptr;
    shown = state.waitsFor.compare_exchange_strong(expected, name) ? name : nullptr;
  }
  NcclResult broken = ncclSuccess;
  if (Lock call(calls, std::try_to_lock); call.owns_lock()) {
    nccl.ncclCommGetAsyncError(comm, &broken);
  }
  if (Status status = nccl.check(broken, "exchange data"); status.failed() && failed.ok()) {
    failed = ranksOfRun.explain(status.message());
  }
}

void NcclCommunicator::end(const Status &status) {
  std::lock_guard<std::mutex> lock(mutex);
  failed = failed.ok() ? status : failed;
  changed.notify_all();
}

Status NcclCommunicator::failure() const {
  std::lock_guard<std::mutex> lock(mutex);
  return failed;
}

Status NcclCommunicator::explained(const Status &status) const {
  Status known = failure();
  return known.failed() ? known : status.ok() ? status : ranksOfRun.explain(status.message());
}

/// The right to call NCCL, unless a rank is lost.
Result<NcclCommunicator::Lock> NcclCommunicator::enter() const {
  DSC_RETURN_IF_FAILED(failure());
  Lock lock(calls);
  if (isAborted) {
    return failure();
  }
  return lock;
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

int64_t NcclCommunicator::sentChunks(int64_t chunks) const {
  return (chunks + ranks() - 1) / ranks() * ranks();
}

void NcclCommunicator::count(const dsc_collective &collective) {
  int64_t bytes = sentChunks(collective.chunks) / ranks() * chunkBytes(collective) * (ranks() - 1);
  if (collective.kind == DSC_ALL_REDUCE_SUM) {
    // Reduced around the ring and told around it.
    bytes = 2 * chunkBytes(collective) * (ranks() - 1) / ranks();
  }
  slots[collective.id].sent += bytes;
  totals.sent += bytes;
}

int64_t NcclCommunicator::sentBytes(int32_t id) const {
  auto slot = slots.find(id);
  return slot == slots.end() ? 0 : slot->second.sent;
}

Status NcclCommunicator::plan(const dsc_collective &collective) {
  Slot &slot = slots[collective.id];
  slot.name = collective.name;
  slot.isLeft = collective.left != 0;
  {
    std::lock_guard<std::mutex> lock(mutex);
    names.push_back(collective.name);
  }
  // Entries wait for it before it first ran, too.
  return slot.isLeft ? slot.done.record(driver, stream) : Status();
}

Status NcclCommunicator::issue(const dsc_collective &collective, const void *src, void *base) {
  Result<Lock> entered = enter();
  DSC_RETURN_IF_FAILED(entered.status());
  const Call call{collective, src, bytesAt(base)};
  Slot &slot = slots[collective.id];
  if (capturing && slot.isLeft) {
    capturing->left.push_back(call);
    return slot.ready.record(driver, driver.compute, /*inGraph=*/true);
  }
  DSC_RETURN_IF_FAILED(slot.ready.record(driver, driver.compute));
  slot.isOut = true;
  if (!capturing) {
    count(collective);
    return start(call, nullptr, false);
  }
  capturing->inside.push_back(call);
  return start(call, captureIsTimed ? &capturing->times.emplace_back() : nullptr, true);
}

/// Enqueues `call` behind its slot's `ready`, with what tells the host of it.
Status NcclCommunicator::start(const Call &call, Times *times, bool inGraph) {
  Slot &slot = slots[call.collective.id];
  DSC_RETURN_IF_FAILED(slot.ready.wait(stream));
  DSC_RETURN_IF_FAILED(slot.ready.wait(notes));
  DSC_RETURN_IF_FAILED(note(call.collective.id + int64_t(1)));
  if (times) {
    DSC_RETURN_IF_FAILED(times->begin.record(driver, stream, inGraph));
  }
  DSC_RETURN_IF_FAILED(explained(enqueue(call)));
  if (times) {
    DSC_RETURN_IF_FAILED(times->end.record(driver, stream, inGraph));
  }
  DSC_RETURN_IF_FAILED(slot.done.record(driver, stream));
  DSC_RETURN_IF_FAILED(slot.done.wait(notes));
  return note(0);
}

Status NcclCommunicator::note(int64_t number) {
  const auto index = static_cast<CUdeviceptr>(std::min(number, mostNotes - 1));
  return driver.check(driver.api().cuMemcpyDtoHAsync(
                          lastNote.data(), noteNumbers.address() + index * sizeof(uint32_t),
                          sizeof(uint32_t), notes),
                      "tell what it does");
}

static NcclType typeOf(int32_t dtype) {
  switch (dtype) {
  case DSC_F16:
    return ncclFloat16;
  case DSC_BF16:
    return ncclBfloat16;
  case DSC_F64:
    return ncclFloat64;
  default:
    return ncclFloat32;
  }
}

/// Slices are of one length: memory has room for what that makes more than the chunks.
Status NcclCommunicator::enqueue(const Call &call) {
  const dsc_collective &collective = call.collective;
  const int64_t slice = (collective.chunks + ranks() - 1) / ranks();
  const int64_t chunk = chunkBytes(collective);
  std::byte *own = call.base + rank() * slice * chunk;
  const NcclType type = typeOf(collective.dtype);
  switch (collective.kind) {
  case DSC_REDUCE_SCATTER_MEAN:
    return nccl.check(nccl.ncclReduceScatter(call.base, own,
                                             static_cast<size_t>(slice * collective.chunk_elements),
                                             type, ncclAvg, comm, stream),
                      collective.name);
  case DSC_ALL_GATHER: {
    const void *from = own;
    if (call.src) {
      from = static_cast<const std::byte *>(call.src) +
             dsc_slice_begin(collective.chunks, ranks(), rank()) * chunk;
    }
    return nccl.check(nccl.ncclAllGather(from, call.base, static_cast<size_t>(slice * chunk),
                                         ncclUint8, comm, stream),
                      collective.name);
  }
  default:
    return nccl.check(
        nccl.ncclAllReduce(call.base, call.base,
                           static_cast<size_t>(collective.chunks * collective.chunk_elements), type,
                           ncclSum, comm, stream),
        collective.name);
  }
}

Status NcclCommunicator::wait(int32_t id) {
  DSC_RETURN_IF_FAILED(failure());
  auto found = slots.find(id);
  if (found == slots.end()) {
    return {};
  }
  Slot &slot = found->second;
  if (slot.isLeft) {
    // Recorded outside of all graphs, also before it first ran.
    return slot.done.wait(driver.compute, /*inGraph=*/capturing != nullptr);
  }
  return std::exchange(slot.isOut, false) ? slot.done.wait(driver.compute) : Status();
}

Status NcclCommunicator::waitAll() {
  for (CUstream each : {stream, notes}) {
    DSC_RETURN_IF_FAILED(
        explained(driver.check(driver.api().cuStreamSynchronize(each), "exchange data")));
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

void NcclCommunicator::beginCapture(CapturedCollectives &entry, bool timed) {
  capturing = &entry;
  captureIsTimed = timed;
}

Status NcclCommunicator::endCapture() {
  const bool joins = !std::exchange(capturing, nullptr)->inside.empty();
  if (!joins) {
    return {};
  }
  DSC_RETURN_IF_FAILED(joined.record(driver, stream));
  DSC_RETURN_IF_FAILED(joined.wait(driver.compute));
  DSC_RETURN_IF_FAILED(noted.record(driver, notes));
  return noted.wait(driver.compute);
}

Status NcclCommunicator::launch(const CapturedCollectives &entry,
                                const std::function<Status()> &graph) {
  Result<Lock> entered = enter();
  DSC_RETURN_IF_FAILED(entered.status());
  DSC_RETURN_IF_FAILED(explained(graph()));
  for (const Call &call : entry.inside) {
    count(call.collective);
  }
  for (const Call &call : entry.left) {
    count(call.collective);
    Slot &slot = slots[call.collective.id];
    DSC_RETURN_IF_FAILED(start(call, takesTimes ? &slot.leftTimes : nullptr, false));
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Times
//===----------------------------------------------------------------------===//

void NcclCommunicator::startTimes() {
  takesTimes = true;
  times.clear();
}

std::vector<CollectiveTime> NcclCommunicator::stopTimes() {
  takesTimes = false;
  return std::move(times);
}

Status NcclCommunicator::addTimes(const Call &call, const Times &of, const CudaEvent &origin,
                                  int64_t began) {
  Result<double> before = of.begin.secondsSince(origin);
  Result<double> seconds = of.end.secondsSince(of.begin);
  DSC_RETURN_IF_FAILED(before.status());
  DSC_RETURN_IF_FAILED(seconds.status());
  const int64_t bytes =
      sentChunks(call.collective.chunks) / ranks() * chunkBytes(call.collective) * (ranks() - 1);
  times.push_back({call.collective.name, bytes, began + static_cast<int64_t>(*before * 1e9),
                   static_cast<int64_t>(*seconds * 1e9)});
  totals.busy += *seconds;
  return {};
}

Status NcclCommunicator::collectTimes(const CapturedCollectives &entry, const CudaEvent &origin,
                                      int64_t began) {
  DSC_RETURN_IF_FAILED(waitAll());
  for (size_t i = 0; i < entry.times.size(); ++i) {
    DSC_RETURN_IF_FAILED(addTimes(entry.inside[i], entry.times[i], origin, began));
  }
  for (const Call &call : entry.left) {
    DSC_RETURN_IF_FAILED(addTimes(call, slots[call.collective.id].leftTimes, origin, began));
  }
  return {};
}
