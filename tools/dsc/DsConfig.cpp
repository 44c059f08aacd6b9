// ds_config.json to flags. The rules are those of DeepSpeed's runtime/config.py: the batch triple
// with its integer divisions, "Adam" that means AdamW, one precision at a time.

#include "tools/dsc/DsConfig.h"

#include "runtime/Json.h"
#include "runtime/Names.h"
#include "runtime/Schedule.h"
#include "tools/dsc/DsConfigKeys.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

using namespace dsc;

/// Blanks what Hjson allows and JSON does not, so that positions stay: comments, and commas before
/// a closing bracket.
static std::string withoutComments(std::string text) {
  size_t comma = std::string::npos; // the last one with nothing but blanks behind it
  for (size_t i = 0; i < text.size(); ++i) {
    const bool isBlock = text.compare(i, 2, "/*") == 0;
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        i += text[i] == '\\';
      }
      comma = std::string::npos;
    } else if (isBlock || text[i] == '#' || text.compare(i, 2, "//") == 0) {
      size_t end = isBlock ? text.find("*/", i + 2) : text.find('\n', i);
      if (isBlock && end == std::string::npos) {
        return text; // what is wrong is said where it stands
      }
      end = isBlock ? end + 2 : std::min(end, text.size());
      for (; i < end; ++i) {
        text[i] = text[i] == '\n' ? '\n' : ' ';
      }
      --i;
    } else if (text[i] == ',') {
      comma = i;
    } else if ((text[i] == '}' || text[i] == ']') && comma != std::string::npos) {
      text[comma] = ' ';
      comma = std::string::npos;
    } else if (!std::isspace(static_cast<unsigned char>(text[i]))) {
      comma = std::string::npos;
    }
  }
  return text;
}

/// "line 3, column 7: not JSON" for the parser's message with a byte.
static std::string withLine(const std::string &message, const std::string &text) {
  size_t byte = 0;
  if (std::sscanf(message.c_str(), "not JSON at byte %zu", &byte) != 1) {
    return message;
  }
  auto end = text.begin() + static_cast<ptrdiff_t>(std::min(byte, text.size()));
  auto line = std::count(text.begin(), end, '\n') + 1;
  auto begin = std::find(std::make_reverse_iterator(end), text.rend(), '\n').base();
  return format("line %lld, column %lld: not JSON", static_cast<long long>(line),
                static_cast<long long>(end - begin));
}

static bool hasType(const Json &value, ConfigType type) {
  switch (type) {
  case ConfigType::Number:
    return value.is_number();
  case ConfigType::Integer:
    // 5e8 is the habit.
    return value.is_number_integer() ||
           (value.is_number_float() && std::fabs(value.get<double>()) < 0x1p62 &&
            value.get<double>() == std::floor(value.get<double>()));
  case ConfigType::Boolean:
    return value.is_boolean();
  case ConfigType::Text:
    return value.is_string();
  case ConfigType::Object:
    return value.is_object();
  case ConfigType::Array:
    return value.is_array();
  case ConfigType::Any:
    return true;
  }
  return true;
}

static std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

namespace {
class Reader {
public:
  explicit Reader(const ConfigContext &context) : context(context) {}

  Result<DsConfig> read(const Json &root) {
    walk(root, "");
    for (const std::string &key : context.ignored) {
      bool isThere = std::any_of(ignoredKeys.begin(), ignoredKeys.end(),
                                 [&](const std::string &path) { return covers(key, path); });
      if (!isThere) {
        problem(key, "is named by --config-ignore, and is no key of the file that is refused or "
                     "unknown");
      }
    }
    if (problems.empty()) {
      batch();
      clipping();
      precision();
      optimizer();
      schedule();
      if (values.count("zero_optimization.stage")) {
        flag("zero_optimization.stage", "zero", number("zero_optimization.stage"));
      }
    }
    if (!problems.empty()) {
      return Status::user(problems);
    }
    for (const std::string &key : ignoredKeys) {
      config.settings.emplace_back(key, "ignored by --config-ignore");
    }
    return std::move(config);
  }

private:
  const ConfigContext &context;
  DsConfig config;
  std::map<std::string, Json> values; // by canonical path; without "auto" and null
  std::set<std::string> automatic;    // paths whose value is "auto"
  std::vector<std::string> ignoredKeys;
  std::string problems;

