// A checked ONNX model as plain data, free of protobuf: what the reader hands to the importer.
// Names are unique, the nodes are in topological order, all operators are those of the newest
// opset; large tensors stay in the file until they are read.

#ifndef DSC_FRONTEND_ONNXMODEL_H
#define DSC_FRONTEND_ONNXMODEL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dsc::onnx_model {

/// ONNX's TensorProto.DataType, by number.
enum class DataType : int32_t {
  Undefined = 0,
  Float = 1,
  Uint8 = 2,
  Int8 = 3,
  Uint16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Double = 11,
  Uint32 = 12,
  Uint64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  Bfloat16 = 16
};

/// "FLOAT", "INT64", ...; "type 23" for those without a place in dsc.
std::string nameOf(DataType type);

/// Bytes of one element in a file; 0 for types without a place in dsc.
unsigned bytesOf(DataType type);

/// Writes the transpose of a matrix of `rows` x `columns` elements of `size` bytes to `out`, which
/// has its size.
void transpose(llvm::ArrayRef<char> matrix, int64_t rows, int64_t columns, size_t size,
               llvm::MutableArrayRef<char> out);

/// A file with external data, opened below the model's folder and kept open.
class DataFile {
public:
  DataFile(std::string path, int descriptor, uint64_t size)
      : path(std::move(path)), descriptor(descriptor), size(size) {}
  ~DataFile();
  DataFile(const DataFile &) = delete;
  DataFile &operator=(const DataFile &) = delete;

  std::string path; // relative to the model's folder
  int descriptor;
  uint64_t size;
};

/// A tensor: either its little-endian bytes, or their place in a data file.
struct Tensor {
  std::string name;
  DataType type = DataType::Undefined;
  std::vector<int64_t> dims;
  std::string bytes;
  std::shared_ptr<DataFile> file;
  uint64_t offset = 0;
  bool isMissing = false; // its external data is not there: read() fails

  int64_t elements() const;
  uint64_t byteCount() const { return static_cast<uint64_t>(elements()) * bytesOf(type); }
  /// Copies bytes [from, from + out.size()) of the tensor to `out`. False: the file ended or could
  /// not be read.
  bool read(uint64_t from, llvm::MutableArrayRef<char> out) const;
};

struct Graph;

struct NodeAttribute {
  enum class Kind { Int, Float, String, Ints, Floats, Strings, Tensor, Graph, Other };
  Kind kind = Kind::Other;
  int64_t i = 0;
  float f = 0;
  std::string s;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  std::vector<std::string> strings;
  std::shared_ptr<Tensor> tensor;
  std::shared_ptr<Graph> graph;
};

struct Node {
  std::string name, op, domain;
  std::vector<std::string> inputs, outputs; // "" = left out
  llvm::StringMap<NodeAttribute> attributes;
  llvm::StringMap<std::string> metadata;
  int64_t index = 0; // position in the file

  const NodeAttribute *attribute(llvm::StringRef key) const {
    auto it = attributes.find(key);
    return it == attributes.end() ? nullptr : &it->second;
  }
};

/// A dimension: a size, or a name to be bound, or (both absent) unknown.
struct Dim {
  std::optional<int64_t> size;
  std::string name;
};

struct ValueInfo {
  std::string name;
  DataType type = DataType::Undefined;
  bool isTensor = true;
  bool hasShape = false;
  std::vector<Dim> dims;
};

struct Graph {
  std::vector<ValueInfo> inputs, outputs;
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
};

/// Calls `read` with each name that a node in a subgraph of `node` reads: its own values and those
/// of the graphs around it.
void forEachInnerRead(const Node &node, llvm::function_ref<void(const std::string &name)> read);

struct Model {
  std::string path;   // as the user wrote it
  std::string folder; // where external data and weights are named from
  std::string producer, producerVersion;
  int64_t opset = 0; // as in the file
  bool hasTrainingInfo = false;
  Graph graph;
  /// Metadata of values: name -> key -> text (PyTorch's exporter says here what an initializer
  /// was).
  llvm::StringMap<llvm::StringMap<std::string>> metadata;
  std::vector<std::string> notices;
};

} // namespace dsc::onnx_model

#endif // DSC_FRONTEND_ONNXMODEL_H
