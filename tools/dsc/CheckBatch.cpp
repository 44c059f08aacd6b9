// One worker process a job. The parent sends the number of a test, the worker answers with a line;
// a worker that dies or is killed for being slow is replaced.

#include "tools/dsc/CheckBatch.h"

#include "codegen/Pipeline.h"
#include "tools/dsc/CheckForward.h"
#include "tools/dsc/Commands.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <csignal>
#include <deque>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;
using namespace dsc;

namespace {
struct Test {
  std::string name, model, data;
  Tolerance tolerance;
};

struct Worker {
  pid_t process = -1;
  int toWorker = -1, fromWorker = -1;
  int test = -1; // running now
  std::string answer;
  std::chrono::steady_clock::time_point deadline;
};
} // namespace

static void printResult(const Test &test, StringRef stage, StringRef message) {
  llvm::outs() << llvm::json::Value(llvm::json::Object{{"name", test.name},
                                                       {"stage", stage.str()},
                                                       {"message", llvm::json::fixUTF8(message)}})
               << "\n";
  llvm::outs().flush();
}

//===----------------------------------------------------------------------===//
// In a worker
//===----------------------------------------------------------------------===//

static llvm::json::Object runTest(const Test &test) {
  DialectRegistry registry;
  registry.insert<DscDialect, func::FuncDialect>();
  registerCodegenDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  std::string diagnostics;
  llvm::raw_string_ostream stream(diagnostics);
  context.getDiagEngine().registerHandler([&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      printDiagnostic(diagnostic, stream);
    }
    return success();
  });
  CheckedProgramOptions options;
  options.import.path = test.model;
  ForwardCheck check = checkForward(context, options, test.data, test.tolerance);
  return llvm::json::Object{{"stage", check.stage},
                            {"message", llvm::json::fixUTF8(diagnostics + check.text)}};
}

[[noreturn]] static void work(ArrayRef<Test> tests, int in, int out) {
  int32_t number;
  while (read(in, &number, sizeof number) == sizeof number) {
    std::string line;
    llvm::raw_string_ostream(line) << llvm::json::Value(runTest(tests[number])) << "\n";
    for (size_t done = 0; done < line.size();) {
      ssize_t count = write(out, line.data() + done, line.size() - done);
      if (count <= 0) {
        _exit(1);
      }
      done += count;
    }
  }
  _exit(0);
}

//===----------------------------------------------------------------------===//
// In the parent
//===----------------------------------------------------------------------===//

static bool start(Worker &worker, ArrayRef<Test> tests) {
  int down[2], up[2];
  if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) {
    return false;
  }
  worker.process = fork();
  if (worker.process == 0) {
    close(down[1]);
    close(up[0]);
    work(tests, down[0], up[1]);
  }
  close(down[0]);
  close(up[1]);
  worker.toWorker = down[1];
  worker.fromWorker = up[0];
  worker.answer.clear();
  return worker.process > 0;
}

/// Ends the worker; returns how it ended.
static int stop(Worker &worker, bool kill) {
  if (kill) {
    ::kill(worker.process, SIGKILL);
  }
  close(worker.toWorker);
  close(worker.fromWorker);
  int status = 0;
  waitpid(worker.process, &status, 0);
  worker.process = -1;
  return status;
}

static std::string howItEnded(int status) {
  return WIFSIGNALED(status) ? std::string("signal ") + strsignal(WTERMSIG(status))
                             : "exit code " + std::to_string(WEXITSTATUS(status));
}

namespace {
class Batch {
public:
  Batch(std::vector<Test> tests, const BatchOptions &options)
      : tests(std::move(tests)), options(options) {}

  int run() {
    std::vector<Worker> workers(options.jobs);
    for (size_t i = 0; i < tests.size(); ++i) {
      waiting.push_back(i);
    }
    for (Worker &worker : workers) {
      if (!start(worker, tests) || !give(worker)) {
        llvm::errs() << "dsc check: cannot start a worker\n";
        return kMachineLacks;
      }
    }
    while (llvm::any_of(workers, [](const Worker &worker) { return worker.test >= 0; })) {
      std::vector<pollfd> polls;
      for (Worker &worker : workers) {
        polls.push_back({worker.test >= 0 ? worker.fromWorker : -1, POLLIN, 0});
      }
      poll(polls.data(), polls.size(), 500);
      for (auto [worker, polled] : llvm::zip(workers, polls)) {
        if (worker.test >= 0 && !serve(worker, polled.revents != 0)) {
          return kMachineLacks;
        }
      }
    }
    // Idle by now. Not by closing their pipes: workers started later hold copies of the ends, so no
    // end of file would come.
    for (Worker &worker : workers) {
      stop(worker, /*kill=*/true);
    }
    return failures ? kDifference : kDone;
  }

private:
  std::vector<Test> tests;
  const BatchOptions &options;
  std::deque<int> waiting;
  int failures = 0;

