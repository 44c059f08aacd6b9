// `dsc config`, which lists the keys of ds_config.json.

#ifndef DSC_TOOLS_DSC_CONFIG_H
#define DSC_TOOLS_DSC_CONFIG_H

#include "llvm/ADT/ArrayRef.h"

namespace dsc {

int configCommand(llvm::ArrayRef<const char *> arguments);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CONFIG_H
