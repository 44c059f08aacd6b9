// Errors as values.

#include "runtime/Status.h"

#include <cstdarg>
#include <cstdio>

std::string dsc::format(const char *pattern, ...) {
  va_list args, copy;
  va_start(args, pattern);
  va_copy(copy, args);
  int length = std::vsnprintf(nullptr, 0, pattern, copy);
  va_end(copy);
  std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  if (length > 0) {
    std::vsnprintf(text.data(), text.size() + 1, pattern, args);
  }
  va_end(args);
  return text;
}
