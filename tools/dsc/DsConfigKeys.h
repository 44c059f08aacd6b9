// The keys of DeepSpeed's ds_config.json, and what becomes of each: one table, from which the file
// is checked and docs/config-keys.md is written.

#ifndef DSC_TOOLS_DSC_DSCONFIGKEYS_H
#define DSC_TOOLS_DSC_DSCONFIGKEYS_H

#include <string>
#include <string_view>
#include <vector>

namespace dsc {

/// What becomes of a key.
enum class ConfigVerdict {
  Mapped,  ///< has the meaning that it has in DeepSpeed
  Noted,   ///< accepted without effect: the compiler decides it, or another flag does it
  Refused, ///< an error where its value asks for something else than the default
};

enum class ConfigType { Number, Integer, Boolean, Text, Object, Array, Any };

struct ConfigKey {
  /// "zero_optimization.stage"; "amp.*" stands for all keys below amp.
  const char *path;
  ConfigType type;
  /// DeepSpeed 0.19's default, as JSON; empty where there is none.
  const char *absent;
  ConfigVerdict verdict;
  /// What it does here; why it does nothing; or why it is refused, and the way out.
  const char *effect;
};

extern const std::vector<ConfigKey> configKeys;

/// DeepSpeed's other names of keys: old ones, and those without the prefix stage3_.
std::string canonicalConfigPath(const std::string &path);

/// The row of `path`, or the one with a star for it; null: DeepSpeed has no such key.
const ConfigKey *findConfigKey(const std::string &path);

/// The last names of the keys that stand directly below `parent` ("" for the top).
std::vector<std::string> configKeysBelow(const std::string &parent);

/// "a whole number"
const char *configTypeName(ConfigType type);

} // namespace dsc

#endif // DSC_TOOLS_DSC_DSCONFIGKEYS_H
