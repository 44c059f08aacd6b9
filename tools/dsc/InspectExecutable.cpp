// The runtime's view of a file, printed by `dsc inspect`.

#include "tools/dsc/InspectExecutable.h"

#include "runtime/Executable.h"
#include "runtime/Info.h"
#include "runtime/LearningRates.h"
#include "runtime/Schedule.h"
#include "runtime/Startup.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace dsc;

bool dsc::isExecutable(const std::string &path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  return file && (*file)->getBufferSize() > 64 &&
         (*file)->getBuffer().take_back(64).starts_with("DSCEXE01");
}

/// Opens `path` and hands it to `print`; errors are printed here.
static int withExecutable(const std::string &path, const InspectOutput &output,
                          llvm::function_ref<int(const Executable &)> print) {
  Result<std::unique_ptr<Executable>> executable = Executable::open(path);
  if (executable.failed()) {
    reportFault("dsc inspect", {executable.status().message(), ErrorId::FileUnreadable},
                output.jsonDiagnostics);
    return static_cast<int>(executable.status().exitCode());
  }
  return print(**executable);
}

int dsc::inspectExecutable(const std::string &path, const InspectOutput &output) {
  return withExecutable(path, output, [&](const Executable &executable) {
    if (output.json) {
      llvm::outs() << executable.manifest().text << "\n";
    } else {
      llvm::outs() << printable(describe(executable));
    }
    return kDone;
  });
}

int dsc::inspectExecutableRates(const std::string &path, const InspectOutput &output) {
  return withExecutable(path, output, [&](const Executable &executable) {
    double rate = 0;
    for (const RunTimeValue &value : executable.manifest().runTimeValues) {
      rate = value.name == "lr" ? value.defaultValue : rate;
    }
    return printLearningRates(executable.manifest().schedule, rate, output);
  });
}

int dsc::printLearningRates(const std::string &schedule, double rate, const InspectOutput &output) {
  Result<Schedule> parsed = Schedule::parse(schedule);
  if (parsed.failed()) {
    reportFault("dsc inspect", {"--schedule: " + parsed.status().message()},
                output.jsonDiagnostics);
    return kUserError;
  }
  auto rateOfStep = [&](int64_t step) { return parsed->rate(rate, step, output.steps); };
  if (!output.json) {
    llvm::outs() << learningRateTable(schedule, output.steps, rateOfStep);
    return kDone;
  }
  llvm::json::Array rates;
  for (int64_t step = 1; step <= output.steps; ++step) {
    rates.push_back(rateOfStep(step));
  }
  llvm::outs() << llvm::json::Value(llvm::json::Object{
                      {"schedule", schedule}, {"steps", output.steps}, {"lr", std::move(rates)}})
               << "\n";
  return kDone;
}
