// What ranks say to each other beside their data.

#include "runtime/comm/ControlChannel.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

using namespace dsc;

/// The letters of the messages. To rank 0: a sign of life, bytes of an exchange or a gather, a
/// wish, a boundary, an end. From rank 0: an exchange's result, a gather's end, that ranks agree,
/// what on, a failure, that an end was heard. Both: a sign of life.
namespace {
enum Kind : char {
  Beat = 'B',
  Exchanged = 'X',
  Results = 'R',
  Gathered = 'G',
  GatherDone = 'D',
  Wish = 'Q',
  Freeze = 'F',
  Boundary = 'Z',
  Decision = 'O',
  Failure = 'A',
  End = 'E',
  EndHeard = 'e',
};
} // namespace

/// How long ranks may take to meet, in units of --timeout.
static constexpr int meetingTimeouts = 5;

static std::string join(const std::vector<std::string> &parts) {
  std::string all;
  for (const std::string &part : parts) {
    const auto length = static_cast<uint32_t>(part.size());
    all.append(reinterpret_cast<const char *>(&length), sizeof length);
    all += part;
  }
  return all;
}

static std::vector<std::string> split(const std::string &all) {
  std::vector<std::string> parts;
  for (size_t at = 0; at + sizeof(uint32_t) <= all.size();) {
    uint32_t length;
    std::memcpy(&length, all.data() + at, sizeof length);
    at += sizeof length;
    parts.push_back(all.substr(at, length));
    at += length;
  }
  return parts;
}

static std::string secondsText(ControlChannel::Clock::duration time) {
  const double seconds = std::chrono::duration<double>(time).count();
  return format(seconds < 10 ? "%.1f s" : "%.0f s", seconds);
}

Result<std::unique_ptr<ControlChannel>>
ControlChannel::open(const RankLayout &layout, RankState &state, Milliseconds timeout) {
  std::unique_ptr<ControlChannel> channel(new ControlChannel(layout, state, timeout));
  Result<Meeting> meeting = meetRanks(layout, timeout * meetingTimeouts);
  DSC_RETURN_IF_FAILED(meeting.status());
  channel->meeting = std::move(*meeting);
  for (Connection &connection : channel->meeting.connections) {
    if (connection.isOpen()) {
      connection.setWriteLimit(channel->grace());
    }
  }
  channel->peers.resize(static_cast<size_t>(layout.ranks));
  channel->wakeUp = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  channel->lastTick = channel->movedAt = channel->waitsSince = Clock::now();
  // Signals go to the threads that look for them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  channel->thread = std::thread([raw = channel.get()] { raw->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return channel;
}

ControlChannel::~ControlChannel() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    closing = true;
  }
  const uint64_t one = 1;
  (void)!write(wakeUp.get(), &one, sizeof one);
  if (thread.joinable()) {
    thread.join();
  }
}

ControlChannel::Milliseconds ControlChannel::interval() const {
  return std::clamp(timeout / 20, Milliseconds(50), Milliseconds(1000));
}

std::string ControlChannel::nameOf(int rank) const {
  const RankPlace &place = meeting.places[static_cast<size_t>(rank)];
  return format("rank %d (%s, process %lld)", rank, place.host.c_str(),
                static_cast<long long>(place.process));
}

// ---- The thread

void ControlChannel::run() {
  for (;;) {
    std::vector<pollfd> waiting = {{wakeUp.get(), POLLIN, 0}};
    std::vector<int> of = {-1};
    {
      std::lock_guard<std::mutex> lock(mutex);
      for (size_t peer = 0; peer < peers.size(); ++peer) {
        if (meeting.connections[peer].isOpen()) {
          waiting.push_back({meeting.connections[peer].descriptor(), POLLIN, 0});
          of.push_back(static_cast<int>(peer));
        }
      }
    }
    poll(waiting.data(), waiting.size(), static_cast<int>(interval().count() / 2));

    std::unique_lock<std::mutex> lock(mutex);
    if (closing) {
      return;
    }
    for (size_t i = 1; i < waiting.size(); ++i) {
      if (waiting[i].revents) {
        readFrom(of[i]);
      }
    }
    const Clock::time_point now = Clock::now();
    if (now - lastTick > 2 * interval() + Milliseconds(1000)) {
      // This process stood still itself (Ctrl-Z, a suspended machine): what it missed proves
      // nothing.
      for (Peer &peer : peers) {
        peer.heard = peer.waitsSince = now;
      }
      movedAt = waitsSince = now;
    }
    lastTick = now;
    beat(now);
    judge(now);
    if (failed.failed()) {
      const Status status = failed;
      lock.unlock();
      {
        std::lock_guard<std::mutex> calling(callbackMutex);
        for (auto &[owner, callback] : callbacks) {
          if (!std::exchange(callback.told, true)) {
            callback.call(status);
          }
        }
      }
      lock.lock();
    }
    if (failed.failed() && !ended && now - failedAt > grace()) {
      // Whatever the rank hangs in, it does not come back to say so.
      std::fprintf(stderr, "error: %s%s\n", isFirst() ? "" : (nameOf(rank()) + ": ").c_str(),
                   failed.message().c_str());
      std::fflush(stderr);
      _exit(static_cast<int>(failed.exitCode()));
    }
  }
}

