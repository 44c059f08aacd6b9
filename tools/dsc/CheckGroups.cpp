// Applies the runtime's rule to the manifest.

#include "tools/dsc/CheckGroups.h"

#include "runtime/Manifest.h"
#include "runtime/ParameterGroups.h"

using namespace dsc;

std::string dsc::checkGroups(std::string_view text) {
  Result<Manifest> manifest = readManifest(text);
  if (manifest.failed()) {
    return manifest.status().message();
  }
  Result<ParameterGroups> groups = ParameterGroups::parse(manifest->groups, manifest->noDecay);
  return groups.failed() ? groups.status().message()
                         : groups->assign(manifest->updates, {}).status().message();
}
