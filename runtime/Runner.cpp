// The training executable's commands.

#include "runtime/Runner.h"

#include "runtime/Bench.h"
#include "runtime/CommandLine.h"
#include "runtime/DataCheck.h"
#include "runtime/Evaluate.h"
#include "runtime/Executable.h"
#include "runtime/Export.h"
#include "runtime/Gradients.h"
#include "runtime/Info.h"
#include "runtime/LearningRates.h"
#include "runtime/MappedFile.h"
#include "runtime/StartTimes.h"
#include "runtime/Startup.h"
#include "runtime/Train.h"
#include "runtime/comm/LocalRanks.h"
#include "runtime/comm/Ranks.h"

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

using namespace dsc;

namespace {
struct Command {
  const char *name;
  Status (*run)(Executable &, const CommandLine &, Ranks &);
};
} // namespace

/// A command that one rank runs.
template <Status (*command)(Executable &, const CommandLine &)>
static Status alone(Executable &executable, const CommandLine &line, Ranks &) {
  return command(executable, line);
}

static constexpr Command commands[] = {
    {"train", runTrain},          {"eval", runEvaluate},
    {"bench", runBench},          {"gradients", alone<runGradients>},
    {"values", alone<runValues>}, {"data", alone<runDataCheck>},
    {"info", alone<runInfo>},     {"lr", alone<runLearningRates>},
    {"export", alone<runExport>},
};

/// --timeout, of which ranks take parts for signs of life and for ending.
static Result<std::chrono::milliseconds> timeoutOf(const CommandLine &line) {
  constexpr double least = 2, most = 86400;
  const std::string text = line.text("--timeout", "60");
  const double seconds = parseNumber(text).value_or(NAN);
  if (!(seconds >= least && seconds <= most)) {
    return Status::user(format("--timeout %s: is not a number of seconds from %g to %g",
                               text.c_str(), least, most));
  }
  return std::chrono::milliseconds(std::llround(seconds * 1e3));
}

/// Runs the command as the rank that this process is, or starts the ranks.
static Status runAsRank(const Command &command, Executable &executable, const CommandLine &line,
                        char **argv) {
  Ranks one;
  Result<int64_t> asked = line.integer("--ranks", 0, 1);
  DSC_RETURN_IF_FAILED(asked.status());
  Result<RankLayout> layout =
      rankLayout(*asked, [](const char *name) { return std::getenv(name); });
  DSC_RETURN_IF_FAILED(layout.status());
  if (layout->ranks == 1) {
    return command.run(executable, line, one);
  }
  if (!line.takesRanks()) {
    return Status::user(format("%s runs with one rank, and %s started %d; run it alone",
                               line.command().c_str(), layout->source.c_str(), layout->ranks));
  }
  Result<std::chrono::milliseconds> timeout = timeoutOf(line);
  DSC_RETURN_IF_FAILED(timeout.status());
  if (layout->startsRanks) {
    return runLocalRanks(layout->ranks, argv, *timeout);
  }
  Result<std::unique_ptr<Ranks>> ranks = [&] {
    StartPhase phase("ranks");
    return Ranks::open(*layout, *timeout);
  }();
  if (ranks.failed()) {
    return ranks.status().in(layout->rank ? format("rank %d", layout->rank) : "rank 0");
  }
  if (!(*ranks)->isFirst()) {
    silenceNotes();
  }
  Status status;
  try {
    status = command.run(executable, line, **ranks);
  } catch (const std::bad_alloc &) {
    status = Status::machine("out of memory");
  }
  status = (*ranks)->end(status);
  const std::string &message = status.message();
  return {status.exitCode(), message.empty() ? "" : (*ranks)->errorPrefix() + message};
}

static Status runCommand(int argc, char **argv) {
  Result<std::unique_ptr<Executable>> executable = Executable::open("/proc/self/exe");
  if (executable.failed()) {
    return executable.status();
  }
  const Manifest &manifest = (*executable)->manifest();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (argc == 1) {
    std::fprintf(stderr, "%s", helpText(manifest, argv[0], "").c_str());
  }
  Result<CommandLine> line = CommandLine::parse(manifest, arguments);
  if (line.failed()) {
    return line.status();
  }
  if (line->wantsHelp()) {
    std::printf("%s", printable(helpText(manifest, argv[0], line->command())).c_str());
    return {};
  }
  for (const Command &command : commands) {
    if (line->command() == command.name) {
      return runAsRank(command, **executable, *line, argv);
    }
  }
  return Status::internal("the command \"" + line->command() + "\" has no code");
}

int dsc::runMain(int argc, char **argv) {
  installBusErrorMessage();
  // A closed pipe is a failed write, which is reported, not a death in the middle of a save.
  std::signal(SIGPIPE, SIG_IGN);
  // A file that passes the user's limit, too.
  std::signal(SIGXFSZ, SIG_IGN);
  Status status;
  try {
    status = runCommand(argc, argv);
  } catch (const std::bad_alloc &) {
    status = Status::machine("out of memory");
  } catch (const std::exception &error) {
    status = Status::internal(std::string("unexpected: ") + error.what());
  }
  std::fflush(stdout);
  if (status.message().empty()) {
    // All is well, or was said by another rank.
  } else if (status.exitCode() == ExitCode::Stopped) {
    printNote(status.message());
  } else if (status.failed()) {
    printError(status.message());
  }
  return static_cast<int>(status.exitCode());
}