void ControlChannel::readFrom(int peer) {
  Connection &connection = meeting.connections[static_cast<size_t>(peer)];
  const bool open = connection.isOpen() && connection.fill();
  while (connection.isOpen()) {
    Result<std::optional<Message>> message = connection.next();
    if (message.failed() || !*message) {
      break;
    }
    peers[static_cast<size_t>(peer)].heard = Clock::now();
    try {
      handle(peer, **message);
    } catch (const std::exception &error) {
      fail(peer, std::string("says what cannot be understood: ") + error.what());
    }
  }
  if (!open) {
    lost(peer);
  }
}

void ControlChannel::lost(int peer) {
  meeting.connections[static_cast<size_t>(peer)].close();
  if (!peers[static_cast<size_t>(peer)].ended && !(ended && !isFirst())) {
    fail(peer, "died");
  }
}

void ControlChannel::sendTo(int peer, char kind, const std::string &bytes) {
  Connection &connection = meeting.connections[static_cast<size_t>(peer)];
  if (connection.isOpen() && connection.send(kind, bytes).failed()) {
    lost(peer);
  }
}

void ControlChannel::sendToAll(char kind, const std::string &bytes) {
  for (int peer = 0; peer < ranks(); ++peer) {
    sendTo(peer, kind, bytes);
  }
}

void ControlChannel::handle(int from, const Message &message) {
  Peer &peer = peers[static_cast<size_t>(from)];
  auto json = [&] {
    Result<Json> parsed = parseJson(message.bytes);
    return parsed.ok() ? *parsed : Json::object();
  };
  switch (message.kind) {
  case Beat: {
    const Json told = json();
    peer.step = told.value("step", int64_t(0));
    const std::string waitsFor = told.value("waits_for", "");
    if (waitsFor != peer.waitsFor || told.value("moved", false)) {
      peer.waitsFor = waitsFor;
      peer.waitsSince = Clock::now();
    }
    break;
  }
  case Exchanged:
    peer.exchanged.push_back(message.bytes);
    finishExchanges();
    break;
  case Results:
    results.push_back(split(message.bytes));
    changed.notify_all();
    break;
  case Gathered:
    peer.gathered.push_back(message.bytes);
    changed.notify_all();
    break;
  case GatherDone:
    ++gathersDone;
    changed.notify_all();
    break;
  case Wish: {
    const Json wish = json();
    const int stop = wish.value("stop", 0);
    agreement.next.stop = agreement.next.stop ? agreement.next.stop : stop;
    agreement.next.save |= wish.value("save", false);
    startAgreement();
    break;
  }
  case Freeze:
    frozen = true;
    sendTo(0, Boundary, std::to_string(boundary));
    break;
  case Boundary:
    answerAgreement(from, std::atoll(message.bytes.c_str()));
    break;
  case Decision: {
    const Json told = json();
    decide(told.value("boundary", int64_t(0)), {told.value("stop", 0), told.value("save", false)});
    break;
  }
  case Failure: {
    const Json told = json();
    fail(told.value("rank", 0), told.value("what", ""),
         static_cast<ExitCode>(told.value("code", 3)));
    break;
  }
  case End: {
    const Json told = json();
    peer.ended = true;
    sendTo(from, EndHeard, "");
    if (told.value("code", 0) != 0) {
      fail(from, told.value("what", ""));
    }
    changed.notify_all();
    break;
  }
  case EndHeard:
    peer.ended = true;
    changed.notify_all();
    break;
  default:
    fail(from, format("sent a message of unknown kind %d", message.kind));
  }
}

// ---- Signs of life

Json ControlChannel::heartbeat() const {
  const char *waitsFor = state.waitsFor;
  return {{"step", state.step.load()},
          {"waits_for", waitsFor ? waitsFor : ""},
          {"moved", movedAt > lastBeat}};
}