  void problem(const std::string &key, const std::string &what) {
    problems += (problems.empty() ? "" : "\n  ") + key + " " + what;
  }

  static bool covers(const std::string &key, const std::string &path) {
    return path == key || (path.size() > key.size() && path.compare(0, key.size(), key) == 0 &&
                           path[key.size()] == '.');
  }

  /// Whether --config-ignore lets `path` pass; notes it.
  bool isIgnored(const std::string &path) {
    bool ignored = std::any_of(context.ignored.begin(), context.ignored.end(),
                               [&](const std::string &key) { return covers(key, path); });
    if (ignored) {
      ignoredKeys.push_back(path);
    }
    return ignored;
  }

  void walk(const Json &object, const std::string &parent) {
    for (const auto &[name, value] : object.items()) {
      const std::string given = parent.empty() ? name : parent + "." + name;
      const std::string path = canonicalConfigPath(given);
      const bool isPlain = name.find_first_of(".*") == std::string::npos;
      const ConfigKey *key = isPlain ? findConfigKey(path) : nullptr;
      if (!key) {
        if (!isIgnored(given)) {
          problem(given, "is not a key of ds_config.json" +
                             nearestName(name, configKeysBelow(canonicalConfigPath(parent))));
        }
        continue;
      }
      if (path == "zero_optimization" && value.is_boolean()) { // the old form
        values["zero_optimization.stage"] = value.get<bool>() ? 1 : 0;
        continue;
      }
      take(path, *key, value);
    }
  }

  void take(const std::string &path, const ConfigKey &key, const Json &value) {
    if (value.is_null()) {
      return;
    }
    if (value.is_string() && value.get<std::string>() == "auto") {
      automatic.insert(path);
      return;
    }
    const bool isStarred = std::string(key.path).back() == '*';
    if (!hasType(value, key.type)) {
      problem(path, "is " + jsonText(value) + ", expected " + configTypeName(key.type));
      return;
    }
    if (key.type == ConfigType::Object) {
      walk(value, path);
      return;
    }
    const std::string absent = key.absent;
    const bool isDefault = !absent.empty() && *parseJson(absent) == value;
    if (key.verdict == ConfigVerdict::Refused && !isDefault) {
      if (!isIgnored(path)) {
        problem(path, "is " + jsonText(value) + ": " + key.effect + " (--config-ignore " + path +
                          " lets it pass without effect)");
      }
      return;
    }
    if (key.verdict == ConfigVerdict::Noted && !isDefault && !isStarred) {
      config.notes.push_back(path + " = " + jsonText(value) + " has no effect: " + key.effect);
    }
    if (key.verdict == ConfigVerdict::Mapped) {
      values[path] = value;
    }
  }

  bool has(const std::string &path) const { return values.count(path) != 0; }
  bool isGiven(const std::string &flag) const {
    return std::find(context.given.begin(), context.given.end(), flag) != context.given.end();
  }
  bool isTrue(const std::string &path, bool absent = false) const {
    auto found = values.find(path);
    return found == values.end() ? absent : found->second.get<bool>();
  }

  /// The value as a flag takes it; the table's default where the file has none.
  std::string number(const std::string &path) const {
    auto found = values.find(path);
    if (found == values.end()) {
      return findConfigKey(path)->absent;
    }
    const Json &value = found->second;
    return findConfigKey(path)->type == ConfigType::Integer && value.is_number_float()
               ? std::to_string(static_cast<int64_t>(value.get<double>()))
               : jsonText(value);
  }

