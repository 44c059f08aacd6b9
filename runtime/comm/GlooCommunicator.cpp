// Collectives over TCP, by Gloo's sends and receives.

#include "runtime/comm/GlooCommunicator.h"

#include "runtime/comm/RankOrderSum.h"

#include <gloo/transport/context.h>
#include <gloo/transport/tcp/device.h>
#include <gloo/transport/unbound_buffer.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace dsc;

/// Bytes that arrive from all ranks together before they are added; two such sets are in memory.
static constexpr int64_t scratchBytes = int64_t(4) << 20;
/// The smallest piece that is sent at a time; a multiple of every element.
static constexpr int64_t leastPiece = int64_t(64) << 10;
/// Waiting ends by an abort, never by Gloo's clock: that closes all connections.
static constexpr std::chrono::milliseconds forever = std::chrono::hours(24 * 365);

namespace {
/// Where the slices of all ranks lie in a collective's memory, in bytes.
struct Slices {
  Slices(const dsc_collective &collective, int ranks)
      : chunk(chunkBytes(collective)), chunks(collective.chunks), ranks(ranks) {}

  int64_t begin(int rank) const { return dsc_slice_begin(chunks, ranks, rank) * chunk; }
  int64_t bytes(int rank) const { return begin(rank + 1) - begin(rank); }
  int64_t all() const { return chunks * chunk; }

  int64_t chunk, chunks;
  int ranks;
};

/// While it lives, this thread and those that it starts ask the scheduler for short turns
/// (Linux 6.12; older ones take no notice). A thread that moves a message and sleeps again is then
/// let in at once where the cores compute; else each of a collective's hand-overs may wait for the
/// end of a turn of some milliseconds.
class ShortTurns {
public:
  ShortTurns() { ask(100'000); }
  ~ShortTurns() { ask(0); } // as long as they were
  ShortTurns(const ShortTurns &) = delete;
  ShortTurns &operator=(const ShortTurns &) = delete;

private:
  /// The kernel's struct sched_attr, which glibc has no name for.
  struct Attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; // nanoseconds
  };
  static void ask(uint64_t nanoseconds) {
    Attributes attributes = {};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0 &&
        attributes.policy == SCHED_OTHER) {
      attributes.runtime = nanoseconds;
      syscall(SYS_sched_setattr, 0, &attributes, 0);
    }
  }
};

/// Why a collective did not finish: the connection's word for it. Empty after an abort.
struct Broken {
  std::string reason;
};
} // namespace

/// The sends and receives of one collective.
class GlooCommunicator::Transfer {
public:
  Transfer(GlooCommunicator &owner, uint64_t slot) : owner(owner), slot(slot) {}
  ~Transfer() {
    std::lock_guard<std::mutex> lock(owner.mutex);
    owner.active.clear();
  }

  gloo::transport::UnboundBuffer *buffer(void *memory, int64_t bytes) {
    // Gloo's list of buffers does not like empty ones.
    buffers.push_back(owner.context->createUnboundBuffer(
        memory, static_cast<size_t>(std::max<int64_t>(bytes, 1))));
    std::lock_guard<std::mutex> lock(owner.mutex);
    owner.active.push_back(buffers.back().get());
    return buffers.back().get();
  }
  void send(gloo::transport::UnboundBuffer *buffer, int rank, int64_t offset, int64_t bytes) {
    if (bytes <= 0) {
      return;
    }
    owner.pace(bytes);
    buffer->send(rank, slot, static_cast<size_t>(offset), static_cast<size_t>(bytes));
    sentBytes += bytes;
    ++sends;
    owner.state.moved();
  }
  /// Returns how many receives that makes.
  int receive(gloo::transport::UnboundBuffer *buffer, int rank, int64_t offset, int64_t bytes) {
    if (bytes <= 0) {
      return 0;
    }
    buffer->recv(rank, slot, static_cast<size_t>(offset), static_cast<size_t>(bytes));
    return 1;
  }
  void waitReceived(gloo::transport::UnboundBuffer *buffer, int count) {
    for (; count > 0; --count) {
      if (owner.isAborted() || !buffer->waitRecv(forever)) {
        throw Broken();
      }
      owner.state.moved();
    }
  }
  void waitSent(gloo::transport::UnboundBuffer *buffer) {
    for (; sends > 0; --sends) {
      if (owner.isAborted() || !buffer->waitSend(forever)) {
        throw Broken();
      }
    }
  }

