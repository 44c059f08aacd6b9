// Tensors of a model: sizes of their types, and reading their bytes from memory or from their file.

#include "frontend/OnnxModel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace dsc::onnx_model;

std::string dsc::onnx_model::nameOf(DataType type) {
  static const char *const names[] = {"UNDEFINED",  "FLOAT",   "UINT8",  "INT8",   "UINT16",
                                      "INT16",      "INT32",   "INT64",  "STRING", "BOOL",
                                      "FLOAT16",    "DOUBLE",  "UINT32", "UINT64", "COMPLEX64",
                                      "COMPLEX128", "BFLOAT16"};
  auto number = static_cast<int32_t>(type);
  if (number >= 0 && number <= static_cast<int32_t>(DataType::Bfloat16)) {
    return names[number];
  }
  return "type " + std::to_string(number);
}

unsigned dsc::onnx_model::bytesOf(DataType type) {
  switch (type) {
  case DataType::Uint8:
  case DataType::Int8:
  case DataType::Bool:
    return 1;
  case DataType::Uint16:
  case DataType::Int16:
  case DataType::Float16:
  case DataType::Bfloat16:
    return 2;
  case DataType::Float:
  case DataType::Int32:
  case DataType::Uint32:
    return 4;
  case DataType::Int64:
  case DataType::Uint64:
  case DataType::Double:
    return 8;
  default:
    return 0;
  }
}

void dsc::onnx_model::transpose(llvm::ArrayRef<char> matrix, int64_t rows, int64_t columns,
                                size_t size, llvm::MutableArrayRef<char> out) {
  constexpr int64_t block = 32; // both walks stay in cache
  for (int64_t i0 = 0; i0 < rows; i0 += block) {
    for (int64_t j0 = 0; j0 < columns; j0 += block) {
      for (int64_t i = i0; i < std::min(i0 + block, rows); ++i) {
        for (int64_t j = j0; j < std::min(j0 + block, columns); ++j) {
          std::memcpy(&out[(j * rows + i) * size], &matrix[(i * columns + j) * size], size);
        }
      }
    }
  }
}

DataFile::~DataFile() { close(descriptor); }

int64_t Tensor::elements() const {
  int64_t count = 1;
  for (int64_t dim : dims) {
    count *= dim; // The reader has checked that the product fits.
  }
  return count;
}

bool Tensor::read(uint64_t from, llvm::MutableArrayRef<char> out) const {
  if (isMissing || from > byteCount() || out.size() > byteCount() - from) {
    return false;
  }
  if (!file) {
    if (!out.empty()) {
      std::memcpy(out.data(), bytes.data() + from, out.size());
    }
    return true;
  }
  while (!out.empty()) {
    ssize_t count =
        pread(file->descriptor, out.data(), out.size(), static_cast<off_t>(offset + from));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return false;
    }
    out = out.drop_front(count);
    from += count;
  }
  return true;
}

void dsc::onnx_model::forEachInnerRead(const Node &node,
                                       llvm::function_ref<void(const std::string &)> read) {
  for (const auto &entry : node.attributes) {
    if (!entry.second.graph) {
      continue;
    }
    for (const Node &inner : entry.second.graph->nodes) {
      for (const std::string &name : inner.inputs) {
        read(name);
      }
      forEachInnerRead(inner, read);
    }
    for (const ValueInfo &output : entry.second.graph->outputs) {
      read(output.name);
    }
  }
}
