// What --ranks and launchers' variables mean.

#include "runtime/comm/RankLayout.h"

#include <gmock/gmock.h>

#include <map>

using namespace dsc;
using testing::HasSubstr;

namespace {
using Variables = std::map<std::string, std::string>;

Result<RankLayout> layoutOf(int64_t asked, const Variables &variables) {
  return rankLayout(asked, [&](const char *name) {
    auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

Variables with(Variables variables, const Variables &more) {
  for (const auto &[name, value] : more) {
    variables[name] = value;
  }
  return variables;
}

const Variables torchrun = {{"RANK", "5"},
                            {"WORLD_SIZE", "8"},
                            {"LOCAL_RANK", "1"},
                            {"LOCAL_WORLD_SIZE", "4"},
                            {"MASTER_ADDR", "node7"},
                            {"MASTER_PORT", "29500"}};
const Variables openMpi = {{"OMPI_COMM_WORLD_RANK", "1"},
                           {"OMPI_COMM_WORLD_SIZE", "2"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                           {"PMIX_NAMESPACE", "4711"}};
const Variables slurm = {{"SLURM_PROCID", "3"},
                         {"SLURM_STEP_NUM_TASKS", "6"},
                         {"SLURM_LOCALID", "1"},
                         {"SLURM_STEP_TASKS_PER_NODE", "2(x3)"},
                         {"SLURM_STEP_NODELIST", "gpu[003-004,9]"},
                         {"SLURM_JOB_ID", "99"}};
} // namespace

TEST(RankLayoutTest, WithoutVariablesThereIsOneRank) {
  for (const Variables &variables : {Variables(), Variables{{"WORLD_SIZE", "1"}, {"RANK", "0"}},
                                     // An allocation of SLURM is no step of several tasks.
                                     Variables{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}}) {
    Result<RankLayout> layout = layoutOf(0, variables);
    ASSERT_TRUE(layout.ok()) << layout.status().message();
    EXPECT_EQ(layout->ranks, 1);
    EXPECT_FALSE(layout->startsRanks);
    EXPECT_EQ(layout->summary(), "1 rank");
  }
}

TEST(RankLayoutTest, RanksAreStartedWhereTheyAreAskedFor) {
  Result<RankLayout> layout = layoutOf(4, {});
  ASSERT_TRUE(layout.ok());
  EXPECT_TRUE(layout->startsRanks);
  EXPECT_EQ(layout->summary(), "4 ranks from --ranks, 1 node");
  // One rank, whoever started it.
  layout = layoutOf(1, slurm);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->ranks, 1);
}

TEST(RankLayoutTest, ARankThatWasStartedStartsNone) {
  Result<RankLayout> layout =
      layoutOf(8, with(torchrun, {{"DSC_STARTED_BY", "--ranks"}, {"DSC_JOB", "here"}}));
  ASSERT_TRUE(layout.ok()) << layout.status().message();
  EXPECT_FALSE(layout->startsRanks);
  EXPECT_EQ(layout->source, "--ranks");
  EXPECT_EQ(layout->job, "here");
  EXPECT_EQ(layout->rank, 5);
}

TEST(RankLayoutTest, TorchrunSaysEverything) {
  Result<RankLayout> layout = layoutOf(0, torchrun);
  ASSERT_TRUE(layout.ok()) << layout.status().message();
  EXPECT_EQ(layout->summary(), "8 ranks from torchrun, 2 nodes");
  EXPECT_EQ(layout->rank, 5);
  EXPECT_EQ(layout->localRank, 1);
  EXPECT_EQ(layout->address, "node7");
  EXPECT_EQ(layout->port, 29500);
  // Its own store listens there.
  layout = layoutOf(0, with(torchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "True"}}));
  EXPECT_EQ(layout->port, 29501);
}

TEST(RankLayoutTest, OpenMpiOnOneMachineNeedsNoAddress) {
  Result<RankLayout> layout = layoutOf(0, openMpi);
  ASSERT_TRUE(layout.ok()) << layout.status().message();
  EXPECT_EQ(layout->summary(), "2 ranks from mpirun, 1 node");
  EXPECT_EQ(layout->address, "127.0.0.1");
  EXPECT_GE(layout->port, 20000);
  // Another job, another port; the same for all ranks of one.
  EXPECT_NE(layoutOf(0, with(openMpi, {{"PMIX_NAMESPACE", "4712"}}))->port, layout->port);
  EXPECT_EQ(layoutOf(0, with(openMpi, {{"OMPI_COMM_WORLD_RANK", "0"}}))->port, layout->port);
}

TEST(RankLayoutTest, SlurmNamesTheFirstNode) {
  Result<RankLayout> layout = layoutOf(0, slurm);
  ASSERT_TRUE(layout.ok()) << layout.status().message();
  EXPECT_EQ(layout->summary(), "6 ranks from srun, 3 nodes");
  EXPECT_EQ(layout->rank, 3);
  EXPECT_EQ(layout->localRank, 1);
  EXPECT_EQ(layout->address, "gpu003");
}

TEST(RankLayoutTest, FirstHostsOfLists) {
  EXPECT_EQ(firstHost("a"), "a");
  EXPECT_EQ(firstHost("a,b"), "a");
  EXPECT_EQ(firstHost("n[07-12]"), "n07");
  EXPECT_EQ(firstHost("n[3,5-6],m"), "n3");
}

TEST(RankLayoutTest, ErrorsNameTheVariableAndTheWayOut) {
  struct Case {
    int64_t asked;
    Variables variables;
    const char *message;
  };
  const Case cases[] = {
      {0, {{"WORLD_SIZE", "4"}}, "WORLD_SIZE=4 is set and RANK is not"},
      {0, {{"WORLD_SIZE", "4"}, {"RANK", "4"}}, "RANK=4: is not an integer from 0 to 3"},
      {0, {{"WORLD_SIZE", "many"}}, "WORLD_SIZE=many: is not an integer"},
      {0, {{"WORLD_SIZE", "2"}, {"RANK", "0"}}, "MASTER_PORT is not: set it to a port"},
      {0, with(torchrun, {{"MASTER_ADDR", ""}}), "MASTER_ADDR does not say which machine"},
      {0, with(openMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}}), "mpirun -x MASTER_ADDR=HOST"},
      {2, torchrun, "--ranks 2: torchrun already started 8 ranks"},
      {5000, {}, "--ranks 5000: is more than 4096"},
  };
  for (const Case &test : cases) {
    Result<RankLayout> layout = layoutOf(test.asked, test.variables);
    ASSERT_TRUE(layout.failed()) << test.message;
    EXPECT_EQ(layout.status().exitCode(), ExitCode::User);
    EXPECT_THAT(layout.status().message(), HasSubstr(test.message));
  }
}
