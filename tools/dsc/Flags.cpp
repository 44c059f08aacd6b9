// The flag parser.

#include "tools/dsc/Flags.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace dsc;
using llvm::StringRef;

void FlagTable::text(StringRef name, StringRef value, std::string &field, StringRef help) {
  add({name.str(), value.str(), help.str(), [&field](StringRef given) {
         field = given.str();
         return std::string();
       }});
}

void FlagTable::choice(StringRef name, llvm::ArrayRef<StringRef> choices, std::string &field,
                       StringRef help) {
  std::vector<std::string> names(choices.begin(), choices.end());
  std::string list = llvm::join(names, "|");
  add({name.str(), list, help.str(), [&field, names, list](StringRef given) {
         if (!llvm::is_contained(names, given.str())) {
           return "is '" + given.str() + "', expected " + list;
         }
         field = given.str();
         return std::string();
       }});
}

void FlagTable::integer(StringRef name, StringRef value, int64_t &field, StringRef help) {
  add({name.str(), value.str(), help.str(), [&field](StringRef given) {
         return given.getAsInteger(10, field) ? "is '" + given.str() + "', expected a whole number"
                                              : std::string();
       }});
}

void FlagTable::real(StringRef name, StringRef value, double &field, StringRef help) {
  add({name.str(), value.str(), help.str(), [&field](StringRef given) {
         return given.getAsDouble(field) || !std::isfinite(field)
                    ? "is '" + given.str() + "', expected a finite number"
                    : std::string();
       }});
}

void FlagTable::boolean(StringRef name, bool &field, StringRef help, bool stored) {
  add({name.str(), "", help.str(), [&field, stored](StringRef) {
         field = stored;
         return std::string();
       }});
}

void FlagTable::onOff(StringRef name, bool &field, StringRef help) {
  add({name.str(), "on|off", help.str(), [&field](StringRef given) {
         if (given != "on" && given != "off") {
           return "is '" + given.str() + "', expected on or off";
         }
         field = given == "on";
         return std::string();
       }});
}

void FlagTable::hidden(StringRef name, std::string &field) { text(name, "VALUE", field, ""); }

void FlagTable::refused(StringRef name, StringRef value, StringRef sentence) {
  std::string reason = sentence.str();
  Flag flag(name.str(), value.str(), "(not in this version) " + reason,
            [reason](StringRef) { return "is not in this version: " + reason; });
  flag.isLater = true;
  add(std::move(flag));
}

const Flag *FlagTable::find(StringRef name) const {
  auto it = llvm::find_if(flags, [&](const Flag &flag) { return flag.set && flag.name == name; });
  return it == flags.end() ? nullptr : &*it;
}

Fault FlagTable::parse(llvm::ArrayRef<const char *> arguments,
                       std::vector<std::string> &operands) const {
  for (size_t i = 0; i < arguments.size(); ++i) {
    StringRef argument = arguments[i];
    if (!argument.starts_with("-") || argument == "-") {
      operands.push_back(argument.str());
      continue;
    }
    auto [name, value] = argument.ltrim('-').split('=');
    bool hasValue = argument.contains('=');
    const Flag *flag = find(name);
    if (!flag) {
      const Flag *nearest = nullptr;
      unsigned best = 4;
      for (const Flag &candidate : flags) {
        unsigned distance = candidate.set ? name.edit_distance(candidate.name, true, best) : best;
        if (distance < best) {
          best = distance;
          nearest = &candidate;
        }
      }
      std::string text = "unknown flag '--" + name.str() + "'" +
                         (nearest ? "; did you mean '--" + nearest->name + "'?" : "");
      return {text, ErrorId::FlagUnknown};
    }
    if (flag->value.empty() && hasValue) {
      return {"flag '--" + name.str() + "' takes no value, got '" + value.str() + "'"};
    }
    if (!flag->value.empty() && !hasValue) {
      if (i + 1 == arguments.size()) {
        return {"flag '--" + name.str() + "' needs a value: " + flag->value};
      }
      value = arguments[++i];
    }
    met.push_back(flag->name);
    if (std::string wrong = flag->set(value); !wrong.empty()) {
      return {"flag '--" + name.str() + "' " + wrong,
              flag->isLater ? ErrorId::FlagLater : ErrorId::FlagValue};
    }
  }
  return {};
}

void FlagTable::printHelp(llvm::raw_ostream &out) const {
  for (const Flag &flag : flags) {
    if (!flag.set) {
      out << "\n" << flag.help << ":\n";
      continue;
    }
    if (flag.help.empty()) {
      continue; // hidden
    }
    std::string usage = (flag.name.size() == 1 ? "-" : "--") + flag.name;
    usage += flag.value.empty() ? "" : (flag.name.size() == 1 ? " " : "=") + flag.value;
    if (usage.size() <= 30) {
      out << llvm::formatv("  {0,-30} {1}\n", usage, flag.help);
    } else {
      out << "  " << usage << "\n" << llvm::formatv("  {0,-30} {1}\n", "", flag.help);
    }
  }
}
