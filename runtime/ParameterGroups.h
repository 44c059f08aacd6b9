// Parameter groups: which parameters have a learning rate or a weight decay of their own.
// --group REGEX:lr=..,weight-decay=.. (the first that matches a parameter's name counts) and
// --no-decay REGEX or norm,bias. Regular expressions are POSIX extended ones and match anywhere in
// the name, as those of --train and --freeze do.

#ifndef DSC_RUNTIME_PARAMETERGROUPS_H
#define DSC_RUNTIME_PARAMETERGROUPS_H

#include "runtime/Status.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dsc {

struct UpdateSpec; // runtime/Manifest.h

class ParameterGroups {
public:
  /// `groups` are values of --group in their order, `noDecay` that of --no-decay or empty.
  static Result<ParameterGroups> parse(const std::vector<std::string> &groups,
                                       const std::string &noDecay);

  /// What is wrong with one value of --group, or with one of --no-decay; empty: nothing.
  static std::string checkGroup(const std::string &text);
  static std::string checkNoDecay(const std::string &text);

  struct Numbers {
    double lr = 0, weightDecay = 0;
  };
  /// The numbers of each of `updates`, from those of parameters in no group. Errors: a regular
  /// expression matches no parameter; parameters that are updated as one are in different groups.
  Result<std::vector<Numbers>> assign(const std::vector<UpdateSpec> &updates, Numbers others) const;

  bool empty() const { return groups.empty() && noDecayText.empty(); }
  /// The flags as they would be written, one a line, for the log and the comparison of ranks.
  std::string text() const;

private:
  class Pattern;
  struct Group {
    std::string text;
    std::shared_ptr<const Pattern> pattern;
    std::optional<double> lr, weightDecay;
  };
  std::vector<Group> groups;
  std::string noDecayText;
  std::shared_ptr<const Pattern> noDecay; ///< null: by what a parameter is
  bool noDecayNorm = false, noDecayBias = false;

  static Result<Group> parseGroup(const std::string &text);
  bool hasNoDecay(const UpdateSpec &update, const std::string &name) const;
};

} // namespace dsc

#endif // DSC_RUNTIME_PARAMETERGROUPS_H
