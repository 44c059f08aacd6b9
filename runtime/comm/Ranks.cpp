// The ranks of a run, as its commands see them.

#include "runtime/comm/Ranks.h"

#include "runtime/Signals.h"
#include "runtime/comm/GlooCommunicator.h"

#include <algorithm>
#include <map>
#include <set>

using namespace dsc;

Result<std::unique_ptr<Ranks>> Ranks::open(const RankLayout &layout,
                                           std::chrono::milliseconds timeout) {
  std::unique_ptr<Ranks> ranks(new Ranks(layout));
  if (layout.ranks == 1) {
    return ranks;
  }
  Result<std::unique_ptr<ControlChannel>> control =
      ControlChannel::open(layout, ranks->rankState, timeout);
  DSC_RETURN_IF_FAILED(control.status());
  ranks->control = std::move(*control);
  ranks->place();
  Result<std::unique_ptr<GlooCommunicator>> gloo =
      GlooCommunicator::connect(*ranks->control, ranks->rankState);
  DSC_RETURN_IF_FAILED(gloo.status());
  ranks->gloo = std::move(*gloo);
  return ranks;
}

Ranks::Ranks() = default;
Ranks::Ranks(const RankLayout &layout) : layout(layout) {}
Ranks::~Ranks() = default;

/// What launchers say of machines is checked against where the ranks really are.
void Ranks::place() {
  const std::vector<RankPlace> &places = control->places();
  const RankPlace &own = places[static_cast<size_t>(rank())];
  layout.localRanks = layout.localRank = sharing = 0;
  for (size_t other = 0; other < places.size(); ++other) {
    if (places[other].host == own.host) {
      layout.localRank += other < static_cast<size_t>(rank());
      ++layout.localRanks;
      sharing += places[other].processors == own.processors;
    }
  }
}

std::string Ranks::errorPrefix() const {
  return isFirst() ? "" : control ? control->nameOf(rank()) + ": " : format("rank %d: ", rank());
}

Communicator *Ranks::communicator() const { return gloo.get(); }

// ---- How to begin

static std::string shortened(const std::string &text) {
  constexpr size_t most = 60;
  return text.size() <= most ? text : text.substr(0, most) + "..";
}

std::string dsc::describeDifference(const std::vector<Facts> &facts,
                                    const std::vector<std::string> &names) {
  std::vector<std::string> keys;
  std::set<std::string> seen;
  for (const Facts &own : facts) {
    for (const auto &[key, value] : own) {
      if (seen.insert(key).second) {
        keys.push_back(key);
      }
    }
  }
  for (const std::string &key : keys) {
    // The ranks by the value that they have.
    std::map<std::string, std::vector<size_t>> byValue;
    for (size_t rank = 0; rank < facts.size(); ++rank) {
      std::string value = "nothing";
      for (const auto &[name, own] : facts[rank]) {
        value = name == key ? own : value;
      }
      byValue[value].push_back(rank);
    }
    if (byValue.size() == 1) {
      continue;
    }
    // Most ranks are right, or else rank 0 is.
    auto right = std::max_element(byValue.begin(), byValue.end(), [](const auto &a, const auto &b) {
      return std::make_pair(a.second.size(), b.second[0]) <
             std::make_pair(b.second.size(), a.second[0]);
    });
    std::string text;
    for (auto other = byValue.begin(); other != byValue.end(); ++other) {
      for (size_t rank : other->second) {
        if (other != right) {
          text += (text.empty() ? "" : ", ") + names[rank] + " has " + shortened(other->first);
        }
      }
    }
    const size_t others = right->second.size();
    return key + ": " + text + " and " +
           (others == 1 ? names[right->second[0]] + " has "
                        : format("the other %zu have ", others)) +
           shortened(right->first);
  }
  return {};
}

static Facts factsFrom(const Json &json) {
  Facts facts;
  for (const Json &fact : json) {
    facts.emplace_back(fact.at(0).get<std::string>(), fact.at(1).get<std::string>());
  }
  return facts;
}

Status Ranks::agree(const Status &prepared, const Facts &facts) {
  if (!control) {
    return prepared;
  }
  Json own = {{"code", static_cast<int>(prepared.exitCode())},
              {"message", prepared.message()},
              {"facts", Json::array()}};
  for (const auto &[key, value] : facts) {
    own["facts"].push_back({key, value});
  }
  Result<std::vector<std::string>> all = control->exchange(jsonText(OrderedJson(own)));
  DSC_RETURN_IF_FAILED(all.status());
  std::vector<Facts> allFacts;
  std::vector<std::string> names;
  Status failure;
  size_t failures = 0;
  for (int other = 0; other < count(); ++other) {
    Result<Json> json = parseJson((*all)[static_cast<size_t>(other)]);
    DSC_RETURN_IF_FAILED(json.status());
    names.push_back(control->nameOf(other));
    allFacts.push_back(factsFrom(json->at("facts")));
    const auto code = static_cast<ExitCode>(json->at("code").get<int>());
    if (code == ExitCode::Done) {
      continue;
    }
    const auto message = json->at("message").get<std::string>();
    if (message.empty()) {
      continue;
    }
    ++failures;
    if (failure.ok()) {
      failure = {code, (other ? names.back() + ": " : "") + message};
    }
  }
  if (failures > 1) {
    failure = {failure.exitCode(),
               failure.message() + format(" (so say %zu of %d ranks, in the same "
                                          "or other words)",
                                          failures, count())};
  }
  if (failure.ok()) {
    if (std::string difference = describeDifference(allFacts, names); !difference.empty()) {
      failure = Status::user("the ranks differ in " + difference +
                             "; start all of them with the same program, data and flags");
    }
  }
  failedTogether = failure.failed();
  return isFirst() ? failure : Status(failure.exitCode(), "");
}

// ---- Rounds

bool Ranks::beginRound() {
  if (!control) {
    stop = dsc::stopSignal();
    save |= dsc::takeSaveRequest();
    return stop == 0;
  }
  Orders wish;
  wish.stop = asked ? 0 : dsc::stopSignal();
  wish.save = dsc::takeSaveRequest();
  if (wish.stop || wish.save) {
    asked |= wish.stop != 0;
    control->request(wish);
  }
  const Orders orders = control->passBoundary();
  save |= orders.save;
  stop = stop ? stop : orders.stop;
  return stop == 0;
}

bool Ranks::takeSaveRequest() { return std::exchange(save, false); }

Result<std::vector<std::string>> Ranks::exchange(const std::string &mine) {
  return control ? control->exchange(mine) : std::vector<std::string>{mine};
}

Result<std::vector<std::string>> Ranks::gather(const std::string &mine) {
  return control ? control->gather(mine) : std::vector<std::string>{mine};
}

void Ranks::onFailure(const void *owner, std::function<void(const Status &)> callback) {
  control->onFailure(owner, std::move(callback));
}

Status Ranks::explain(const std::string &reason) { return control->explain(reason); }

Status Ranks::end(const Status &status) {
  if (!control) {
    return status;
  }
  const bool good = status.ok() || status.exitCode() == ExitCode::Stopped;
  Status ended = status;
  if (good || failedTogether) {
    // Data that is on its way to others would be lost with the connections.
    Status met = control->exchange("").status();
    ended = good ? met : Status();
  }
  Status others = control->end(ended);
  if (good) {
    return ended.failed() ? ended : others.failed() ? others : status;
  }
  return failedTogether && !isFirst() ? Status(status.exitCode(), "") : status;
}
