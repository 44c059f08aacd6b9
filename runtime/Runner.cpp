// The training executable's commands.

#include "runtime/Runner.h"

#include "runtime/Bench.h"
#include "runtime/CommandLine.h"
#include "runtime/DataCheck.h"
#include "runtime/Evaluate.h"
#include "runtime/Executable.h"
#include "runtime/Gradients.h"
#include "runtime/Info.h"
#include "runtime/MappedFile.h"
#include "runtime/Startup.h"
#include "runtime/Train.h"

#include <csignal>
#include <cstdio>
#include <new>

using namespace dsc;

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
  struct Command {
    const char *name;
    Status (*run)(Executable &, const CommandLine &);
  };
  constexpr Command commands[] = {
      {"train", runTrain},   {"eval", runEvaluate},    {"gradients", runGradients},
      {"values", runValues}, {"data", runDataCheck},   {"info", runInfo},
      {"bench", runBench},   {"lr", runLearningRates},
  };
  for (const Command &command : commands) {
    if (line->command() == command.name) {
      return command.run(**executable, *line);
    }
  }
  return Status::internal("the command \"" + line->command() + "\" has no code");
}

int dsc::runMain(int argc, char **argv) {
  installBusErrorMessage();
  // A closed pipe is a failed write, which is reported, not a death in the middle of a save.
  std::signal(SIGPIPE, SIG_IGN);
  Status status;
  try {
    status = runCommand(argc, argv);
  } catch (const std::bad_alloc &) {
    status = Status::machine("out of memory");
  } catch (const std::exception &error) {
    status = Status::internal(std::string("unexpected: ") + error.what());
  }
  std::fflush(stdout);
  if (status.exitCode() == ExitCode::Stopped) {
    printNote(status.message());
  } else if (status.failed()) {
    printError(status.message());
  }
  return static_cast<int>(status.exitCode());
}
