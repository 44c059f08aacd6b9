// Checked conversion of users' values.
// Copies elements from a data file into a program's input: integers widen or narrow where every
// value fits, float types convert among each other, and values are checked against their range.
// Nothing else converts: a float is never quietly made an integer or the reverse.

#ifndef DSC_RUNTIME_CONVERT_H
#define DSC_RUNTIME_CONVERT_H

#include "runtime/Tensor.h"

#include <optional>
#include <string>

namespace dsc {

/// What values of an input may be.
struct ValueRange {
  /// Integers in [0, classes) or equal to `exception`; 0 means any.
  int64_t classes = 0;
  std::optional<int64_t> exception;
  /// NaN and infinity are errors.
  bool finite = false;
};

/// The first element that does not fit.
struct BadValue {
  int64_t index = 0;
  std::string why;
};

/// Whether elements of `from` may become elements of `to` at all.
bool converts(Dtype from, Dtype to);

/// Whether a conversion that is allowed can round.
bool conversionRounds(Dtype from, Dtype to);

/// Converts `count` elements; on failure what was written before the bad element stays.
std::optional<BadValue> convertValues(Dtype from, const std::byte *source, Dtype to,
                                      std::byte *target, int64_t count, const ValueRange &range);

} // namespace dsc

#endif // DSC_RUNTIME_CONVERT_H