  /// Hands the next test to an idle worker.
  bool give(Worker &worker) {
    worker.test = -1;
    if (waiting.empty()) {
      return true;
    }
    int32_t number = waiting.front();
    waiting.pop_front();
    worker.test = number;
    worker.deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(options.secondsPerTest);
    return write(worker.toWorker, &number, sizeof number) == sizeof number;
  }

  void report(int test, StringRef stage, StringRef message) {
    failures += !stage.empty();
    printResult(tests[test], stage, message);
  }

  /// Reads what a worker has to say, or replaces it. False: no new worker could be started.
  bool serve(Worker &worker, bool readable) {
    if (readable) {
      char piece[65536];
      ssize_t count = read(worker.fromWorker, piece, sizeof piece);
      if (count <= 0) {
        int test = worker.test;
        report(test, "crash", howItEnded(stop(worker, /*kill=*/false)));
        return start(worker, tests) && give(worker);
      }
      worker.answer.append(piece, count);
      if (worker.answer.back() != '\n') {
        return true;
      }
      llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(worker.answer);
      worker.answer.clear();
      const llvm::json::Object *answer = parsed ? parsed->getAsObject() : nullptr;
      if (!answer) {
        llvm::consumeError(parsed.takeError());
        report(worker.test, "crash", "unreadable answer");
      } else {
        report(worker.test, answer->getString("stage").value_or(""),
               answer->getString("message").value_or(""));
      }
      return give(worker);
    }
    if (std::chrono::steady_clock::now() > worker.deadline) {
      report(worker.test, "timeout",
             "took more than " + std::to_string(options.secondsPerTest) + " s");
      stop(worker, /*kill=*/true);
      return start(worker, tests) && give(worker);
    }
    return true;
  }
};
} // namespace

int dsc::checkBatch(const BatchOptions &options) {
  auto file = llvm::MemoryBuffer::getFile(options.manifest);
  if (!file) {
    llvm::errs() << "dsc check: " << options.manifest << ": " << file.getError().message() << "\n";
    return kUserError;
  }
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse((*file)->getBuffer());
  if (!parsed) {
    llvm::errs() << "dsc check: " << options.manifest << ": " << llvm::toString(parsed.takeError())
                 << "\n";
    return kUserError;
  }
  const llvm::json::Object *root = parsed->getAsObject();
  const llvm::json::Array *list = root ? root->getArray("tests") : nullptr;
  if (!list) {
    llvm::errs() << "dsc check: " << options.manifest << ": has no list \"tests\"\n";
    return kUserError;
  }
  std::string folder = llvm::sys::path::parent_path(options.manifest).str();
  folder = folder.empty() ? "." : folder;
  llvm::Regex filter(options.filter);
  std::vector<Test> tests;
  for (const llvm::json::Value &value : *list) {
    const llvm::json::Object *entry = value.getAsObject();
    std::optional<StringRef> name = entry ? entry->getString("name") : std::nullopt;
    std::optional<StringRef> model = entry ? entry->getString("model") : std::nullopt;
    std::optional<StringRef> data = entry ? entry->getString("data") : std::nullopt;
    if (!name || !model || !data) {
      llvm::errs() << "dsc check: " << options.manifest
                   << ": a test lacks \"name\", \"model\" or \"data\"\n";
      return kUserError;
    }
    if (options.filter.empty() || filter.match(*name)) {
      Tolerance tolerance;
      tolerance.relative = entry->getNumber("rtol").value_or(tolerance.relative);
      tolerance.absolute = entry->getNumber("atol").value_or(tolerance.absolute);
      tests.push_back(
          {name->str(), folder + "/" + model->str(), folder + "/" + data->str(), tolerance});
    }
  }
  return Batch(std::move(tests), options).run();
}
