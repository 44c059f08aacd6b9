// Many models checked in one process tree: `dsc check --batch`.

#ifndef DSC_TOOLS_DSC_CHECKBATCH_H
#define DSC_TOOLS_DSC_CHECKBATCH_H

#include <string>

namespace dsc {

struct BatchOptions {
  std::string manifest; // what test/e2e/onnx_node_tests.py writes; paths are relative to its folder
  std::string filter;   // only tests whose name matches this regular expression
  int jobs = 2;
  int secondsPerTest = 30;
};

/// Prints one JSON object a test, {"name", "stage", "message"}; `stage` is empty where the test
/// passed. Workers are processes, so a crash or a hang is the failure of one test ("crash",
/// "timeout"). Returns an exit code.
int checkBatch(const BatchOptions &options);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CHECKBATCH_H
