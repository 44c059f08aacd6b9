// Reads DeepSpeed's ds_config.json into the flags that mean the same. What becomes of each key is
// the table of DsConfigKeys.h; here are the values, the batch triple, and what depends on others.

#ifndef DSC_TOOLS_DSC_DSCONFIG_H
#define DSC_TOOLS_DSC_DSCONFIG_H

#include "runtime/Status.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dsc {

/// What the command line says beside the file.
struct ConfigContext {
  std::string compat = "0.19"; ///< whose defaults absent keys have; or 0.16
  int64_t ranks = 1;
  std::vector<std::string> ignored; ///< keys that may be refused
  std::vector<std::string> given;   ///< flags of the command line, which win
  int64_t accumulate = 1;           ///< of --accumulate, where that is given; 0: any
};

/// A flag that a key of the file stands for.
struct ConfigFlag {
  std::string key, name, value;
};

struct DsConfig {
  std::vector<ConfigFlag> flags;
  /// Key and effective value, with where it is from; in the order of the table.
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<std::string> notes;
  int64_t microBatch = 0; ///< 0: the model's
  int64_t trainBatch = 0; ///< samples of a step on all ranks; 0: any number

  /// `settings` as one JSON object.
  std::string text() const;
};

/// Errors: `text` is no JSON (comments and trailing commas are allowed, as in Hjson), has a key
/// twice, unknown keys, refused ones or values of a wrong type (all of these at once), or a batch
/// that cannot be solved for the ranks.
Result<DsConfig> readDsConfig(const std::string &text, const ConfigContext &context);

/// The rows of DsConfig::text(): what compiling prints.
std::vector<std::pair<std::string, std::string>> configSettings(const std::string &text);

} // namespace dsc

#endif // DSC_TOOLS_DSC_DSCONFIG_H