  std::string source(const std::string &path) const {
    return has(path)               ? ""
           : automatic.count(path) ? " (auto)"
                                   : " (DeepSpeed " + context.compat + "'s default)";
  }

  void setting(const std::string &key, const std::string &value) {
    config.settings.emplace_back(key, value);
  }

  /// Maps `key` to a flag, unless the command line has that one.
  void flag(const std::string &key, const std::string &name, const std::string &value,
            const std::string &from) {
    if (isGiven(name)) {
      config.notes.push_back(key + " = " + value + from + " is overridden by --" + name);
      setting(key, value + from + ", overridden by --" + name);
      return;
    }
    config.flags.push_back({key, name, value});
    setting(key, value + from);
  }
  void flag(const std::string &key, const std::string &name, const std::string &value) {
    flag(key, name, value, source(key));
  }

  // The batch triple.

  static constexpr const char *train = "train_batch_size";
  static constexpr const char *micro = "train_micro_batch_size_per_gpu";
  static constexpr const char *accumulation = "gradient_accumulation_steps";

  /// The value of a batch key; 0 where it is not given.
  int64_t size(const char *key) {
    if (!has(key)) {
      return 0;
    }
    const Json &value = values[key];
    auto count =
        value.is_number_float() ? static_cast<int64_t>(value.get<double>()) : value.get<int64_t>();
    if (count < 1 || count > int64_t(1) << 40) {
      problem(key, "is " + jsonText(value) + ", expected 1 or more");
      return 0;
    }
    return count;
  }

  void batch() {
    const int64_t ranks = context.ranks;
    int64_t samples = size(train), part = size(micro), parts = size(accumulation);
    if (!problems.empty()) {
      return;
    }
    std::string partsFrom = parts ? "" : " (solved)";
    if (isGiven("accumulate") && context.accumulate > 0) {
      if (parts && parts != context.accumulate) {
        config.notes.push_back(
            std::string(accumulation) + " = " + std::to_string(parts) +
            " is overridden by --accumulate=" + std::to_string(context.accumulate));
      }
      parts = context.accumulate;
      partsFrom = " (--accumulate)";
    }
    if (!samples && !part) {
      if (!automatic.count(train) && !automatic.count(micro)) {
        problem(train, "and " + std::string(micro) +
                           " are not given: give one of them, or \"auto\" for the model's own "
                           "batch dimension");
        return;
      }
      setting(micro, "the model's batch dimension (auto)");
      finishParts(parts ? parts : 1, partsFrom);
      return;
    }
    const int64_t givenSamples = samples, givenPart = part, givenParts = parts;
    if (samples && part && !parts) {
      parts = samples / part / ranks;
    } else if (samples && !part) {
      parts = parts ? parts : 1;
      part = samples / ranks / parts;
    } else {
      parts = parts ? parts : 1;
      samples = samples ? samples : part * parts * ranks;
    }
    if (parts < 1 || part < 1 || samples != part * parts * ranks) {
      inconsistent(givenSamples, givenPart, givenParts, parts);
      return;
    }
    config.microBatch = part;
    config.trainBatch = samples;
    setting(train, std::to_string(samples) + (givenSamples ? "" : " (solved)"));
    setting(micro, std::to_string(part) + (givenPart ? "" : " (solved)"));
    finishParts(parts, partsFrom);
  }

  void finishParts(int64_t parts, const std::string &from) {
    setting(accumulation, std::to_string(parts) + from);
    if (!isGiven("accumulate")) {
      config.flags.push_back({accumulation, "accumulate", std::to_string(parts)});
    }
  }

