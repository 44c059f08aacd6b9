// Names in messages: the nearest of several, and lists of them.

#ifndef DSC_RUNTIME_NAMES_H
#define DSC_RUNTIME_NAMES_H

#include <string>
#include <vector>

namespace dsc {

/// "; did you mean NAME?" with the candidate nearest to `word`, or nothing where none is near.
std::string nearestName(const std::string &word, const std::vector<std::string> &candidates);

/// "a, b or c", with `last` for "or".
std::string listed(const std::vector<std::string> &words, const std::string &last);

} // namespace dsc

#endif // DSC_RUNTIME_NAMES_H
