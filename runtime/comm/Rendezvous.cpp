// How the ranks of a run find each other.

#include "runtime/comm/Rendezvous.h"

#include "runtime/Json.h"

#include <algorithm>
#include <sched.h>
#include <thread>
#include <unistd.h>

using namespace dsc;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// Letters of the messages of this file: a greeting, whether it was understood, the list of all.
static constexpr char greeting = 'H', accepted = 'K', refused = 'N', welcome = 'W';
/// What a greeting begins with: the version of everything that ranks say to each other.
static constexpr const char *protocol = "dsc ranks 1";
/// How long a stranger may think about a greeting.
static constexpr milliseconds patience{3000};

static RankPlace ownPlace() {
  RankPlace place;
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  place.host = host;
  place.process = getpid();
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      place.processors += CPU_ISSET(i, &set) ? std::to_string(i) + " " : "";
    }
  }
  return place;
}

static Json toJson(const RankPlace &place) {
  return {{"host", place.host}, {"process", place.process}, {"processors", place.processors}};
}

static RankPlace placeFrom(const Json &json) {
  RankPlace place;
  place.host = json.value("host", "");
  place.process = json.value("process", int64_t(0));
  place.processors = json.value("processors", "");
  return place;
}

/// "2, 3 and 5 more".
static std::string listed(const std::vector<int> &ranks) {
  std::string text;
  constexpr size_t most = 8;
  for (size_t i = 0; i < std::min(ranks.size(), most); ++i) {
    text += (i ? ", " : "") + std::to_string(ranks[i]);
  }
  return ranks.size() > most ? text + format(" and %zu more", ranks.size() - most) : text;
}

/// Why rank 0 does not take a greeting; empty if it does, and if it is none: strangers are ignored.
static std::string refusal(const Json &hello, const RankLayout &layout,
                           const std::vector<bool> &came) {
  const int64_t rank = hello.value("rank", int64_t(-1)), ranks = hello.value("ranks", int64_t(0));
  if (ranks != layout.ranks) {
    return format("there are %d ranks where rank 0 is, and %lld where rank %lld is", layout.ranks,
                  static_cast<long long>(ranks), static_cast<long long>(rank));
  }
  if (rank < 1 || rank >= layout.ranks || came[static_cast<size_t>(rank)]) {
    return format("rank %lld came twice", static_cast<long long>(rank));
  }
  return {};
}

static Result<Meeting> meetAsRankZero(const RankLayout &layout, Clock::time_point end) {
  Meeting meeting;
  const auto count = static_cast<size_t>(layout.ranks);
  meeting.connections.resize(count);
  meeting.places.resize(count);
  meeting.places[0] = ownPlace();
  std::vector<bool> came(count);
  came[0] = true;
  int port = 0;
  Result<Descriptor> listener = listenOn(layout.port, portsTried, port);
  DSC_RETURN_IF_FAILED(listener.status());
  for (size_t there = 1; there < count;) {
    if (Clock::now() >= end) {
      std::vector<int> missing;
      for (size_t rank = 0; rank < count; ++rank) {
        if (!came[rank]) {
          missing.push_back(static_cast<int>(rank));
        }
      }
      return Status(ExitCode::Rank,
                    format("rank 0 (%s, port %d) waited in vain for rank%s %s of %d; start all "
                           "ranks, with the same MASTER_ADDR and MASTER_PORT",
                           meeting.places[0].host.c_str(), port, missing.size() == 1 ? "" : "s",
                           listed(missing).c_str(), layout.ranks));
    }
    Result<std::optional<Connection>> connection = acceptOne(*listener, milliseconds(200));
    DSC_RETURN_IF_FAILED(connection.status());
    if (!*connection) {
      continue;
    }
    Result<std::optional<Message>> message = (*connection)->receive(patience);
    Result<Json> hello = message.ok() && *message && (*message)->kind == greeting
                             ? parseJson((*message)->bytes)
                             : Status::user("no greeting");
    if (hello.failed() || !hello->is_object() || hello->value("protocol", "") != protocol ||
        hello->value("job", "") != layout.job) {
      (void)(*connection)->send(refused, "");
      continue;
    }
    if (std::string reason = refusal(*hello, layout, came); !reason.empty()) {
      (void)(*connection)->send(refused, reason);
      return Status::user(reason + "; all ranks must come from one launch");
    }
    const auto rank = hello->value("rank", size_t(0));
    if ((*connection)->send(accepted, "").failed()) {
      continue;
    }
    came[rank] = true;
    ++there;
    meeting.places[rank] = placeFrom(*hello);
    if (const std::string address = (*connection)->localAddress();
        meeting.address.empty() || !isLoopback(address)) {
      meeting.address = address;
    }
    meeting.connections[rank] = std::move(**connection);
  }
  Json places = Json::array();
  for (const RankPlace &place : meeting.places) {
    places.push_back(toJson(place));
  }
  const std::string text = jsonText({{"places", places}, {"address", meeting.address}});
  for (size_t rank = 1; rank < count; ++rank) {
    if (meeting.connections[rank].send(welcome, text).failed()) {
      return Status(ExitCode::Rank, format("rank %zu (%s, process %lld) died while the ranks met",
                                           rank, meeting.places[rank].host.c_str(),
                                           static_cast<long long>(meeting.places[rank].process)));
    }
  }
  return meeting;
}