  /// The triple does not hold: says what was given, and each way to change one of the numbers.
  void inconsistent(int64_t samples, int64_t part, int64_t parts, int64_t solvedParts) {
    const int64_t ranks = context.ranks;
    auto wide = [](int64_t value) { return std::to_string(value); };
    std::string text = "is " + wide(samples) + ", which is not ";
    text += part ? "the micro-batch " + wide(part) : std::string("a micro-batch");
    text += " x " + (parts ? wide(parts) : std::string("a number")) + " micro-batches x " +
            wide(ranks) + (ranks == 1 ? " rank" : " ranks");
    std::vector<std::string> ways;
    const int64_t count = std::max<int64_t>(1, parts ? parts : solvedParts);
    const int64_t block = part ? part * (parts ? parts : 1) * ranks : count * ranks;
    const int64_t below = samples / block * block;
    for (int64_t near : {below, below + block}) {
      if (near > 0 && (near != below || !(part && parts))) {
        ways.push_back(std::string(train) + " " + wide(near));
      }
    }
    if (part && parts) {
      ways = {std::string(train) + " " + wide(block)};
      if (samples % (parts * ranks) == 0) {
        ways.push_back(std::string(micro) + " " + wide(samples / parts / ranks));
      }
    }
    if (part && samples % (part * ranks) == 0) {
      ways.push_back(std::string(accumulation) + " " + wide(samples / part / ranks));
    }
    const int64_t step = part ? part * (parts ? parts : 1) : count;
    if (samples % step == 0 && samples / step != ranks) {
      ways.push_back("--ranks " + wide(samples / step));
    }
    problem(train, text + "; consistent would be " + listed(ways, "or"));
  }

  void clipping() {
    const char *key = "gradient_clipping";
    bool isOld = !has(key) && context.compat == "0.16";
    flag(key, "clip", isOld ? "0.0" : number(key));
  }

  // Precision.

  void precision() {
    const bool half = isTrue("fp16.enabled"), brain = isTrue("bf16.enabled");
    if (half && brain) {
      problem("fp16.enabled", "and bf16.enabled are both true: enable one of them");
      return;
    }
    const std::string chosen = half ? "fp16" : brain ? "bf16" : "fp32";
    for (const char *key : {"data_types.grad_accum_dtype", "data_types.param_dtype"}) {
      const bool sums = std::string(key) == "data_types.grad_accum_dtype";
      const std::string wanted = sums ? "fp32" : chosen;
      if (has(key) && values[key].get<std::string>() != wanted) {
        problem(key, "is " + jsonText(values[key]) +
                         (sums ? ": gradients are accumulated in fp32; leave it out"
                               : ", and the configuration trains in " + chosen));
      }
    }
    for (const char *other : {"fp32", "tf32", "bf16", "fp16"}) {
      if (isGiven(other) && (half || brain)) {
        if (other != chosen) {
          config.notes.push_back(chosen + ".enabled is overridden by --" + other);
        }
        setting(chosen + ".enabled", std::string("overridden by --") + other);
        if (!half || std::string(other) != "fp16") {
          return;
        }
      }
    }
    if (!half && !brain) {
      return;
    }
    if (!isGiven(chosen)) {
      config.flags.push_back({chosen + ".enabled", chosen, ""});
      setting(chosen + ".enabled", "true");
    }
    if (brain) {
      if (context.compat == "0.19" && !has("data_types.grad_accum_dtype")) {
        config.notes.push_back("bf16: gradients are accumulated in fp32, as with DeepSpeed's "
                               "data_types.grad_accum_dtype = \"fp32\"");
      }
      return;
    }
    if (context.compat == "0.16") {
      config.notes.push_back("fp16: the dynamic loss scale grows as in DeepSpeed 0.19, one step "
                             "later than in 0.16");
    }
    for (const char *name : {"loss-scale", "initial-scale-power", "loss-scale-window", "hysteresis",
                             "min-loss-scale"}) {
      std::string key = std::string("fp16.") + name;
      std::replace(key.begin() + 5, key.end(), '-', '_');
      flag(key, name, number(key));
    }
    if (isTrue("fp16.consecutive_hysteresis")) {
      flag("fp16.consecutive_hysteresis", "consecutive-hysteresis", "");
    }
  }

