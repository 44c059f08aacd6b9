// Streams tensors from the model's files. One buffer of 4 MiB is all that is held, or one tensor
// where the file has it transposed.

#include "frontend/WeightsWriter.h"

#include "frontend/AsideFile.h"
#include "ir/ContentHash.h"
#include "ir/Diagnostic.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

#include <cerrno>
#include <cstring>

using namespace mlir;
using namespace dsc;
using onnx_model::DataType;
using onnx_model::Tensor;

/// The name that safetensors gives a type.
static StringRef safetensorsType(DataType type) {
  switch (type) {
  case DataType::Float:
    return "F32";
  case DataType::Double:
    return "F64";
  case DataType::Float16:
    return "F16";
  case DataType::Bfloat16:
    return "BF16";
  case DataType::Int8:
    return "I8";
  case DataType::Int16:
    return "I16";
  case DataType::Int32:
    return "I32";
  case DataType::Int64:
    return "I64";
  case DataType::Uint8:
    return "U8";
  case DataType::Uint16:
    return "U16";
  case DataType::Uint32:
    return "U32";
  case DataType::Uint64:
    return "U64";
  case DataType::Bool:
    return "BOOL";
  default:
    return "";
  }
}

namespace {

/// An output file that hashes what goes through it.
class HashedFile {
public:
  explicit HashedFile(std::string target) : file(std::move(target)) {}

  bool isOpen() const { return file.isOpen(); }
  bool write(ArrayRef<char> data) {
    hash.update({data.data(), data.size()});
    return file.write(data);
  }
  bool finish() { return file.finish(); }
  uint64_t bytes() const { return file.position(); }

  dsc::ContentHash hash;

private:
  AsideFile file;
};

} // namespace

/// The JSON header of safetensors with its length in front, padded to 8 bytes.
static std::string makeHeader(ArrayRef<const Parameter *> parameters) {
  std::string text;
  llvm::raw_string_ostream out(text);
  llvm::json::OStream json(out);
  uint64_t offset = 0;
  json.object([&] {
    // "producer" marks the file as ours: dsc overwrites no other.
    json.attributeObject("__metadata__", [&] {
      json.attribute("format", "pt");
      json.attribute("producer", "dsc");
    });
    for (const Parameter *parameter : parameters) {
      json.attributeObject(llvm::json::fixUTF8(parameter->name), [&] {
        json.attribute("dtype", safetensorsType(parameter->tensor->type));
        json.attributeArray("shape", [&] {
          for (int64_t dim : parameter->dims) {
            json.value(dim);
          }
        });
        json.attributeArray("data_offsets", [&] {
          json.value(static_cast<int64_t>(offset));
          offset += parameter->tensor->byteCount();
          json.value(static_cast<int64_t>(offset));
        });
      });
    }
  });
  text.append((8 - text.size() % 8) % 8, ' ');
  uint64_t length = text.size();
  std::string header(sizeof(length), '\0');
  std::memcpy(header.data(), &length, sizeof(length));
  return header + text;
}

/// The bytes of a matrix's transpose.
static bool readTransposed(const Tensor &tensor, std::vector<char> &out) {
  std::vector<char> bytes(tensor.byteCount());
  if (!tensor.read(0, bytes)) {
    return false;
  }
  out.resize(bytes.size());
  onnx_model::transpose(bytes, tensor.dims[0], tensor.dims[1], bytesOf(tensor.type), out);
  return true;
}

FailureOr<WrittenWeights> dsc::writeWeights(const WeightsWriter &weights, Location loc,
                                            const std::string &path) {
  SmallVector<const Parameter *> parameters;
  for (const Parameter &parameter : weights.parameters->parameters()) {
    if (!parameter.start && !safetensorsType(parameter.tensor->type).empty()) {
      parameters.push_back(&parameter);
    }
  }
  if (parameters.empty()) {
    return WrittenWeights(); // --init=random
  }
  HashedFile file(path);
  auto fail = [&](const char *what) {
    return dsc::emitError(loc, ErrorId::FileUnreadable)
           << "weights file '" << path << "' cannot be " << what << ": " << std::strerror(errno);
  };
  if (!file.isOpen()) {
    return fail("created");
  }
  std::string header = makeHeader(parameters);
  if (!file.write({header.data(), header.size()})) {
    return fail("written");
  }
  std::vector<char> buffer(size_t(4) << 20), whole;
  for (const Parameter *parameter : parameters) {
    dsc::ContentHash hash;
    const Tensor &tensor = *parameter->tensor;
    whole.clear();
    if (parameter->transposed && !readTransposed(tensor, whole)) {
      return dsc::emitError(loc, ErrorId::ModelWeights)
             << "weights of '" << parameter->name << "' cannot be read: their file has changed";
    }
    for (uint64_t from = 0, total = tensor.byteCount(); from < total;) {
      MutableArrayRef<char> piece(buffer.data(), std::min<uint64_t>(buffer.size(), total - from));
      if (parameter->transposed) {
        std::memcpy(piece.data(), whole.data() + from, piece.size());
      } else if (!tensor.read(from, piece)) {
        return dsc::emitError(loc, ErrorId::ModelWeights)
               << "weights of '" << parameter->name << "' cannot be read: their file has changed";
      }
      hash.update({piece.data(), piece.size()});
      if (!file.write(piece)) {
        return fail("written");
      }
      from += piece.size();
    }
    weights.hashes[parameter->name] = hash.hex(8);
  }
  if (!file.finish()) {
    return fail("completed");
  }
  return WrittenWeights{file.hash.hex(), file.bytes()};
}

void dsc::setWeightsSource(ModuleOp module, const WeightsWriter &weights, StringRef file) {
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getSource()) {
      auto hash = weights.hashes.find(global.getSymName());
      global.setSourceAttr(
          SourceAttr::get(module.getContext(), file, global.getSymName(),
                          hash == weights.hashes.end() ? "" : StringRef(hash->second)));
    }
  }
}
