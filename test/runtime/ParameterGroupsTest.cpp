// Which numbers --group and --no-decay give to which parameters.

#include "runtime/ParameterGroups.h"
#include "runtime/Manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace dsc;
using testing::HasSubstr;

/// A block of a transformer, with the projections of queries and keys stored as one.
static std::vector<UpdateSpec> updates() {
  std::vector<UpdateSpec> list(5);
  list[0].parameters = {"h.0.ln.weight"};
  list[0].isNorm = true;
  list[1].parameters = {"h.0.ln.bias"};
  list[1].isNorm = list[1].isBias = true;
  list[2].parameters = {"h.0.q.weight", "h.0.k.weight"};
  list[3].parameters = {"h.0.mlp.bias"};
  list[3].isBias = true;
  list[4].parameters = {"wte"};
  return list;
}

/// lr and weight decay of each, as "lr/decay".
static std::vector<std::string> assigned(const std::vector<std::string> &groups,
                                         const std::string &noDecay) {
  Result<ParameterGroups> parsed = ParameterGroups::parse(groups, noDecay);
  if (parsed.failed()) {
    return {parsed.status().message()};
  }
  Result<std::vector<ParameterGroups::Numbers>> numbers = parsed->assign(updates(), {1, 0.5});
  if (numbers.failed()) {
    return {numbers.status().message()};
  }
  std::vector<std::string> texts;
  for (const ParameterGroups::Numbers &each : *numbers) {
    texts.push_back(format("%g/%g", each.lr, each.weightDecay));
  }
  return texts;
}

using Texts = std::vector<std::string>;

TEST(ParameterGroups, WithoutFlagsAllHaveTheSameNumbers) {
  EXPECT_EQ(assigned({}, ""), Texts(5, "1/0.5"));
}

TEST(ParameterGroups, NoDecayByWhatAParameterIs) {
  EXPECT_EQ(assigned({}, "norm,bias"), (Texts{"1/0", "1/0", "1/0.5", "1/0", "1/0.5"}));
  EXPECT_EQ(assigned({}, "norm"), (Texts{"1/0", "1/0", "1/0.5", "1/0.5", "1/0.5"}));
  EXPECT_EQ(assigned({}, "bias"), (Texts{"1/0.5", "1/0", "1/0.5", "1/0", "1/0.5"}));
}

TEST(ParameterGroups, NoDecayByName) {
  EXPECT_EQ(assigned({}, "^wte$|ln"), (Texts{"1/0", "1/0", "1/0.5", "1/0.5", "1/0"}));
}

TEST(ParameterGroups, TheFirstGroupThatMatchesCounts) {
  EXPECT_EQ(assigned({"ln:lr=2", "weight:lr=3,weight-decay=4"}, "norm"),
            (Texts{"2/0", "2/0", "3/4", "1/0.5", "1/0.5"}));
  // A group's own decay wins over --no-decay.
  EXPECT_EQ(assigned({"ln[.]bias:weight-decay=0.25"}, "norm"),
            (Texts{"1/0", "1/0.25", "1/0.5", "1/0.5", "1/0.5"}));
}

TEST(ParameterGroups, ExpressionsMayHoldColons) {
  EXPECT_EQ(assigned({"h[.][[:digit:]][.]mlp:lr=0"}, ""),
            (Texts{"1/0.5", "1/0.5", "1/0.5", "0/0.5", "1/0.5"}));
}

TEST(ParameterGroups, ErrorsNameTheFlagAndWhatIsThere) {
  for (auto [group, message] :
       {std::pair{"ln", "--group: ln: is not REGEX:lr=..,weight-decay=.."},
        {":lr=1", "is not REGEX:lr=..,weight-decay=.."},
        {"ln:", "gives neither lr nor weight-decay"},
        {"ln:decay=1", "\"decay\" is neither lr nor weight-decay"},
        {"ln:lr", "lr is not lr=NUMBER of at least 0"},
        {"ln:lr=1e-3x", "is not lr=NUMBER of at least 0"},
        {"ln:lr=1,lr=2", "lr is given twice"},
        {"ln[:lr=1", "\"ln[\" is no regular expression"},
        {"gamma:lr=1", "--group gamma:lr=1: matches none of the 6 trained parameters "
                       "(h.0.ln.weight, h.0.ln.bias, h.0.q.weight and h.0.k.weight, ..)"},
        {"[.]q[.]:lr=2", "h.0.q.weight has lr 2 and weight decay 0.5, and h.0.k.weight has 1 and "
                         "0.5, but the program updates both as one"}}) {
    EXPECT_THAT(assigned({group}, "").front(), HasSubstr(message)) << group;
  }
  EXPECT_THAT(assigned({}, "gamma").front(), HasSubstr("--no-decay gamma: matches none"));
  EXPECT_THAT(assigned({}, "(").front(), HasSubstr("--no-decay: \"(\" is no regular expression"));
}