  // Optimizer and schedule.

  void optimizer() {
    const std::string prefix = "optimizer.params.";
    if (!has("optimizer.type")) {
      for (const auto &[path, value] : values) {
        if (covers("optimizer", path)) {
          problem(path, "is given without optimizer.type: give that too");
        }
      }
      return;
    }
    // DeepSpeed compares names of its own without case, and takes others from torch.optim.
    static const std::map<std::string, std::vector<std::string>> known = {
        {"adam", {"lr", "betas", "eps", "weight_decay", "adam_w_mode"}},
        {"adamw", {"lr", "betas", "eps", "weight_decay", "adam_w_mode"}},
        {"sgd", {"lr", "momentum", "dampening", "weight_decay", "nesterov"}},
        {"lion", {"lr", "betas", "weight_decay"}},
        {"adagrad", {"lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"}},
        {"lamb", {"lr", "betas", "eps", "weight_decay", "max_coeff", "min_coeff"}},
    };
    const std::string type = values["optimizer.type"].get<std::string>(), kind = lower(type);
    auto found = known.find(kind);
    if (found == known.end()) {
      if (isGiven("optimizer")) {
        config.notes.push_back("optimizer.type = \"" + type +
                               "\" and its parameters are overridden by --optimizer");
        setting("optimizer.type", type + ", overridden by --optimizer");
      } else if (!isIgnored("optimizer.type")) {
        problem("optimizer.type",
                "is \"" + type +
                    "\", and dsc has Adam, AdamW, SGD, Lion, Adagrad and Lamb: choose one of them, "
                    "there or with --optimizer=adamw|adam|sgd|lion|adagrad|lamb");
      }
      return;
    }
    const std::vector<std::string> &keys = found->second;
    auto takes = [&](const char *key) {
      return std::find(keys.begin(), keys.end(), key) != keys.end();
    };
    for (const auto &[path, value] : values) {
      if (path.compare(0, prefix.size(), prefix) == 0 &&
          !takes(path.substr(prefix.size()).c_str())) {
        problem(path, "is no parameter of " + type + ", which takes " + listed(keys, "and"));
      }
    }
    if (!problems.empty()) {
      return;
    }
    // "AdamW" is decoupled whatever adam_w_mode says.
    const bool isPlain = kind == "adam" && !isTrue(prefix + "adam_w_mode", true);
    const std::string chosen = kind == "adam" && !isPlain ? "adamw" : kind;
    if (isGiven("optimizer")) {
      config.notes.push_back("optimizer.type = \"" + type +
                             "\" is overridden by --optimizer, and "
                             "its parameters but lr and weight_decay have no effect");
      setting("optimizer.type", type + ", overridden by --optimizer");
    } else {
      config.flags.push_back({"optimizer.type", "optimizer", chosen});
      setting("optimizer.type", type + " (--optimizer=" + chosen + ")");
    }
    // torch.optim.Adagrad has defaults of its own.
    auto own = [&](const char *key, const char *name, const char *ofAdagrad) {
      const bool isOther = kind == "adagrad" && !has(prefix + key);
      flag(prefix + key, name, isOther ? ofAdagrad : number(prefix + key));
    };
    own("lr", "lr", "0.01");
    flag(prefix + "weight_decay", "weight-decay", number(prefix + "weight_decay"));
    if (isGiven("optimizer")) {
      return;
    }
    if (takes("eps")) {
      own("eps", "eps", "1e-10");
    }
    if (takes("betas")) {
      betas(prefix + "betas");
    }
    for (auto [key, name] : {std::pair{"momentum", "momentum"},
                             {"dampening", "dampening"},
                             {"lr_decay", "lr-decay"},
                             {"initial_accumulator_value", "initial-accumulator"},
                             {"max_coeff", "max-coeff"},
                             {"min_coeff", "min-coeff"}}) {
      if (takes(key)) {
        flag(prefix + key, name, number(prefix + key));
      }
    }
    if (isTrue(prefix + "nesterov")) {
      flag(prefix + "nesterov", "nesterov", "");
    }
  }

