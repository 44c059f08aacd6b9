// Starting the ranks of `--ranks N` on this machine.

#include "runtime/comm/LocalRanks.h"

#include "runtime/Startup.h"
#include "runtime/comm/Socket.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace dsc;
using Clock = std::chrono::steady_clock;

namespace {
/// The processes of one run.
class LocalRanks {
public:
  LocalRanks(int ranks, char **arguments, std::chrono::milliseconds timeout)
      : ranks(ranks), arguments(arguments), timeout(timeout) {}

  Status run();

private:
  struct Process {
    pid_t id = 0;
    /// What waitpid said, once it has ended.
    std::optional<int> ended;
  };
  Status start();
  void reap();
  void forward(int signal);
  void killRest();
  Status result() const;

  int ranks;
  char **arguments;
  std::chrono::milliseconds timeout;
  sigset_t watched, before;
  std::vector<Process> processes;
  /// When those that are left are killed.
  std::optional<Clock::time_point> deadline;
  /// Signals that asked for an end, and the last of them.
  int stops = 0, lastStop = 0;
  /// Whether a signal ended the ranks instead of having them stop.
  bool endsAtOnce = false;
};
} // namespace

/// In the new process: the environment of its rank, then the program.
[[noreturn]] static void becomeRank(int rank, int ranks, int port, const std::string &job,
                                    char **arguments, pid_t parent) {
  // Not to outlive the parent, whatever ends it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(static_cast<int>(ExitCode::Rank));
  }
  if (rank > 0) {
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
  }
  for (const auto &[name, value] :
       {std::pair<const char *, std::string>{"RANK", std::to_string(rank)},
        {"LOCAL_RANK", std::to_string(rank)},
        {"WORLD_SIZE", std::to_string(ranks)},
        {"LOCAL_WORLD_SIZE", std::to_string(ranks)},
        {"MASTER_ADDR", "127.0.0.1"},
        {"MASTER_PORT", std::to_string(port)},
        {"DSC_STARTED_BY", "--ranks"},
        {"DSC_JOB", job}}) {
    setenv(name, value.c_str(), 1);
  }
  unsetenv("TORCHELASTIC_USE_AGENT_STORE");
  execv("/proc/self/exe", arguments);
  _exit(127);
}

Status LocalRanks::start() {
  int port = 0;
  {
    Result<Descriptor> free = listenOn(0, 1, port);
    DSC_RETURN_IF_FAILED(free.status());
  }
  const pid_t parent = getpid();
  const std::string job = format("%d at %lld", static_cast<int>(parent),
                                 static_cast<long long>(Clock::now().time_since_epoch().count()));
  for (int rank = 0; rank < ranks; ++rank) {
    const pid_t child = fork();
    if (child == 0) {
      // A group of their own: Ctrl-C reaches them once, from here.
      setpgid(0, processes.empty() ? 0 : processes[0].id);
      sigprocmask(SIG_SETMASK, &before, nullptr);
      becomeRank(rank, ranks, port, job, arguments, parent);
    }
    if (child < 0) {
      const std::string reason = std::strerror(errno);
      killRest();
      return Status::machine(format("cannot start rank %d: %s", rank, reason.c_str()));
    }
    setpgid(child, processes.empty() ? child : processes[0].id);
    processes.push_back({child, std::nullopt});
  }
  return {};
}

void LocalRanks::reap() {
  for (Process &process : processes) {
    int status = 0;
    if (process.ended || waitpid(process.id, &status, WNOHANG) != process.id) {
      continue;
    }
    process.ended = status;
    const bool good =
        WIFEXITED(status) && (WEXITSTATUS(status) == static_cast<int>(ExitCode::Done) ||
                              WEXITSTATUS(status) == static_cast<int>(ExitCode::Stopped));
    endsAtOnce |= WIFSIGNALED(status) && WTERMSIG(status) == lastStop;
    if (WIFSIGNALED(status) && !endsAtOnce && !deadline) {
      const int signal = WTERMSIG(status);
      printError(
          format("rank %d (process %d) was ended by signal %d (%s)%s",
                 static_cast<int>(&process - processes.data()), static_cast<int>(process.id),
                 signal, strsignal(signal),
                 signal == SIGKILL ? ", which is also what happens when memory runs out" : ""));
    }
    if (!good && !deadline) {
      // The others hear of it from each other, and say more than a signal from here would.
      deadline = Clock::now() + std::max(timeout / 5, std::chrono::milliseconds(2000));
    }
  }
}

void LocalRanks::forward(int signal) {
  for (const Process &process : processes) {
    if (!process.ended) {
      kill(process.id, signal);
    }
  }
}

void LocalRanks::killRest() {
  forward(SIGKILL);
  for (Process &process : processes) {
    int status = 0;
    if (!process.ended && waitpid(process.id, &status, 0) == process.id) {
      process.ended = status;
    }
  }
}

/// A rank's own error says more than that others lost it.
Status LocalRanks::result() const {
  ExitCode code = ExitCode::Done;
  for (const Process &process : processes) {
    const int status = process.ended.value_or(0);
    const ExitCode own =
        WIFEXITED(status) ? static_cast<ExitCode>(WEXITSTATUS(status)) : ExitCode::Rank;
    if (code == ExitCode::Done || (code == ExitCode::Rank && own != ExitCode::Done)) {
      code = own;
    }
  }
  for (const Process &process : processes) {
    if (process.ended && WIFSIGNALED(*process.ended)) {
      code = ExitCode::Rank;
    }
  }
  return {code, ""};
}

Status LocalRanks::run() {
  sigemptyset(&watched);
  for (int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGTSTP, SIGCONT}) {
    sigaddset(&watched, signal);
  }
  sigprocmask(SIG_BLOCK, &watched, &before);
  DSC_RETURN_IF_FAILED(start());
  auto allEnded = [&] {
    return std::all_of(processes.begin(), processes.end(),
                       [](const Process &process) { return process.ended.has_value(); });
  };
  while (!allEnded()) {
    timespec limit = {1, 0};
    const int signal = sigtimedwait(&watched, nullptr, &limit);
    switch (signal) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
      ++stops;
      lastStop = signal;
      forward(signal);
      break;
    case SIGUSR1:
      // One rank asks all of them to save; two that ask one after the other would save twice.
      if (!processes[0].ended) {
        kill(processes[0].id, signal);
      }
      break;
    case SIGTSTP:
      // Ctrl-Z stops all of it.
      forward(SIGSTOP);
      raise(SIGSTOP);
      break;
    case SIGCONT:
      forward(SIGCONT);
      break;
    default:
      break;
    }
    reap();
    if (deadline && Clock::now() > *deadline) {
      killRest();
    }
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (endsAtOnce) {
    // As this process would have ended without ranks.
    std::signal(lastStop, SIG_DFL);
    raise(lastStop);
  }
  return result();
}

Status dsc::runLocalRanks(int ranks, char **arguments, std::chrono::milliseconds timeout) {
  return LocalRanks(ranks, arguments, timeout).run();
}
