// What a run that continues may change.

#include "runtime/checkpoint/ResumeRules.h"

#include "runtime/Json.h"
#include "runtime/Names.h"
#include "runtime/checkpoint/WriteCheckpoint.h"

#include <algorithm>
#include <iterator>

using namespace dsc;

namespace {
/// What --allow-change can name: compile-time options that must be equal, or none where the name is
/// checked by code below.
struct Rule {
  const char *name;
  std::vector<const char *> options;
  /// What becomes of the run where it differs.
  const char *effect;
};
const std::vector<Rule> rules = {
    {"data", {}, "the stream of samples goes on at the same position in the other data"},
    {"seed", {}, "the order of samples and the masks of dropout become others"},
    {"order", {}, "samples come shuffled from here on, or no longer"},
    {"optimizer", {"optimizer"}, "state that the new optimizer lacks starts anew"},
    {"precision", {"precision"}, "the loss scale starts anew where there is one now"},
    {"loss",
     {"loss", "output", "loss_mean", "label_smoothing", "ignore_index", "shift_labels"},
     "the same weights are trained towards something else"},
    {"dropout", {"dropout"}, "the model trains with other randomness"},
    {"batch-norm", {"batch_norm"}, "statistics are taken from elsewhere"},
    {"trained", {}, "parameters that were frozen start without optimizer state"},
    {"state", {}, "state that is not in the checkpoint starts anew"},
};

/// Flags beside the table of run-time values that shape what a run computes.
constexpr const char *otherRunFlags[] = {"--no-shuffle", "--no-decay", "--group"};
} // namespace

/// Shortest text that reads back as `value`.
static std::string numberText(double value) {
  std::string text = jsonText(OrderedJson(value));
  const bool whole = text.size() > 2 && text.compare(text.size() - 2, 2, ".0") == 0;
  return whole ? text.substr(0, text.size() - 2) : text;
}

std::map<std::string, std::string>
dsc::runFlags(const Manifest &program, const RunTimeValues &values, const CommandLine &line) {
  std::map<std::string, std::string> flags;
  for (size_t i = 0; i < values.values().size(); ++i) {
    const std::string &flag = program.runTimeValues[i].flag;
    if (!flag.empty()) {
      std::string &text = flags[flag];
      text += (text.empty() ? "" : ",") + numberText(values.values()[i].second);
    }
  }
  flags["--seed"] = std::to_string(values.seed());
  flags["--accumulate"] = std::to_string(values.accumulate());
  flags["--schedule"] = values.schedule();
  for (const char *flag : otherRunFlags) {
    if (line.has(flag)) {
      flags[flag] = line.text(flag);
    }
  }
  return flags;
}

CommandLine dsc::withFlagsOf(const CheckpointManifest &checkpoint, const Manifest &program,
                             CommandLine line) {
  for (const auto &entry : checkpoint.flags) {
    const std::string &flag = entry.first, &text = entry.second;
    const auto &values = program.runTimeValues;
    const auto takes = std::count_if(values.begin(), values.end(),
                                     [&](const RunTimeValue &value) { return value.flag == flag; });
    const bool known = std::any_of(flagTable.begin(), flagTable.end(),
                                   [&](const FlagSpec &spec) { return spec.name == flag; });
    // Values of another optimizer do not fit.
    if (takes == std::count(text.begin(), text.end(), ',') + 1 || (takes == 0 && known)) {
      line.setAbsent(flag, text);
    }
  }
  return line;
}

Result<std::set<std::string>> dsc::allowedChanges(const CommandLine &line) {
  std::set<std::string> names;
  std::vector<std::string> known;
  for (const Rule &rule : rules) {
    known.push_back(rule.name);
  }
  const std::string text = line.text("--allow-change");
  for (size_t begin = 0, comma; !text.empty() && begin <= text.size(); begin = comma + 1) {
    comma = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, comma - begin);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string all;
      for (const std::string &each : known) {
        all += (all.empty() ? "" : ", ") + each;
      }
      return Status::user("--allow-change " + text + ": \"" + name + "\" is nothing that it knows" +
                          nearestName(name, known) + "; it takes " + all);
    }
    names.insert(name);
  }
  return names;
}

static std::string valueIn(const std::map<std::string, std::string> &map, const std::string &key) {
  auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

static std::string orNothing(const std::string &text) { return text.empty() ? "nothing" : text; }

static std::string listedNames(const char *title, const std::set<std::string> &names) {
  std::string text;
  size_t shown = 0;
  for (const std::string &name : names) {
    if (shown++ < 10) {
      text += (text.empty() ? "" : ", ") + name;
    }
  }
  return names.empty() ? ""
                       : format("\n  %s (%zu): ", title, names.size()) + text +
                             (names.size() > 10 ? ", .." : "");
}

/// Names of `a` that `b` lacks.
static std::set<std::string> without(const std::set<std::string> &a,
                                     const std::set<std::string> &b) {
  std::set<std::string> rest;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(rest, rest.begin()));
  return rest;
}

namespace {
/// The tensors of one side, by what they are; weights with type and shape.
struct Contents {
  std::set<std::string> weights, trained, state;
};
} // namespace

