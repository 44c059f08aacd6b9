// The learning rate over a run. The vectors are what DeepSpeed 0.19's lr_schedules.py gives, update
// by update.

#include "runtime/Schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace dsc;
using testing::HasSubstr;

/// The rates of updates 0, 1, .. are `expected`, up to the digits that they are written with.
static void expectRates(const std::string &text, double base, const std::vector<double> &expected) {
  Result<Schedule> schedule = Schedule::parse(text);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(schedule->rate(base, static_cast<int64_t>(i) + 1, 1000), expected[i], 5e-7)
        << text << ", update " << i;
  }
}

TEST(Schedule, WarmupLR) {
  expectRates("WarmupLR,warmup_max_lr=1,warmup_num_steps=4", 7, {0, 0, 0.5, 0.792481, 1, 1});
  expectRates("WarmupLR,warmup_max_lr=1,warmup_num_steps=4,warmup_type=linear", 7,
              {0, 0, 0.25, 0.5, 0.75, 1});
  // Without a maximum it is the optimizer's rate; fewer than two steps are two.
  expectRates("WarmupLR,warmup_num_steps=0,warmup_min_lr=0.1", 0.5, {0.1, 0.1, 0.5, 0.5});
}

TEST(Schedule, WarmupDecayLR) {
  std::vector<double> expected = {0,        0,        0.25, 0.5,      0.75,     1,
                                  0.833333, 0.666667, 0.5,  0.333333, 0.166667, 0};
  expectRates("WarmupDecayLR,total_num_steps=10,warmup_max_lr=1,warmup_num_steps=4,"
              "warmup_type=linear",
              7, expected);
  expectRates("WarmupDecayLR,total_num_steps=0.01,warmup_max_lr=1,warmup_num_steps=0.004,"
              "warmup_type=linear",
              7, expected);
}

TEST(Schedule, WarmupCosineLR) {
  expectRates(
      "WarmupCosineLR,total_num_steps=10,warmup_num_steps=4,warmup_type=linear", 1,
      {0, 0, 0.25, 0.5, 0.75, 0.933019, 0.750025, 0.50005, 0.250075, 0.0670806, 0.0001, 0.0001});
}

TEST(Schedule, OneCycle) {
  const std::string text = "OneCycle,cycle_min_lr=0.1,cycle_max_lr=1,cycle_first_step_size=3,"
                           "decay_step_size=2,decay_lr_rate=0.5";
  expectRates(text, 7, {0.1, 0.4, 0.7, 1, 0.7, 0.4, 0.1, 0.08, 0.0666667, 0.0571429});
  Schedule schedule = *Schedule::parse(text);
  const double betas[] = {0.8, 0.9 - 0.1 / 3, 0.9 - 0.2 / 3, 0.8, 0.9 - 0.2 / 3};
  for (int64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(schedule.betas(i + 1, 1000));
    EXPECT_NEAR(schedule.betas(i + 1, 1000)->first, betas[i], 1e-12) << "update " << i;
    EXPECT_EQ(schedule.betas(i + 1, 1000)->second, 0.99);
  }
  EXPECT_FALSE(Schedule::parse(text + ",cycle_momentum=false")->betas(1, 1000));
  EXPECT_FALSE(Schedule::parse("constant")->betas(1, 1000));
}

TEST(Schedule, LRRangeTest) {
  const std::string text = "LRRangeTest,lr_range_test_min_lr=1,lr_range_test_step_size=4";
  expectRates(text, 7, {1, 1.25, 1.5, 1.75, 2});
  expectRates(text + ",lr_range_test_staircase=true", 7, {1, 1, 1, 1, 2, 2, 2, 2, 3});
}

TEST(Schedule, PlainOnesAreFactorsOfTheRate) {
  Schedule linear = *Schedule::parse("linear,warmup=0.2");
  EXPECT_DOUBLE_EQ(linear.rate(0.1, 1, 10), 0.05);
  EXPECT_DOUBLE_EQ(linear.rate(0.1, 6, 10), 0.05);
  EXPECT_DOUBLE_EQ(linear.rate(0.1, 10, 10), 0);
  Schedule cosine = *Schedule::parse("cosine,total=4,end=0.5");
  EXPECT_NEAR(cosine.rate(2, 2, 10), 1.5, 1e-12);
  EXPECT_NEAR(cosine.rate(2, 9, 10), 1, 1e-12);
  EXPECT_EQ(Schedule::parse("constant")->rate(0.25, 9, 10), 0.25);
}

