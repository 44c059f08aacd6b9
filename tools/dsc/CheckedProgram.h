// A model compiled into a temporary file that only this process runs.

#ifndef DSC_TOOLS_DSC_CHECKEDPROGRAM_H
#define DSC_TOOLS_DSC_CHECKEDPROGRAM_H

#include "frontend/Frontend.h"
#include "tools/dsc/PassFlags.h"
#include "tools/dsc/ProgramRun.h"

namespace dsc {

/// A folder that goes away with this object.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  /// Empty where it could not be made.
  const std::string &path() const { return folder; }

private:
  std::string folder;
};

struct CheckedProgram {
  std::unique_ptr<ProgramRun> run; // null: it failed
  std::string failedStage;         // "import", a phase's name, "emit", "load"
  std::string message;             // of "load"; the others have emitted diagnostics
  int exitCode = 0;
};

struct CheckedProgramOptions {
  ImportOptions import;
  bool inDouble = false; // compute f32 values in f64
  PassFlags passes;
  int threads = 1;
};

/// Compiles options.import.path and loads it.
CheckedProgram compileAndLoad(mlir::MLIRContext &context, const CheckedProgramOptions &options);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CHECKEDPROGRAM_H