void ControlChannel::beat(Clock::time_point now) {
  const int64_t progress = state.progress;
  if (progress != lastProgress) {
    lastProgress = progress;
    movedAt = now;
  }
  if (const char *waitsFor = state.waitsFor; waitsFor != lastWait || movedAt == now) {
    lastWait = waitsFor;
    waitsSince = now;
  }
  if (now - lastBeat >= interval()) {
    sendToAll(Beat, jsonText(heartbeat()));
    lastBeat = now;
  }
}

void ControlChannel::judge(Clock::time_point now) {
  if (failed.failed()) {
    return;
  }
  bool allWait = state.waitsFor != nullptr && now - waitsSince > patience();
  std::string waits = format("rank %d for %s", rank(), lastWait ? lastWait : "");
  for (int other = 0; other < ranks(); ++other) {
    const Peer &peer = peers[static_cast<size_t>(other)];
    if (other == rank() || peer.ended ||
        !meeting.connections[static_cast<size_t>(other)].isOpen()) {
      continue;
    }
    if (now - peer.heard > patience()) {
      fail(other, "has given no sign of life for " + secondsText(now - peer.heard) +
                      format(", since step %lld", static_cast<long long>(peer.step)) +
                      (peer.waitsFor.empty() ? "" : " and its wait for " + peer.waitsFor));
      return;
    }
    allWait &= !peer.waitsFor.empty() && now - peer.waitsSince > patience();
    waits += format(", rank %d for %s", other, peer.waitsFor.c_str());
  }
  if (isFirst() && allWait && !ended) {
    fail(0, "and all others have waited for " + secondsText(patience()) + ": " + waits);
    return;
  }
  if (!ended && state.activity == Activity::Computing && !state.waitsFor &&
      now - movedAt > patience()) {
    fail(rank(), "has made no progress for " + secondsText(now - movedAt));
  }
}

std::string ControlChannel::ownSituation() const {
  const char *waitsFor = state.waitsFor;
  const auto step = static_cast<long long>(state.step);
  std::string text = step ? format("rank %d was in step %lld", rank(), step)
                          : format("rank %d was starting", rank());
  return waitsFor ? text + " and waited for " + waitsFor : text;
}

void ControlChannel::fail(int rank, const std::string &what, ExitCode code) {
  if (failed.failed()) {
    return;
  }
  failed = {code, nameOf(rank) + " " + what + "; " + ownSituation()};
  failedAt = Clock::now();
  if (isFirst()) {
    sendToAll(Failure,
              jsonText({{"rank", rank}, {"what", what}, {"code", static_cast<int>(code)}}));
  } else if (rank == this->rank()) {
    sendTo(0, Failure,
           jsonText({{"rank", rank}, {"what", what}, {"code", static_cast<int>(code)}}));
  }
  changed.notify_all();
  const uint64_t one = 1;
  (void)!write(wakeUp.get(), &one, sizeof one);
}

Status ControlChannel::failure() const {
  std::lock_guard<std::mutex> lock(mutex);
  return failed;
}

void ControlChannel::onFailure(const void *owner, std::function<void(const Status &)> function) {
  std::lock_guard<std::mutex> lock(callbackMutex);
  callbacks.erase(owner);
  if (function) {
    callbacks[owner] = {std::move(function)};
  }
}

Status ControlChannel::explain(const std::string &reason) {
  std::unique_lock<std::mutex> lock(mutex);
  // A connection of data breaks as soon as a rank dies; that it died takes a message to learn.
  if (!changed.wait_for(lock, std::min(grace(), Milliseconds(2000)),
                        [&] { return failed.failed(); })) {
    fail(rank(), "lost a connection: " + reason);
  }
  return failed;
}

// ---- Exchanges

void ControlChannel::finishExchanges() {
  for (const Peer &peer : peers) {
    if (peer.exchanged.empty()) {
      return;
    }
  }
  std::vector<std::string> all;
  for (Peer &peer : peers) {
    all.push_back(std::move(peer.exchanged.front()));
    peer.exchanged.pop_front();
  }
  sendToAll(Results, join(all));
  results.push_back(std::move(all));
  changed.notify_all();
}

/// Waits for other ranks, and says so.
template <typename Ready>
void ControlChannel::waitFor(std::unique_lock<std::mutex> &lock, Ready ready) {
  state.waitsFor = "the other ranks";
  changed.wait(lock, [&] { return failed.failed() || ready(); });
  state.waitsFor = nullptr;
  state.moved();
}

Result<std::vector<std::string>> ControlChannel::exchange(const std::string &mine) {
  std::unique_lock<std::mutex> lock(mutex);
  if (isFirst()) {
    peers[0].exchanged.push_back(mine);
    finishExchanges();
  } else {
    sendTo(0, Exchanged, mine);
  }
  waitFor(lock, [&] { return !results.empty(); });
  if (results.empty()) {
    return failed;
  }
  std::vector<std::string> all = std::move(results.front());
  results.pop_front();
  return all;
}

