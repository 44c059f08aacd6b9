// Strict JSON.
// Parses JSON that may be hostile: no duplicate keys, bounded depth, no exceptions. Fields reads
// an object's members with checked types and remembers the first thing that was wrong, by its path.

#ifndef DSC_RUNTIME_JSON_H
#define DSC_RUNTIME_JSON_H

#include "runtime/Tensor.h"

#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dsc {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

Result<Json> parseJson(std::string_view text);

/// `value` as text; bytes that are not UTF-8 are replaced.
std::string jsonText(const OrderedJson &value, int indent = -1);

/// The members of one JSON object.
class Fields {
public:
  /// `where` names the object in messages, "manifest" for one.
  Fields(const Json &object, std::string where);

  bool has(const char *key) const { return find(key) != nullptr; }
  std::string string(const char *key);
  std::string string(const char *key, const std::string &absent);
  int64_t integer(const char *key);
  int64_t integer(const char *key, int64_t absent);
  /// An integer in [0, maxBytes]: sizes, offsets, counts.
  int64_t size(const char *key);
  double number(const char *key);
  double number(const char *key, double absent);
  bool boolean(const char *key, bool absent);
  Shape shape(const char *key);
  Dtype dtype(const char *key);
  /// Empty when absent.
  std::vector<std::string> strings(const char *key);
  std::vector<Fields> objects(const char *key);
  /// An empty object when absent.
  Fields object(const char *key);
  const Json *find(const char *key) const;
  std::vector<std::string> keys() const;

  /// Records a failure about `key` unless there was one before.
  void fail(const char *key, const std::string &what);
  /// The first failure in this object or any object taken from it.
  Status status() const { return *error; }

private:
  Fields(const Json *object, std::string where, std::shared_ptr<Status> error)
      : value(object), where(std::move(where)), error(std::move(error)) {}
  const Json *require(const char *key);

  const Json *value;
  std::string where;
  std::shared_ptr<Status> error;
};

} // namespace dsc

#endif // DSC_RUNTIME_JSON_H
