// Which rank of how many this process is.

#include "runtime/comm/RankLayout.h"

#include "runtime/CommandLine.h"

#include <optional>

using namespace dsc;

std::string RankLayout::summary() const {
  if (ranks == 1) {
    return "1 rank";
  }
  const int nodes = (ranks + localRanks - 1) / localRanks;
  return format("%d ranks from %s, %d node%s", ranks, source.c_str(), nodes, nodes == 1 ? "" : "s");
}

namespace {
/// One launcher's variables.
struct Variables {
  const char *launcher, *rank, *ranks, *localRank, *localRanks, *job;
};
constexpr Variables torchrun = {
    "torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"};
constexpr Variables openMpi = {"mpirun",
                               "OMPI_COMM_WORLD_RANK",
                               "OMPI_COMM_WORLD_SIZE",
                               "OMPI_COMM_WORLD_LOCAL_RANK",
                               "OMPI_COMM_WORLD_LOCAL_SIZE",
                               "PMIX_NAMESPACE"};
constexpr Variables slurm = {"srun",          "SLURM_PROCID", "SLURM_STEP_NUM_TASKS",
                             "SLURM_LOCALID", nullptr,        "SLURM_JOB_ID"};

class Reader {
public:
  explicit Reader(const Environment &environment) : environment(environment) {}

  std::string text(const char *name) const {
    const char *value = name ? environment(name) : nullptr;
    return value ? value : "";
  }
  /// An integer in [minimum, maximum], or nothing where the variable is not set.
  Result<std::optional<int>> integer(const char *name, int minimum, int maximum) const {
    const std::string value = text(name);
    if (value.empty()) {
      return std::optional<int>();
    }
    std::optional<int64_t> number = parseInteger(value);
    if (!number || *number < minimum || *number > maximum) {
      return Status::user(
          format("%s=%s: is not an integer from %d to %d", name, value.c_str(), minimum, maximum));
    }
    return std::optional<int>(static_cast<int>(*number));
  }

private:
  const Environment &environment;
};

/// FNV-1a, for a port that the ranks of a job agree on and other jobs hardly have.
uint32_t hashOf(const std::string &text) {
  uint32_t hash = 2166136261u;
  for (char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  }
  return hash;
}
} // namespace

std::string dsc::firstHost(const std::string &list) {
  size_t end = list.find_first_of(",[");
  std::string host = list.substr(0, end);
  if (end == std::string::npos || list[end] == ',') {
    return host;
  }
  size_t stop = list.find_first_of(",-]", end + 1);
  return host + list.substr(end + 1, stop == std::string::npos ? stop : stop - end - 1);
}

/// SLURM tells tasks a node as "2(x3),1": the first number, where all nodes have as many.
static std::string tasksPerNode(const std::string &text) {
  return text.find(',') == std::string::npos ? text.substr(0, text.find('(')) : "";
}

/// The rank that a launcher's variables describe; nothing where it did not start several.
static Result<std::optional<RankLayout>> readLauncher(const Reader &reader,
                                                      const Variables &names) {
  Result<std::optional<int>> ranks = reader.integer(names.ranks, 1, mostRanks);
  DSC_RETURN_IF_FAILED(ranks.status());
  if (!*ranks || **ranks == 1) {
    return std::optional<RankLayout>();
  }
  RankLayout layout;
  layout.ranks = **ranks;
  layout.source = names.launcher;
  Result<std::optional<int>> rank = reader.integer(names.rank, 0, layout.ranks - 1);
  DSC_RETURN_IF_FAILED(rank.status());
  if (!*rank) {
    return Status::user(format("%s=%d is set and %s is not: %s sets both; unset %s to train with "
                               "one rank, or start several with --ranks N",
                               names.ranks, layout.ranks, names.rank, names.launcher, names.ranks));
  }
  layout.rank = **rank;
  Result<std::optional<int>> localRank = reader.integer(names.localRank, 0, layout.ranks - 1);
  DSC_RETURN_IF_FAILED(localRank.status());
  std::optional<int> localRanks;
  if (names.localRanks) {
    Result<std::optional<int>> given = reader.integer(names.localRanks, 1, layout.ranks);
    DSC_RETURN_IF_FAILED(given.status());
    localRanks = *given;
  } else if (std::string count = tasksPerNode(reader.text("SLURM_STEP_TASKS_PER_NODE"));
             !count.empty()) {
    localRanks = static_cast<int>(parseInteger(count).value_or(1));
  }
  layout.localRanks = localRanks.value_or(names.localRanks ? layout.ranks : 1);
  layout.localRank = localRank->value_or(layout.rank % layout.localRanks);
  layout.job = std::string(names.launcher) + " " + reader.text(names.job);
  return std::optional<RankLayout>(layout);
}

/// Where rank 0 listens.
static Status findRankZero(const Reader &reader, RankLayout &layout) {
  const std::string address = reader.text("MASTER_ADDR");
  Result<std::optional<int>> port = reader.integer("MASTER_PORT", 1, 65535 - portsTried);
  DSC_RETURN_IF_FAILED(port.status());
  if (!address.empty()) {
    layout.address = address;
  } else if (layout.severalMachines()) {
    const std::string hosts = layout.source == "srun" ? reader.text("SLURM_STEP_NODELIST") : "";
    if (hosts.empty()) {
      return Status::user(format(
          "%s: %d ranks on several machines, and MASTER_ADDR does not say which machine rank 0 is "
          "on; set it to that machine's name for all ranks%s",
          layout.source.c_str(), layout.ranks,
          layout.source == "mpirun" ? ", with mpirun -x MASTER_ADDR=HOST" : ""));
    }
    layout.address = firstHost(hosts);
  }
  if (*port) {
    layout.port = **port;
  } else if (layout.source == "torchrun") {
    return Status::user(format("WORLD_SIZE=%d is set and MASTER_PORT is not: set it to a port that "
                               "is free on the machine of rank 0, the same for all ranks",
                               layout.ranks));
  } else {
    // Below the ports that Linux deals out to clients.
    layout.port = 20000 + static_cast<int>(hashOf(layout.job) % 10000);
  }
  // torchrun's own store listens on MASTER_PORT.
  layout.port += reader.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  return {};
}

Result<RankLayout> dsc::rankLayout(int64_t asked, const Environment &environment) {
  Reader reader(environment);
  if (asked > mostRanks) {
    return Status::user(
        format("--ranks %lld: is more than %d", static_cast<long long>(asked), mostRanks));
  }
  const bool started = reader.text("DSC_STARTED_BY") == "--ranks";
  std::optional<RankLayout> found;
  for (const Variables *launcher : {&torchrun, &openMpi, &slurm}) {
    Result<std::optional<RankLayout>> layout = readLauncher(reader, *launcher);
    DSC_RETURN_IF_FAILED(layout.status());
    if (*layout) {
      found = *layout;
      break;
    }
  }
  if (asked && !started) {
    if (found && asked > 1) {
      return Status::user(format("--ranks %lld: %s already started %d ranks, each of which would "
                                 "start more; leave --ranks away",
                                 static_cast<long long>(asked), found->source.c_str(),
                                 found->ranks));
    }
    RankLayout layout;
    layout.ranks = layout.localRanks = static_cast<int>(asked);
    layout.startsRanks = asked > 1;
    layout.source = asked > 1 ? "--ranks" : "";
    return layout;
  }
  if (!found) {
    return RankLayout();
  }
  if (started) {
    found->source = "--ranks";
    found->job = reader.text("DSC_JOB");
  }
  DSC_RETURN_IF_FAILED(findRankZero(reader, *found));
  return *found;
}