/// The formula that runtime/abi.h states of the table, for the update behind k others.
static std::array<double, 3> evaluate(const Schedule::Table &table, double k, double base,
                                      double beta1, double beta2) {
  std::array<double, 3> result = {0, beta1, beta2};
  double rate = 0, factor = 1;
  for (size_t piece = 0; piece < DSC_SCHEDULE_PIECES; ++piece) {
    auto row = [&](dsc_schedule_row which) { return table[which * DSC_SCHEDULE_PIECES + piece]; };
    if (k < row(DSC_SCHEDULE_BEGIN) || k >= row(DSC_SCHEDULE_END)) {
      continue;
    }
    double t = (k - row(DSC_SCHEDULE_ORIGIN)) / row(DSC_SCHEDULE_WIDTH);
    const double stairs = row(DSC_SCHEDULE_STAIRS), curve = row(DSC_SCHEDULE_CURVE);
    t = stairs > 0 ? std::floor(t * stairs) / stairs : t;
    t = std::min(std::max(t, 0.0), row(DSC_SCHEDULE_LIMIT));
    const double share = curve == DSC_CURVE_COSINE    ? (1 + std::cos(M_PI * t)) / 2
                         : curve == DSC_CURVE_LOG     ? std::log(1 + t)
                         : curve == DSC_CURVE_INVERSE ? 1 / (1 + t)
                                                      : t;
    rate += row(DSC_SCHEDULE_RATE) + row(DSC_SCHEDULE_RATE_SPAN) * share;
    factor += row(DSC_SCHEDULE_FACTOR) + row(DSC_SCHEDULE_FACTOR_SPAN) * share;
    result[1] += row(DSC_SCHEDULE_BETA1) + row(DSC_SCHEDULE_BETA1_SPAN) * share;
    result[2] += row(DSC_SCHEDULE_BETA2);
  }
  result[0] = rate + factor * base;
  return result;
}

TEST(Schedule, TheTableIsTheSchedule) {
  for (const char *text :
       {"constant", "constant,warmup=5", "linear,warmup=0.1,end=0.25", "linear,total=20",
        "cosine,warmup=10,total=80,end=0.125", "cosine,warmup=50,total=40", "WarmupLR",
        "WarmupLR,warmup_max_lr=1,warmup_num_steps=4,warmup_type=linear",
        "WarmupDecayLR,warmup_num_steps=7,warmup_min_lr=0.01", "WarmupCosineLR,warmup_num_steps=9",
        "OneCycle,cycle_min_lr=0.1,cycle_max_lr=1,cycle_first_step_size=13,decay_lr_rate=0.5,"
        "decay_step_size=3,cycle_first_stair_count=4",
        "OneCycle,cycle_min_lr=0.1,cycle_max_lr=1,cycle_first_step_size=13,"
        "cycle_second_step_size=7,cycle_momentum=false",
        "LRRangeTest,lr_range_test_step_size=6,lr_range_test_staircase=true"}) {
    Schedule schedule = *Schedule::parse(text);
    const Schedule::Table table = schedule.table(100, 0.9, 0.999);
    for (int64_t step = 1; step <= 130; ++step) {
      const auto told = evaluate(table, static_cast<double>(step - 1), 0.3, 0.9, 0.999);
      EXPECT_NEAR(told[0], schedule.rate(0.3, step, 100), 1e-14) << text << ", step " << step;
      auto betas = schedule.betas(step, 100).value_or(std::pair{0.9, 0.999});
      EXPECT_NEAR(told[1], betas.first, 1e-14) << text << ", step " << step;
      EXPECT_NEAR(told[2], betas.second, 1e-14) << text << ", step " << step;
    }
  }
  // A table that nobody has filled is the constant schedule.
  EXPECT_EQ(evaluate({}, 7, 0.3, 0.9, 0.999), (std::array<double, 3>{0.3, 0.9, 0.999}));
}

TEST(Schedule, ErrorsNameTheKeyAndTheNearestOne) {
  for (auto [text, message] :
       {std::pair{"WarmupLr", "did you mean WarmupLR?"},
        {"WarmupLR,warmup_steps=3", "\"warmup_steps\" is not one of its keys: warmup_min_lr, "},
        {"WarmupLR,warmup_num_step=3", "did you mean warmup_num_steps?"},
        {"WarmupLR,warmup_type=cubic", "warmup_type=cubic: is neither log nor linear"},
        {"WarmupLR,warmup_num_steps=1.5", "neither steps nor a fraction"},
        {"LRRangeTest,lr_range_test_staircase=1", "is neither true nor false"},
        {"LRRangeTest,lr_range_test_step_size=0", "lr_range_test_step_size is 0"},
        {"OneCycle,cycle_min_lr=1", "needs cycle_max_lr=NUMBER"},
        {"OneCycle,cycle_min_lr=1,cycle_max_lr=2,decay_mom_rate=1", "beta1 grow past 1"},
        {"linear,warmup=1,warmup=2", "\"warmup\" is given twice"}}) {
    Result<Schedule> schedule = Schedule::parse(text);
    ASSERT_TRUE(schedule.failed()) << text;
    EXPECT_THAT(schedule.status().message(), HasSubstr(message));
  }
}
