// The command `export`.

#include "runtime/Export.h"

#include "runtime/Safetensors.h"
#include "runtime/Startup.h"
#include "runtime/Weights.h"

#include <cstdio>

using namespace dsc;

Status dsc::runExport(Executable &executable, const CommandLine &line) {
  const std::string path = line.text("-o");
  if (path.empty()) {
    return Status::user("export needs -o FILE.safetensors");
  }
  if (!line.has("--force")) {
    DSC_RETURN_IF_FAILED(checkOverwritesOwnSafetensors(path));
  }
  Ranks alone;
  Result<std::unique_ptr<Session>> session = openSession(executable, line, alone);
  DSC_RETURN_IF_FAILED(session.status());
  DSC_RETURN_IF_FAILED(saveWeights(**session, path, 0));
  std::printf("weights are in %s\n", printable(path).c_str());
  return {};
}
