// NumPy's array format.

#include "runtime/Npy.h"

#include "runtime/MappedFile.h"

#include <cstring>

using namespace dsc;

namespace {
struct NumpyType {
  const char *code; ///< without the byte order
  Dtype dtype;
};
constexpr NumpyType types[] = {
    {"f4", DSC_F32}, {"f8", DSC_F64}, {"f2", DSC_F16}, {"i1", DSC_I8},
    {"i2", DSC_I16}, {"i4", DSC_I32}, {"i8", DSC_I64}, {"u1", DSC_U8},
    {"u2", DSC_U16}, {"u4", DSC_U32}, {"u8", DSC_U64}, {"b1", DSC_BOOL},
};

/// Reads the Python dict literal of the header: three known keys, nothing nested.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : text(text) {}

  Status parse() {
    if (!take('{')) {
      return wrong();
    }
    while (!take('}')) {
      std::string key;
      if (!string(key) || !take(':')) {
        return wrong();
      }
      bool known = key == "descr"           ? !seenType && (seenType = true) && string(type)
                   : key == "fortran_order" ? !seenOrder && (seenOrder = true) && boolean(fortran)
                   : key == "shape"         ? !seenShape && (seenShape = true) && tuple(shape)
                                            : false;
      if (!known) {
        return key == "descr" ? Status::user("a structured or object type; save one array of plain "
                                             "numbers for each name")
                              : wrong();
      }
      if (!take(',')) {
        if (!take('}')) {
          return wrong();
        }
        break;
      }
    }
    skip();
    return at == text.size() && seenType && seenOrder && seenShape ? Status() : wrong();
  }

  std::string type;
  bool fortran = false;
  Shape shape;

private:
  static Status wrong() { return Status::user("its .npy header is not NumPy's"); }
  void skip() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t')) {
      ++at;
    }
  }
  bool take(char c) {
    skip();
    if (at < text.size() && text[at] == c) {
      return ++at, true;
    }
    return false;
  }
  bool word(std::string_view expected) {
    skip();
    if (text.substr(at, expected.size()) != expected) {
      return false;
    }
    at += expected.size();
    return true;
  }
  bool string(std::string &out) {
    skip();
    if (at >= text.size() || (text[at] != '\'' && text[at] != '"')) {
      return false;
    }
    size_t end = text.find(text[at], at + 1);
    if (end == std::string_view::npos) {
      return false;
    }
    out = text.substr(at + 1, end - at - 1);
    at = end + 1;
    return out.find('\\') == std::string::npos;
  }
  bool boolean(bool &out) {
    if (word("True")) {
      return out = true;
    }
    out = false;
    return word("False");
  }
  bool tuple(Shape &out) {
    if (!take('(')) {
      return false;
    }
    while (!take(')')) {
      skip();
      int64_t value = 0;
      size_t begin = at;
      while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value <= maxBytes) {
        value = value * 10 + (text[at++] - '0');
      }
      if (at == begin || value > maxBytes || out.size() == maxRank) {
        return false;
      }
      if (at < text.size() && text[at] == 'L') { // written by Python 2
        ++at;
      }
      out.push_back(value);
      if (!take(',')) {
        return take(')');
      }
    }
    return true;
  }

  std::string_view text;
  size_t at = 0;
  bool seenType = false, seenOrder = false, seenShape = false;
};
} // namespace

Result<TensorView> dsc::readNpy(const std::string &name, const std::byte *data, int64_t bytes) {
  auto wrong = [&](const std::string &what) { return Status::user(name + ": " + what); };
  if (bytes < 10 || std::memcmp(data, "\x93NUMPY", 6) != 0) {
    return wrong(bytes == 0 ? "is empty" : "is not in NumPy's .npy format");
  }
  int version = static_cast<int>(data[6]);
  if (version < 1 || version > 3 || data[7] != std::byte{0}) {
    return wrong(format("has .npy version %d.%d; versions 1.0 to 3.0 are known", version,
                        static_cast<int>(data[7])));
  }
  int64_t lengthBytes = version == 1 ? 2 : 4;
  if (bytes < 8 + lengthBytes) {
    return wrong("is truncated in its header");
  }
  int64_t headerBytes = version == 1 ? loadLittle16(data + 8) : loadLittle32(data + 8);
  int64_t begin = 8 + lengthBytes + headerBytes;
  if (begin > bytes) {
    return wrong("is truncated in its header");
  }
  HeaderParser header(
      {reinterpret_cast<const char *>(data) + 8 + lengthBytes, static_cast<size_t>(headerBytes)});
  DSC_RETURN_IF_FAILED(header.parse().in(name));

  char order = header.type.empty() ? '?' : header.type[0];
  const NumpyType *type = nullptr;
  if (order == '<' || order == '|' || order == '=') {
    for (const NumpyType &candidate : types) {
      if (header.type.compare(1, std::string::npos, candidate.code) == 0) {
        type = &candidate;
      }
    }
  }
  if (order == '>') {
    return wrong("has big-endian type " + header.type +
                 "; save array.astype(array.dtype."
                 "newbyteorder('<'))");
  }
  if (!type) {
    return wrong("has type \"" + header.type +
                 "\"; save it as float32, float64, float16, an integer "
                 "type or bool");
  }
  TensorView view;
  view.name = name;
  view.dtype = type->dtype;
  view.shape = std::move(header.shape);
  if (header.fortran && view.shape.size() > 1) {
    return wrong("is in Fortran order; save numpy.ascontiguousarray(array)");
  }
  std::optional<int64_t> needed = byteCount(view.dtype, view.shape);
  if (!needed) {
    return wrong("its shape " + shapeText(view.shape) + " is too large");
  }
  if (*needed != bytes - begin) {
    return wrong(format("its shape %s needs %lld bytes and %lld are there: %s",
                        shapeText(view.shape).c_str(), static_cast<long long>(*needed),
                        static_cast<long long>(bytes - begin),
                        bytes - begin < *needed ? "truncated" : "too long"));
  }
  view.data = data + begin;
  view.bytes = *needed;
  return view;
}

std::string dsc::npyHeader(Dtype dtype, const Shape &shape) {
  std::string code;
  for (const NumpyType &type : types) {
    if (type.dtype == dtype) {
      code = std::string(dtypeSize(dtype) == 1 ? "|" : "<") + type.code;
    }
  }
  if (code.empty()) {
    return {};
  }
  std::string dims;
  for (int64_t dim : shape) {
    dims += std::to_string(dim) + ", ";
  }
  if (shape.size() > 1) {
    dims.resize(dims.size() - 2);
  } else if (shape.size() == 1) {
    dims.pop_back(); // "(3,)"
  }
  std::string text = "{'descr': '" + code + "', 'fortran_order': False, 'shape': (" + dims + "), }";
  text.append((64 - (10 + text.size() + 1) % 64) % 64, ' ');
  text += '\n';
  std::string header = "\x93NUMPY";
  header += '\x01';
  header += '\0';
  header += static_cast<char>(text.size() & 255);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}