static Contents contentsOf(const CheckpointManifest &checkpoint) {
  Contents contents;
  for (const CheckpointTensor &tensor : checkpoint.tensors) {
    if (tensor.file == rankBuffersFile) {
      continue;
    }
    const std::string whole =
        tensor.name + " " + dtypeName(tensor.dtype) + " " + shapeText(tensor.shape);
    (tensor.role == "state" ? contents.state : contents.weights).insert(whole);
    if (tensor.role == "trained") {
      contents.trained.insert(tensor.name);
    }
  }
  return contents;
}

static Contents contentsOf(const Manifest &program) {
  Contents contents;
  for (const GlobalSpec &spec : program.globals) {
    const std::string name = savedName(program, spec);
    const std::string whole = name + " " + dtypeName(spec.dtype) + " " + shapeText(spec.shape);
    if (spec.isWeight()) {
      contents.weights.insert(whole);
    } else if (spec.isOptimizerState()) {
      contents.state.insert(whole);
    }
    if (spec.role == GlobalRole::Trained) {
      contents.trained.insert(name);
    }
  }
  return contents;
}

Result<ResumeChanges> dsc::checkResume(const std::string &path,
                                       const CheckpointManifest &checkpoint,
                                       const Continuation &run,
                                       const std::set<std::string> &allowed) {
  const Contents there = contentsOf(checkpoint), here = contentsOf(run.program);
  if (there.weights != here.weights) {
    return Status::user(
        path + ": is of another model than this program:" +
        listedNames("only in the program", without(here.weights, there.weights)) +
        listedNames("only in the checkpoint", without(there.weights, here.weights)) +
        "\nA run continues with the same parameters only; to start anew from its weights, give "
        "--weights PATH --partial instead of --resume.");
  }
  ResumeChanges changes;
  std::string refused, names;
  bool stateMayDiffer = false;
  auto compare = [&](const char *name, const std::string &what, const std::string &was,
                     const std::string &is) {
    if (was == is) {
      return;
    }
    const std::string text = what + " was " + orNothing(was) + " and is " + orNothing(is) + " now";
    if (allowed.count(name)) {
      changes.notes.push_back(text);
      return;
    }
    auto rule = std::find_if(rules.begin(), rules.end(),
                             [&](const Rule &each) { return each.name == std::string(name); });
    refused += "\n  " + text + " (" + rule->effect + ")";
    names +=
        names.find(name) == std::string::npos ? (names.empty() ? "" : ",") + std::string(name) : "";
  };
  compare("data", "the data", checkpoint.dataFingerprint, run.dataFingerprint);
  compare("seed", "--seed", valueIn(checkpoint.flags, "--seed"), valueIn(run.flags, "--seed"));
  auto order = [](const std::map<std::string, std::string> &flags) {
    return std::string(flags.count("--no-shuffle") ? "as in the data" : "shuffled");
  };
  compare("order", "the order of samples", order(checkpoint.flags), order(run.flags));
  for (const Rule &rule : rules) {
    for (const char *option : rule.options) {
      std::string is;
      for (const auto &[key, value] : run.program.options) {
        is = key == option ? value : is;
      }
      const std::string was = valueIn(checkpoint.options, option);
      compare(rule.name, std::string("the compile-time option ") + option, was, is);
      stateMayDiffer |= was != is;
    }
  }
  if (there.trained != here.trained) {
    stateMayDiffer = true;
    compare("trained", "the set of trained parameters",
            format("%zu", there.trained.size()) +
                listedNames("only then", without(there.trained, here.trained)),
            format("%zu", here.trained.size()) +
                listedNames("only now", without(here.trained, there.trained)));
  }
  if (there.state != here.state && !stateMayDiffer) {
    compare("state", "optimizer state",
            format("%zu tensors", there.state.size()) +
                listedNames("only then", without(there.state, here.state)),
            format("%zu tensors", here.state.size()) +
                listedNames("only now", without(here.state, there.state)));
  }
  if (!refused.empty()) {
    return Status::user(path + ": this run would not continue the one that was saved:" + refused +
                        "\nIf this is meant, give --allow-change=" + names);
  }
  changes.partialState = there.state != here.state;
  for (const auto &[flag, is] : run.flags) {
    const std::string was = valueIn(checkpoint.flags, flag);
    if (was != is && flag != "--seed" && flag != "--no-shuffle") {
      changes.notes.push_back(flag + " was " + orNothing(was) + " and is " + orNothing(is) +
                              " now");
    }
  }
  if (checkpoint.ranks != run.ranks) {
    changes.notes.push_back(format("the ranks were %lld and are %lld now",
                                   static_cast<long long>(checkpoint.ranks),
                                   static_cast<long long>(run.ranks)));
  }
  if (checkpoint.samplesPerStep != run.samplesPerStep) {
    changes.notes.push_back(format("a step had %lld samples and has %lld now (micro-batch x "
                                   "--accumulate x ranks)",
                                   static_cast<long long>(checkpoint.samplesPerStep),
                                   static_cast<long long>(run.samplesPerStep)));
  }
  return changes;
}
