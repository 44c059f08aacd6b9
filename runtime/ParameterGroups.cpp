// Parsing groups, and finding the one of each parameter.

#include "runtime/ParameterGroups.h"

#include "runtime/CommandLine.h"
#include "runtime/Manifest.h"
#include "runtime/Names.h"

#include <algorithm>
#include <regex.h>
#include <sstream>

using namespace dsc;

/// A compiled regular expression.
class ParameterGroups::Pattern {
public:
  static Result<std::shared_ptr<const Pattern>> compile(const std::string &text) {
    auto pattern = std::make_shared<Pattern>();
    int error = regcomp(&pattern->compiled, text.c_str(), REG_EXTENDED | REG_NOSUB);
    if (error != 0) {
      char message[256];
      regerror(error, &pattern->compiled, message, sizeof message);
      pattern->isCompiled = false;
      return Status::user("\"" + text + "\" is no regular expression: " + message);
    }
    return std::shared_ptr<const Pattern>(std::move(pattern));
  }
  Pattern() = default;
  Pattern(const Pattern &) = delete;
  Pattern &operator=(const Pattern &) = delete;
  ~Pattern() {
    if (isCompiled) {
      regfree(&compiled);
    }
  }

  bool matches(const std::string &name) const {
    return regexec(&compiled, name.c_str(), 0, nullptr, 0) == 0;
  }

private:
  regex_t compiled = {};
  bool isCompiled = true;
};

Result<ParameterGroups::Group> ParameterGroups::parseGroup(const std::string &text) {
  auto wrong = [&](const std::string &what) { return Status::user(text + ": " + what); };
  // An expression may hold colons; numbers do not.
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return wrong("is not REGEX:lr=..,weight-decay=..");
  }
  Group group;
  group.text = text;
  Result<std::shared_ptr<const Pattern>> pattern = Pattern::compile(text.substr(0, colon));
  if (pattern.failed()) {
    return pattern.status();
  }
  group.pattern = *pattern;
  std::istringstream items(text.substr(colon + 1));
  static const std::vector<std::string> names = {"lr", "weight-decay"};
  for (std::string item; std::getline(items, item, ',');) {
    const size_t equals = std::min(item.find('='), item.size());
    const std::string name = item.substr(0, equals);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return wrong("\"" + name + "\" is neither lr nor weight-decay" + nearestName(name, names));
    }
    std::optional<double> value =
        equals < item.size() ? parseNumber(item.substr(equals + 1)) : std::nullopt;
    if (!value || *value < 0) {
      return wrong(item + " is not " + name + "=NUMBER of at least 0");
    }
    std::optional<double> &field = name == "lr" ? group.lr : group.weightDecay;
    if (field) {
      return wrong(name + " is given twice");
    }
    field = value;
  }
  if (!group.lr && !group.weightDecay) {
    return wrong("gives neither lr nor weight-decay");
  }
  return group;
}

std::string ParameterGroups::checkGroup(const std::string &text) {
  return parseGroup(text).status().message();
}

std::string ParameterGroups::checkNoDecay(const std::string &text) {
  return parse({}, text).status().message();
}

Result<ParameterGroups> ParameterGroups::parse(const std::vector<std::string> &groups,
                                               const std::string &noDecay) {
  ParameterGroups result;
  for (const std::string &text : groups) {
    Result<Group> group = parseGroup(text);
    if (group.failed()) {
      return group.status().in("--group");
    }
    result.groups.push_back(std::move(*group));
  }
  result.noDecayText = noDecay;
  std::istringstream words(noDecay);
  bool isWords = !noDecay.empty();
  for (std::string word; std::getline(words, word, ',');) {
    result.noDecayNorm |= word == "norm";
    result.noDecayBias |= word == "bias";
    isWords &= word == "norm" || word == "bias";
  }
  if (!noDecay.empty() && !isWords) {
    Result<std::shared_ptr<const Pattern>> pattern = Pattern::compile(noDecay);
    if (pattern.failed()) {
      return pattern.status().in("--no-decay");
    }
    result.noDecay = *pattern;
    result.noDecayNorm = result.noDecayBias = false;
  }
  return result;
}

bool ParameterGroups::hasNoDecay(const UpdateSpec &update, const std::string &name) const {
  return noDecay ? noDecay->matches(name)
                 : (noDecayNorm && update.isNorm) || (noDecayBias && update.isBias);
}

Result<std::vector<ParameterGroups::Numbers>>
ParameterGroups::assign(const std::vector<UpdateSpec> &updates, Numbers others) const {
  std::vector<Numbers> assigned;
  std::vector<bool> matched(groups.size());
  bool anyNoDecay = false;
  for (const UpdateSpec &update : updates) {
    for (size_t i = 0; i < update.parameters.size(); ++i) {
      const std::string &name = update.parameters[i];
      Numbers numbers = others;
      if (hasNoDecay(update, name)) {
        anyNoDecay = true;
        numbers.weightDecay = 0;
      }
      bool isFound = false;
      for (size_t g = 0; g < groups.size(); ++g) {
        if (!groups[g].pattern->matches(name)) {
          continue;
        }
        matched[g] = true;
        if (!std::exchange(isFound, true)) {
          numbers.lr = groups[g].lr.value_or(numbers.lr);
          numbers.weightDecay = groups[g].weightDecay.value_or(numbers.weightDecay);
        }
      }
      if (i == 0) {
        assigned.push_back(numbers);
      } else if (const Numbers &first = assigned.back();
                 first.lr != numbers.lr || first.weightDecay != numbers.weightDecay) {
        return Status::user(format(
            "%s has lr %g and weight decay %g, and %s has %g and %g, but the program updates both "
            "as one (their products were merged): give them one group, or compile with "
            "--disable=dsc-merge-products",
            update.parameters[0].c_str(), first.lr, first.weightDecay, name.c_str(), numbers.lr,
            numbers.weightDecay));
      }
    }
  }
  auto unmatched = [&](const std::string &flag, const std::string &text) {
    std::vector<std::string> names;
    for (const UpdateSpec &update : updates) {
      names.insert(names.end(), update.parameters.begin(), update.parameters.end());
    }
    const size_t count = names.size();
    names.resize(std::min<size_t>(count, 4));
    return Status::user(format("%s %s: matches none of the %zu trained parameters (%s%s)",
                               flag.c_str(), text.c_str(), count, listed(names, "and").c_str(),
                               count > names.size() ? ", .." : ""));
  };
  for (size_t g = 0; g < groups.size(); ++g) {
    if (!matched[g]) {
      return unmatched("--group", groups[g].text);
    }
  }
  if (noDecay && !anyNoDecay) {
    return unmatched("--no-decay", noDecayText);
  }
  return assigned;
}

std::string ParameterGroups::text() const {
  std::string text = noDecayText.empty() ? "" : "--no-decay=" + noDecayText + "\n";
  for (const Group &group : groups) {
    text += "--group=" + group.text + "\n";
  }
  return text.empty() ? text : text.substr(0, text.size() - 1);
}