  int64_t sentBytes = 0;

private:
  GlooCommunicator &owner;
  uint64_t slot;
  int sends = 0;
  std::vector<Buffer> buffers;
};

Result<std::unique_ptr<GlooCommunicator>> GlooCommunicator::connect(ControlChannel &control,
                                                                    RankState &state) {
  std::unique_ptr<GlooCommunicator> communicator(new GlooCommunicator(control, state));
  // Signals go to the threads that look for them, none of which is Gloo's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status;
  {
    ShortTurns turns;
    status = communicator->open();
    if (status.ok()) {
      communicator->thread = std::thread([raw = communicator.get()] { raw->serve(); });
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  DSC_RETURN_IF_FAILED(status);
  control.onFailure(communicator.get(),
                    [raw = communicator.get()](const Status &failure) { raw->abort(failure); });
  return communicator;
}

Status GlooCommunicator::open() {
  if (const char *text = std::getenv("DSC_LINK_BYTES_PER_SECOND")) {
    bandwidth = std::atof(text);
  }
  scratch.resize(
      static_cast<size_t>(2 * std::max(scratchBytes, leastPiece * std::max(ranks() - 1, 1))));
  try {
    gloo::transport::tcp::attr attributes;
    if (const char *interface = std::getenv("GLOO_SOCKET_IFNAME")) {
      attributes.iface = interface;
    } else {
      attributes.hostname = control.address();
    }
    device = gloo::transport::tcp::CreateDevice(attributes);
    context = device->createContext(rank(), ranks());
    context->setTimeout(std::chrono::minutes(5));
    // The addresses of all pairs, by the rank at the other end; all have one length.
    std::string addresses;
    for (int other = 0; other < ranks(); ++other) {
      std::vector<char> bytes;
      if (other != rank()) {
        bytes = context->createPair(other)->address().bytes();
      }
      const auto length = static_cast<uint32_t>(bytes.size());
      addresses.append(reinterpret_cast<const char *>(&length), sizeof length);
      addresses.append(bytes.begin(), bytes.end());
    }
    Result<std::vector<std::string>> all = control.exchange(addresses);
    DSC_RETURN_IF_FAILED(all.status());
    for (int other = 0; other < ranks(); ++other) {
      if (other == rank()) {
        continue;
      }
      const std::string &theirs = (*all)[static_cast<size_t>(other)];
      std::vector<char> address;
      size_t at = 0;
      for (int of = 0; of <= rank() && at + sizeof(uint32_t) <= theirs.size(); ++of) {
        uint32_t length;
        std::memcpy(&length, theirs.data() + at, sizeof length);
        at += sizeof length;
        address.assign(theirs.begin() + static_cast<ptrdiff_t>(at),
                       theirs.begin() +
                           static_cast<ptrdiff_t>(std::min(at + length, theirs.size())));
        at += length;
      }
      context->getPair(other)->connect(address);
    }
  } catch (const std::exception &error) {
    return control.explain(error.what());
  }
  return {};
}

GlooCommunicator::~GlooCommunicator() {
  control.onFailure(this, nullptr);
  abort({ExitCode::Rank, "this rank ended"});
  {
    std::lock_guard<std::mutex> lock(mutex);
    closing = true;
    changed.notify_all();
  }
  if (thread.joinable()) {
    thread.join();
  }
}

bool GlooCommunicator::isAborted() const {
  std::lock_guard<std::mutex> lock(mutex);
  return failed.failed();
}

void GlooCommunicator::abort(const Status &status) {
  std::lock_guard<std::mutex> lock(mutex);
  if (failed.ok()) {
    failed = status;
  }
  for (gloo::transport::UnboundBuffer *buffer : active) {
    buffer->abortWaitRecv();
    buffer->abortWaitSend();
  }
  changed.notify_all();
}

// ---- The program's side

/// The failure, said for the collective `name`.
Status GlooCommunicator::failure(const char *name) const {
  if (std::strstr(failed.message().c_str(), name)) {
    return failed;
  }
  return {failed.exitCode(), failed.message() + ", and came to " + name};
}

Status GlooCommunicator::issue(const dsc_collective &collective, const void *src, void *base) {
  if (collective.kind != DSC_ALL_GATHER && !canAddInRankOrder(collective.dtype)) {
    return Status::internal(format("%s adds elements of type %d over ranks", collective.name,
                                   static_cast<int>(collective.dtype)));
  }
  DSC_RETURN_IF_FAILED(wait(collective.id));
  std::lock_guard<std::mutex> lock(mutex);
  if (failed.failed()) {
    return failure(collective.name);
  }
  requests.push_back({collective, src, static_cast<std::byte *>(base), ++issued});
  out[collective.id] = {issued, collective.name};
  changed.notify_all();
  return {};
}

Status GlooCommunicator::wait(int32_t id) {
  std::unique_lock<std::mutex> lock(mutex);
  auto found = out.find(id);
  if (found == out.end()) {
    return {};
  }
  const auto [number, name] = found->second;
  if (done < number && failed.ok()) {
    const Clock::time_point began = Clock::now();
    state.waitsFor = name;
    changed.wait(lock, [&, number = number] { return done >= number || failed.failed(); });
    if (failed.ok()) {
      state.waitsFor = nullptr;
    }
    totals.waited += std::chrono::duration<double>(Clock::now() - began).count();
  }
  if (done < number) {
    return failure(name);
  }
  out.erase(id);
  return {};
}

Status GlooCommunicator::waitAll() {
  for (;;) {
    int32_t id;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (out.empty()) {
        return {};
      }
      id = out.begin()->first;
    }
    DSC_RETURN_IF_FAILED(wait(id));
  }
}

int64_t GlooCommunicator::sentBytes(int32_t id) const {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = sent.find(id);
  return found == sent.end() ? 0 : found->second;
}

Traffic GlooCommunicator::traffic() const {
  std::lock_guard<std::mutex> lock(mutex);
  return totals;
}

void GlooCommunicator::startTimes() {
  std::lock_guard<std::mutex> lock(mutex);
  takesTimes = true;
  times.clear();
  timesBegan = Clock::now();
}

std::vector<CollectiveTime> GlooCommunicator::stopTimes() {
  std::lock_guard<std::mutex> lock(mutex);
  takesTimes = false;
  return std::move(times);
}

// ---- The thread

void GlooCommunicator::serve() {
  for (;;) {
    Request request;
    {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait(lock, [&] { return closing || !requests.empty(); });
      if (requests.empty() || failed.failed()) {
        return;
      }
      request = requests.front();
      requests.pop_front();
    }
    const Clock::time_point began = Clock::now();
    int64_t bytes = 0;
    Status status;
    try {
      carryOut(request, bytes);
    } catch (const Broken &) {
      status = failed;
    } catch (const std::exception &error) {
      status = control.explain(error.what());
    }
    const Clock::time_point ended = Clock::now();
    if (status.failed()) {
      abort(status);
      return;
    }
    std::lock_guard<std::mutex> lock(mutex);
    sent[request.collective.id] += bytes;
    totals.sent += bytes;
    totals.busy += std::chrono::duration<double>(ended - began).count();
    if (takesTimes) {
      auto since = [&](Clock::time_point time) {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(time - timesBegan).count();
      };
      times.push_back({request.collective.name, bytes, since(began), since(ended) - since(began)});
    }
    done = request.number;
    changed.notify_all();
  }
}

/// Waits until a link of the test's bandwidth has carried `bytes` more.
void GlooCommunicator::pace(int64_t bytes) {
  if (bandwidth <= 0) {
    return;
  }
  linkFree = std::max(linkFree, Clock::now()) +
             std::chrono::duration_cast<Clock::duration>(
                 std::chrono::duration<double>(static_cast<double>(bytes) / bandwidth));
  std::this_thread::sleep_until(linkFree);
}

void GlooCommunicator::carryOut(const Request &request, int64_t &bytes) {
  Transfer transfer(*this, static_cast<uint64_t>(request.number));
  switch (request.collective.kind) {
  case DSC_REDUCE_SCATTER_MEAN:
    reduceScatter(request, transfer);
    break;
  case DSC_ALL_GATHER:
    allGather(request, transfer);
    break;
  default:
    allReduce(request, transfer);
    break;
  }
  bytes = transfer.sentBytes;
}

/// The others' parts of the own slice arrive piece by piece in one half of the scratch, while those
/// in the other half are added.
void GlooCommunicator::reduceScatter(const Request &request, Transfer &transfer) {
  const dsc_collective &collective = request.collective;
  const Slices slices(collective, ranks());
  const int64_t half = static_cast<int64_t>(scratch.size()) / 2;
  const int64_t piece = half / std::max(ranks() - 1, 1) / leastPiece * leastPiece;
  const int64_t pieces = (slices.bytes(0) + piece - 1) / piece;
  const int64_t elementBytes = slices.chunk / std::max<int64_t>(collective.chunk_elements, 1);

  auto *own = transfer.buffer(request.base, slices.all());
  gloo::transport::UnboundBuffer *arriving[2] = {transfer.buffer(scratch.data(), half),
                                                 transfer.buffer(scratch.data() + half, half)};
  // Bytes of piece `number` of a rank's slice.
  auto pieceBytes = [&](int rank, int64_t number) {
    return std::clamp<int64_t>(slices.bytes(rank) - number * piece, 0, piece);
  };
  auto slot = [&](int other) { return (other < rank() ? other : other - 1) * piece; };
  auto receive = [&](int64_t number) {
    int count = 0;
    for (int other = 0; other < ranks(); ++other) {
      if (other != rank()) {
        count +=
            transfer.receive(arriving[number % 2], other, slot(other), pieceBytes(rank(), number));
      }
    }
    return count;
  };
  std::vector<const void *> parts(static_cast<size_t>(ranks()));
  int expected = receive(0);
  for (int64_t number = 0; number < pieces; ++number) {
    // Each rank begins with its successor, so that not all send to one.
    for (int step = 1; step < ranks(); ++step) {
      const int other = (rank() + step) % ranks();
      transfer.send(own, other, slices.begin(other) + number * piece, pieceBytes(other, number));
    }
    const int next = number + 1 < pieces ? receive(number + 1) : 0;
    transfer.waitReceived(arriving[number % 2], expected);
    expected = next;
    std::byte *target = request.base + slices.begin(rank()) + number * piece;
    for (int other = 0; other < ranks(); ++other) {
      parts[static_cast<size_t>(other)] =
          other == rank() ? target : scratch.data() + (number % 2) * half + slot(other);
    }
    addInRankOrder(collective.dtype, parts.data(), ranks(),
                   pieceBytes(rank(), number) / elementBytes,
                   /*mean=*/true, target);
  }
  transfer.waitSent(own);
}

void GlooCommunicator::allGather(const Request &request, Transfer &transfer) {
  const Slices slices(request.collective, ranks());
  const int64_t begin = slices.begin(rank()), bytes = slices.bytes(rank());
  auto *all = transfer.buffer(request.base, slices.all());
  int expected = 0;
  for (int other = 0; other < ranks(); ++other) {
    if (other != rank()) {
      expected += transfer.receive(all, other, slices.begin(other), slices.bytes(other));
    }
  }
  if (request.src && bytes > 0) {
    std::memmove(request.base + begin, static_cast<const std::byte *>(request.src) + begin,
                 static_cast<size_t>(bytes));
  }
  for (int step = 1; step < ranks(); ++step) {
    transfer.send(all, (rank() + step) % ranks(), begin, bytes);
  }
  transfer.waitReceived(all, expected);
  transfer.waitSent(all);
}

void GlooCommunicator::allReduce(const Request &request, Transfer &transfer) {
  const dsc_collective &collective = request.collective;
  const int64_t count = collective.chunks * collective.chunk_elements;
  const int64_t bytes = collective.chunks * chunkBytes(collective);
  std::vector<std::byte> theirs(static_cast<size_t>(bytes * ranks()));
  auto *own = transfer.buffer(request.base, bytes);
  auto *arriving = transfer.buffer(theirs.data(), bytes * ranks());
  int expected = 0;
  std::vector<const void *> parts(static_cast<size_t>(ranks()));
  for (int other = 0; other < ranks(); ++other) {
    parts[static_cast<size_t>(other)] =
        other == rank() ? request.base : theirs.data() + other * bytes;
    if (other != rank()) {
      expected += transfer.receive(arriving, other, other * bytes, bytes);
    }
  }
  for (int step = 1; step < ranks(); ++step) {
    transfer.send(own, (rank() + step) % ranks(), 0, bytes);
  }
  transfer.waitReceived(arriving, expected);
  transfer.waitSent(own);
  addInRankOrder(collective.dtype, parts.data(), ranks(), count, /*mean=*/false, request.base);
}
