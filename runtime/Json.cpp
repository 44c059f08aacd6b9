// Strict JSON.

#include "runtime/Json.h"

#include <cmath>
#include <set>

using namespace dsc;

namespace {
/// Builds the document while refusing what plain parsing would let pass.
class StrictBuilder : public nlohmann::json_sax<Json> {
public:
  explicit StrictBuilder(Json &root) : builder(root, false) {}

  bool null() override { return builder.null(); }
  bool boolean(bool value) override { return builder.boolean(value); }
  bool number_integer(number_integer_t value) override { return builder.number_integer(value); }
  bool number_unsigned(number_unsigned_t value) override { return builder.number_unsigned(value); }
  bool number_float(number_float_t value, const string_t &text) override {
    return builder.number_float(value, text);
  }
  bool string(string_t &value) override { return builder.string(value); }
  bool binary(binary_t &value) override { return builder.binary(value); }
  bool start_object(std::size_t count) override {
    names.emplace_back();
    return deeper() && builder.start_object(count);
  }
  bool key(string_t &value) override {
    if (!names.back().insert(value).second) {
      return refuse("the key \"" + value + "\" stands twice in one object");
    }
    return builder.key(value);
  }
  bool end_object() override {
    names.pop_back();
    --depth;
    return builder.end_object();
  }
  bool start_array(std::size_t count) override { return deeper() && builder.start_array(count); }
  bool end_array() override {
    --depth;
    return builder.end_array();
  }
  bool parse_error(std::size_t position, const std::string &,
                   const nlohmann::detail::exception &) override {
    return refuse(format("not JSON at byte %zu", position));
  }

  std::string message;

private:
  bool deeper() { return ++depth <= 64 || refuse("nested more than 64 deep"); }
  bool refuse(std::string text) {
    if (message.empty()) {
      message = std::move(text);
    }
    return false;
  }

  nlohmann::detail::json_sax_dom_parser<Json> builder;
  std::vector<std::set<std::string>> names;
  int depth = 0;
};
} // namespace

Result<Json> dsc::parseJson(std::string_view text) {
  Json root;
  StrictBuilder builder(root);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    return Status::user(builder.message.empty() ? "not JSON" : builder.message);
  }
  return root;
}

std::string dsc::jsonText(const OrderedJson &value, int indent) {
  return value.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

Fields::Fields(const Json &object, std::string where)
    : Fields(&object, std::move(where), std::make_shared<Status>()) {
  if (!object.is_object()) {
    *error = Status::user(this->where + ": is not a JSON object");
  }
}

void Fields::fail(const char *key, const std::string &what) {
  if (error->ok()) {
    *error = Status::user(where + "." + key + ": " + what);
  }
}

const Json *Fields::find(const char *key) const {
  if (!value || !value->is_object()) {
    return nullptr;
  }
  auto found = value->find(key);
  return found == value->end() || found->is_null() ? nullptr : &*found;
}

const Json *Fields::require(const char *key) {
  const Json *member = find(key);
  if (!member) {
    fail(key, "is missing");
  }
  return member;
}

std::string Fields::string(const char *key) {
  const Json *member = require(key);
  if (member && !member->is_string()) {
    fail(key, "is not a string");
  }
  return member && member->is_string() ? member->get<std::string>() : std::string();
}

std::string Fields::string(const char *key, const std::string &absent) {
  return has(key) ? string(key) : absent;
}

int64_t Fields::integer(const char *key) {
  const Json *member = require(key);
  if (!member) {
    return 0;
  }
  bool fits = member->is_number_unsigned()
                  ? member->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                  : member->is_number_integer();
  if (!fits) {
    fail(key, "is not a 64-bit integer");
  }
  return fits ? member->get<int64_t>() : 0;
}

int64_t Fields::integer(const char *key, int64_t absent) {
  return has(key) ? integer(key) : absent;
}

int64_t Fields::size(const char *key) {
  int64_t result = integer(key);
  if (result < 0 || result > maxBytes) {
    fail(key, std::to_string(result) + " is out of range");
    return 0;
  }
  return result;
}

double Fields::number(const char *key) {
  const Json *member = require(key);
  if (member && !member->is_number()) {
    fail(key, "is not a number");
  }
  return member && member->is_number() ? member->get<double>() : 0;
}

double Fields::number(const char *key, double absent) { return has(key) ? number(key) : absent; }

bool Fields::boolean(const char *key, bool absent) {
  const Json *member = find(key);
  if (member && !member->is_boolean()) {
    fail(key, "is not true or false");
  }
  return member && member->is_boolean() ? member->get<bool>() : absent;
}

Shape Fields::shape(const char *key) {
  const Json *member = require(key);
  Shape result;
  if (!member) {
    return result;
  }
  if (!member->is_array() || member->size() > maxRank) {
    fail(key, "is not a list of at most 64 dims");
    return result;
  }
  for (const Json &dim : *member) {
    bool fits = dim.is_number_unsigned() && dim.get<uint64_t>() <= static_cast<uint64_t>(maxBytes);
    if (!fits) {
      fail(key, "has a dim that is not an integer in range");
      return {};
    }
    result.push_back(dim.get<int64_t>());
  }
  if (!elementCount(result)) {
    fail(key, shapeText(result) + " has too many elements");
  }
  return result;
}

Dtype Fields::dtype(const char *key) {
  std::string name = string(key);
  std::optional<Dtype> dtype = dtypeFromName(name);
  if (!dtype) {
    fail(key, "\"" + name + "\" is not an element type");
  }
  return dtype.value_or(DSC_F32);
}

std::vector<std::string> Fields::strings(const char *key) {
  std::vector<std::string> result;
  const Json *member = find(key);
  if (!member) {
    return result;
  }
  if (!member->is_array()) {
    fail(key, "is not a list");
    return result;
  }
  for (const Json &item : *member) {
    if (!item.is_string()) {
      fail(key, "has an item that is not a string");
      return result;
    }
    result.push_back(item.get<std::string>());
  }
  return result;
}

std::vector<Fields> Fields::objects(const char *key) {
  std::vector<Fields> result;
  const Json *member = find(key);
  if (!member) {
    return result;
  }
  if (!member->is_array()) {
    fail(key, "is not a list");
    return result;
  }
  for (const Json &item : *member) {
    if (!item.is_object()) {
      fail(key, "has an item that is not an object");
      return result;
    }
    result.push_back(
        Fields(&item, where + "." + key + "[" + std::to_string(result.size()) + "]", error));
  }
  return result;
}

Fields Fields::object(const char *key) {
  static const Json empty = Json::object();
  const Json *member = find(key);
  if (member && !member->is_object()) {
    fail(key, "is not an object");
  }
  return Fields(member && member->is_object() ? member : &empty, where + "." + key, error);
}

std::vector<std::string> Fields::keys() const {
  std::vector<std::string> result;
  if (value && value->is_object()) {
    for (auto item = value->begin(); item != value->end(); ++item) {
      result.push_back(item.key());
    }
  }
  return result;
}