Result<std::vector<std::string>> ControlChannel::gather(const std::string &mine) {
  std::unique_lock<std::mutex> lock(mutex);
  if (!isFirst()) {
    const int64_t before = gathersDone;
    sendTo(0, Gathered, mine);
    waitFor(lock, [&] { return gathersDone > before; });
    return gathersDone > before ? Result<std::vector<std::string>>(std::vector<std::string>())
                                : failed;
  }
  peers[0].gathered.push_back(mine);
  auto haveAll = [&] {
    return std::all_of(peers.begin(), peers.end(),
                       [](const Peer &peer) { return !peer.gathered.empty(); });
  };
  waitFor(lock, haveAll);
  if (!haveAll()) {
    return failed;
  }
  std::vector<std::string> all;
  for (Peer &peer : peers) {
    all.push_back(std::move(peer.gathered.front()));
    peer.gathered.pop_front();
  }
  sendToAll(GatherDone, "");
  return all;
}

// ---- Agreement. Ranks are at most some rounds apart. Rank 0 has all of them halt at their next
// boundary, takes the first one that none has passed, and tells it: nobody waits for longer than a
// message there and back.

void ControlChannel::request(const Orders &wish) {
  std::lock_guard<std::mutex> lock(mutex);
  if (!isFirst()) {
    sendTo(0, Wish, jsonText({{"stop", wish.stop}, {"save", wish.save}}));
    return;
  }
  agreement.next.stop = agreement.next.stop ? agreement.next.stop : wish.stop;
  agreement.next.save |= wish.save;
  startAgreement();
}

void ControlChannel::startAgreement() {
  if (agreement.active || (!agreement.next.stop && !agreement.next.save)) {
    return;
  }
  agreement.active = true;
  agreement.orders = std::exchange(agreement.next, Orders());
  agreement.boundaries.assign(static_cast<size_t>(ranks()), -1);
  frozen = true;
  sendToAll(Freeze, "");
  answerAgreement(0, boundary);
}

void ControlChannel::answerAgreement(int rank, int64_t at) {
  std::vector<int64_t> &boundaries = agreement.boundaries;
  boundaries[static_cast<size_t>(rank)] = at;
  if (std::find(boundaries.begin(), boundaries.end(), -1) != boundaries.end()) {
    return;
  }
  const int64_t next = *std::max_element(boundaries.begin(), boundaries.end()) + 1;
  sendToAll(Decision, jsonText({{"boundary", next},
                                {"stop", agreement.orders.stop},
                                {"save", agreement.orders.save}}));
  decide(next, agreement.orders);
  agreement.active = false;
  startAgreement();
}

void ControlChannel::decide(int64_t at, const Orders &orders) {
  Orders &there = decided[at];
  there.stop = there.stop ? there.stop : orders.stop;
  there.save |= orders.save;
  frozen = false;
  changed.notify_all();
}

Orders ControlChannel::passBoundary() {
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [&] { return !frozen || failed.failed(); });
  ++boundary;
  state.moved();
  auto found = decided.find(boundary);
  if (found == decided.end()) {
    return {};
  }
  const Orders now = found->second;
  decided.erase(found);
  return now;
}

// ---- The end

Status ControlChannel::end(const Status &status) {
  std::unique_lock<std::mutex> lock(mutex);
  const bool stopped = status.exitCode() == ExitCode::Stopped;
  const bool good = status.ok() || stopped;
  if (!good && failed.ok()) {
    const std::string what =
        format("ended with exit code %d: ", static_cast<int>(status.exitCode())) + status.message();
    if (isFirst()) {
      fail(0, what);
    } else {
      sendTo(0, End, jsonText({{"code", static_cast<int>(status.exitCode())}, {"what", what}}));
    }
  } else if (!isFirst()) {
    sendTo(0, End, jsonText({{"code", 0}}));
  }
  ended = true;
  state.activity = Activity::Ending;
  auto othersEnded = [&] {
    for (int other = 0; other < ranks(); ++other) {
      const bool counts = isFirst() ? other != 0 : other == 0;
      if (counts && !peers[static_cast<size_t>(other)].ended &&
          meeting.connections[static_cast<size_t>(other)].isOpen()) {
        return false;
      }
    }
    return true;
  };
  if (isFirst() && good && failed.ok()) {
    changed.wait(lock, [&] { return failed.failed() || othersEnded(); });
  }
  // A message that is on its way would be lost with the connection.
  changed.wait_for(lock, std::min(grace(), Milliseconds(2000)), othersEnded);
  return good && isFirst() ? failed : Status();
}