/// One try to greet rank 0 at one port; nothing if somebody else listens there, or nobody.
static Result<std::optional<Connection>> greet(const RankLayout &layout, int port,
                                               std::string &error) {
  Result<Connection> connection = connectTo(layout.address, port, patience);
  if (connection.failed()) {
    error = connection.status().message();
    return std::optional<Connection>();
  }
  OrderedJson hello = {
      {"protocol", protocol}, {"job", layout.job}, {"rank", layout.rank}, {"ranks", layout.ranks}};
  hello.update(OrderedJson(toJson(ownPlace())));
  Result<std::optional<Message>> answer = std::optional<Message>();
  if (connection->send(greeting, jsonText(hello)).ok()) {
    answer = connection->receive(patience);
  }
  if (answer.failed() || !*answer) {
    error = format("port %d is another program's", port);
    return std::optional<Connection>();
  }
  if ((*answer)->kind == refused && !(*answer)->bytes.empty()) {
    return Status::user((*answer)->bytes + "; all ranks must come from one launch");
  }
  if ((*answer)->kind != accepted) {
    error = format("port %d is another run's", port);
    return std::optional<Connection>();
  }
  return std::optional<Connection>(std::move(*connection));
}

static Result<Meeting> meetRankZero(const RankLayout &layout, Clock::time_point end) {
  std::string error;
  for (milliseconds pause(20); Clock::now() < end;
       pause = std::min(pause * 2, milliseconds(500)), std::this_thread::sleep_for(pause)) {
    for (int port = layout.port; port < layout.port + portsTried; ++port) {
      std::string reason;
      Result<std::optional<Connection>> connection = greet(layout, port, reason);
      DSC_RETURN_IF_FAILED(connection.status());
      error = port == layout.port ? reason : error;
      if (!*connection) {
        continue;
      }
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      Result<std::optional<Message>> message = (*connection)->receive(left);
      Result<Json> all = message.ok() && *message && (*message)->kind == welcome
                             ? parseJson((*message)->bytes)
                             : Status::user("no welcome");
      if (all.failed()) {
        return Status(ExitCode::Rank, format("rank 0 (%s, port %d) ended while the ranks met",
                                             layout.address.c_str(), port));
      }
      Meeting meeting;
      for (const Json &place : (*all)["places"]) {
        meeting.places.push_back(placeFrom(place));
      }
      meeting.places.resize(static_cast<size_t>(layout.ranks));
      // On the machine of rank 0 a rank may see a loopback address, which others cannot reach.
      meeting.address = (*connection)->localAddress();
      if (isLoopback(meeting.address)) {
        meeting.address = all->value("address", meeting.address);
      }
      meeting.connections.resize(static_cast<size_t>(layout.ranks));
      meeting.connections[0] = std::move(**connection);
      return meeting;
    }
  }
  return Status(ExitCode::Rank,
                format("rank %d found no rank 0 at %s, ports %d to %d (%s); start all ranks, with "
                       "the same MASTER_ADDR and MASTER_PORT",
                       layout.rank, layout.address.c_str(), layout.port,
                       layout.port + portsTried - 1, error.c_str()));
}

Result<Meeting> dsc::meetRanks(const RankLayout &layout, milliseconds limit) {
  const Clock::time_point end = Clock::now() + limit;
  return layout.rank == 0 ? meetAsRankZero(layout, end) : meetRankZero(layout, end);
}
