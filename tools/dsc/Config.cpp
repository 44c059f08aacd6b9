// `dsc config`: what becomes of each key of ds_config.json, as text or as the table of
// docs/config-keys.md.

#include "tools/dsc/Config.h"

#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/DsConfigKeys.h"
#include "tools/dsc/Flags.h"

#include "llvm/Support/FormatVariadic.h"

using namespace dsc;

static const char *verdictName(ConfigVerdict verdict) {
  switch (verdict) {
  case ConfigVerdict::Mapped:
    return "mapped";
  case ConfigVerdict::Noted:
    return "no effect";
  case ConfigVerdict::Refused:
    return "refused";
  }
  return "";
}

int dsc::configCommand(llvm::ArrayRef<const char *> arguments) {
  bool markdown = false, help = false;
  FlagTable table;
  table.section("Output");
  table.boolean("markdown", markdown, "print the table of docs/config-keys.md");
  table.boolean("help", help, "this help");
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc config [--markdown]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && !operands.empty()) {
    wrong = "takes no operand, got '" + operands.front() + "'";
  }
  if (!wrong.empty()) {
    reportFault("dsc config", wrong);
    return kUserError;
  }
  if (markdown) {
    llvm::outs() << "| key | default | here | |\n|---|---|---|---|\n";
  }
  for (const ConfigKey &key : configKeys) {
    if (key.effect[0] == '\0') {
      continue; // a section
    }
    std::string absent = key.absent;
    if (markdown) {
      llvm::outs() << "| `" << key.path << "` | " << (absent.empty() ? "" : "`" + absent + "`")
                   << " | " << verdictName(key.verdict) << " | " << key.effect << " |\n";
    } else {
      llvm::outs() << llvm::formatv("{0,-58} {1,-10} {2}\n", key.path, verdictName(key.verdict),
                                    key.effect);
    }
  }
  return kDone;
}
