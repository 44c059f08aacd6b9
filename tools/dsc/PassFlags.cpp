// Flags that leave passes out.

#include "tools/dsc/PassFlags.h"

using namespace dsc;
using llvm::StringRef;

/// Phases that may be left out as a whole.
static constexpr StringRef kPhases[] = {"raise", "parallel"};

void dsc::addPassFlags(FlagTable &table, PassFlags &flags) {
  table.text(
      "disable", "PASS,..", flags.disable,
      "leave out passes that only improve the program, or all of a phase: raise, parallel, " +
          llvm::join(limitedPasses(), ", "));
  table.text("pass-limit", "PASS:N,..", flags.limits,
             "at most N rewrites of a pass that --disable could leave out");
}

/// What to say about a name that is none of a limited pass; empty where it is one.
static std::string checkName(StringRef flag, StringRef name, bool orPhase) {
  if (llvm::is_contained(limitedPasses(), name) || (orPhase && llvm::is_contained(kPhases, name))) {
    return "";
  }
  StringRef nearest = orPhase ? kPhases[0] : limitedPasses().front();
  for (StringRef known : limitedPasses()) {
    if (name.edit_distance(known) < name.edit_distance(nearest)) {
      nearest = known;
    }
  }
  return ("flag '" + flag + "' names '" + name + "', which is no pass that can be left out; " +
          "did you mean '" + nearest + "'? Passes: " + llvm::join(limitedPasses(), ", "))
      .str();
}

std::string dsc::applyPassFlags(const PassFlags &flags, PhaseRun &run) {
  llvm::SmallVector<StringRef> names;
  StringRef(flags.disable).split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef name : names) {
    if (std::string wrong = checkName("--disable", name, /*orPhase=*/true); !wrong.empty()) {
      return wrong;
    }
    if (llvm::is_contained(kPhases, name)) {
      run.disabled.insert(name);
    } else {
      run.limits[name] = 0;
    }
  }
  names.clear();
  StringRef(flags.limits).split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef each : names) {
    auto [name, number] = each.split(':');
    int64_t limit = 0;
    if (number.getAsInteger(10, limit) || limit < 0) {
      return ("flag '--pass-limit' is '" + each + "', expected PASS:N with N from 0").str();
    }
    if (std::string wrong = checkName("--pass-limit", name, /*orPhase=*/false); !wrong.empty()) {
      return wrong;
    }
    run.limits[name] = limit;
  }
  return "";
}