  void betas(const std::string &key) {
    Json pair = has(key) ? values[key] : Json::array({0.9, 0.999});
    if (pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number()) {
      problem(key, "is " + jsonText(pair) + ", expected two numbers");
      return;
    }
    for (size_t i = 0; i < 2; ++i) {
      flag(key + "[" + std::to_string(i) + "]", i ? "beta2" : "beta1", jsonText(pair[i]),
           source(key));
    }
  }

  void schedule() {
    const std::string prefix = "scheduler.params.";
    if (!has("scheduler.type")) {
      for (const auto &[path, value] : values) {
        if (covers("scheduler", path)) {
          problem(path, "is given without scheduler.type: give that too");
        }
      }
      return;
    }
    const std::string type = values["scheduler.type"].get<std::string>();
    static const std::vector<std::string> names = {"WarmupLR", "WarmupDecayLR", "WarmupCosineLR",
                                                   "OneCycle", "LRRangeTest"};
    if (std::find(names.begin(), names.end(), type) == names.end()) {
      if (isGiven("schedule")) {
        config.notes.push_back("scheduler.type = \"" + type + "\" is overridden by --schedule");
      } else if (!isIgnored("scheduler.type")) {
        problem("scheduler.type", "is \"" + type + "\", expected " + listed(names, "or") +
                                      nearestName(type, names) + " (or give --schedule)");
      }
      return;
    }
    std::string text = type;
    for (const auto &[path, value] : values) {
      if (path.compare(0, prefix.size(), prefix) != 0) {
        continue;
      }
      const std::string name = path.substr(prefix.size());
      if (name == "last_batch_iteration") {
        if (value != -1) {
          problem(path, "is " + jsonText(value) +
                            ": the first step of a run is step 1; leave it "
                            "-1");
        }
        continue;
      }
      if (context.compat == "0.16" && name.find("stair_count") != std::string::npos) {
        config.notes.push_back(path + " has no effect: DeepSpeed 0.16 ignores it");
        continue;
      }
      if (!value.is_primitive()) {
        problem(path, "is " + jsonText(value) + ", expected one value for all parameters");
        continue;
      }
      text += "," + name + "=" + (value.is_string() ? value.get<std::string>() : jsonText(value));
    }
    if (context.compat == "0.16" && type == "WarmupLR" && !has(prefix + "warmup_max_lr")) {
      text += ",warmup_max_lr=0.001";
    }
    if (!problems.empty()) {
      return;
    }
    if (Status status = Schedule::parse(text).status(); status.failed()) {
      problem("scheduler.params:", status.message());
      return;
    }
    flag("scheduler", "schedule", text, "");
  }
};
} // namespace

std::string DsConfig::text() const {
  Json object = Json::object();
  for (const auto &[key, value] : settings) {
    object[key] = value;
  }
  return jsonText(object);
}

std::vector<std::pair<std::string, std::string>> dsc::configSettings(const std::string &text) {
  std::vector<std::pair<std::string, std::string>> rows;
  Result<Json> object = parseJson(text);
  if (object.ok() && object->is_object()) {
    for (const auto &[key, value] : object->items()) {
      rows.emplace_back(key, value.is_string() ? value.get<std::string>() : jsonText(value));
    }
  }
  return rows;
}

Result<DsConfig> dsc::readDsConfig(const std::string &text, const ConfigContext &context) {
  const std::string plain = withoutComments(text);
  Result<Json> root = parseJson(plain);
  if (root.failed()) {
    return Status::user(withLine(root.status().message(), plain));
  }
  if (!root->is_object()) {
    return Status::user("is " + jsonText(*root).substr(0, 40) + ", expected an object");
  }
  return Reader(context).read(*root);
}
