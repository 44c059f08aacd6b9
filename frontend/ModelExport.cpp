// In order: the import's own decisions (read, table of parameters, its reverse), names and shapes
// compared, then the file is parsed anew, edited and written. The importer's copy of the weights is
// gone before the message is read, and tensors are streamed, so one copy is the most that is held.

#include "frontend/ModelExport.h"

#include "frontend/ExternalData.h"
#include "frontend/InferenceForm.h"
#include "frontend/OnnxCheck.h"
#include "frontend/OnnxConversion.h"
#include "frontend/OnnxMessage.h"
#include "frontend/TrainedMatch.h"
#include "ir/Diagnostic.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include "onnx/inliner/inliner.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace mlir;
using namespace dsc;
using namespace dsc::onnx_model;

/// The key of the note that says who wrote the file.
static constexpr llvm::StringLiteral kMark = "dsc.export";
/// Tensors below this stay inside the model, as PyTorch's exporter has it.
static constexpr uint64_t kSmallestExternal = 1024;
/// Tensors in the data file start at pages, so that runtimes can map them.
static constexpr uint64_t kPage = 4096;
static constexpr size_t kPiece = size_t(4) << 20;

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

namespace {

/// Where the bytes of one tensor of the written file come from.
struct TensorSource {
  const TrainedTensor *trained = nullptr;
  bool transposed = false;
};

/// Gives the bytes of a trained tensor, as type `type` and with dims `dims`, to `sink` in pieces.
std::string streamTrained(const TensorSource &source, DataType type, ArrayRef<int64_t> dims,
                          llvm::function_ref<bool(ArrayRef<char>)> sink) {
  const TrainedTensor &tensor = *source.trained;
  const size_t size = bytesOf(type);
  const int64_t elements = tensor.elements();
  const int64_t piece = source.transposed ? elements : static_cast<int64_t>(kPiece / size);
  std::vector<char> buffer(std::min<int64_t>(piece, elements) * size), turned;
  for (int64_t first = 0; first < elements; first += piece) {
    int64_t count = std::min(piece, elements - first);
    std::string fault = tensor.read(first, count, static_cast<int32_t>(type), buffer.data());
    if (!fault.empty()) {
      return fault;
    }
    ArrayRef<char> bytes(buffer.data(), count * size);
    if (source.transposed) {
      turned.resize(bytes.size());
      transpose(bytes, dims[1], dims[0], size, turned);
      bytes = turned;
    }
    if (!sink(bytes)) {
      return std::string("cannot be written: ") + std::strerror(errno);
    }
  }
  return "";
}

void clearData(onnx::TensorProto &tensor) {
  tensor.clear_raw_data();
  tensor.clear_float_data();
  tensor.clear_double_data();
  tensor.clear_int32_data();
  tensor.clear_int64_data();
  tensor.clear_uint64_data();
  tensor.clear_external_data();
  tensor.clear_data_location();
}

uint64_t bytesOfTensor(const onnx::TensorProto &tensor) {
  uint64_t bytes = bytesOf(static_cast<DataType>(tensor.data_type()));
  for (int64_t dim : tensor.dims()) {
    bytes *= static_cast<uint64_t>(dim);
  }
  return bytes;
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

class Exporter {
public:
  Exporter(Location loc, const ExportOptions &options, MatchedModel matched)
      : loc(loc), options(options), matched(std::move(matched)),
        folder(llvm::sys::path::parent_path(options.model).str()),
        external(folder.empty() ? "." : folder, options.allowSymlinks, /*allowMissing=*/false) {}

  FailureOr<ExportedModel> run() {
    if (failed(parseModelFile(options.model, loc, proto))) {
      return failure();
    }
    if (std::optional<std::string> fault = findFault(proto)) {
      return fail(*fault);
    }
    if (failed(redirectOperands()) || failed(findSources())) {
      return failure();
    }
    if (!options.keepTraining) {
      setInferenceForm(proto);
    }
    result.parameters = matched.parameters;
    result.notices = std::move(matched.notices);
    return write();
  }

private:
  InFlightDiagnostic fail(const std::string &text, ErrorId id = ErrorId::ModelInvalid) {
    return dsc::emitError(loc, id) << text;
  }

  /// The main graph's node that gives `output`; null where functions hide it.
  onnx::NodeProto *findNode(StringRef output) {
    if (nodes.empty()) {
      for (onnx::NodeProto &node : *proto.mutable_graph()->mutable_node()) {
        for (const std::string &name : node.output()) {
          nodes[name] = &node;
        }
      }
    }
    return nodes.lookup(output);
  }

  LogicalResult redirectOperands() {
    const WriteBack &plan = matched.writeBack;
    bool isHidden = llvm::any_of(plan.redirections, [&](const Redirection &redirection) {
      return !findNode(redirection.output);
    });
    if (isHidden && proto.functions_size() > 0) {
      // One body serves several calls, which now read different tensors.
      try {
        onnx::inliner::InlineLocalFunctions(proto, true);
      } catch (const std::exception &error) {
        return fail(std::string("its functions cannot be expanded: ") + error.what());
      }
      nodes.clear();
      matched.notices.push_back("the model's functions are expanded: their calls read different "
                                "parameters after training");
    }
    for (const Redirection &redirection : plan.redirections) {
      const AddedTensor &added = plan.added[redirection.added];
      onnx::NodeProto *node = findNode(redirection.output);
      int slot = static_cast<int>(redirection.slot);
      bool fits = node && (redirection.from.empty() ? node->input_size() == slot
                                                    : node->input_size() > slot &&
                                                          node->input(slot) == redirection.from);
      if (!fits) {
        return fail("parameter '" + added.name + "' has no place in the file: operand " +
                        std::to_string(slot) + " of the node that gives '" + redirection.output +
                        "' is another one there than after conversion to the newest opset; export "
                        "the model with a newer opset, or with optimize=False",
                    ErrorId::ModelWeights);
      }
      if (redirection.from.empty()) {
        node->add_input(added.name);
      } else {
        node->set_input(slot, added.name);
      }
    }
    onnx::GraphProto &graph = *proto.mutable_graph();
    for (const AddedTensor &added : plan.added) {
      onnx::TensorProto &tensor = *graph.add_initializer();
      tensor.set_name(added.name);
      tensor.set_data_type(static_cast<int32_t>(added.type));
      for (int64_t dim : added.dims) {
        tensor.add_dims(dim);
      }
      // Until version 4 of the format every initializer was an input as well.
      if (proto.ir_version() < 4) {
        onnx::ValueInfoProto &input = *graph.add_input();
        input.set_name(added.name);
        auto &type = *input.mutable_type()->mutable_tensor_type();
        type.set_elem_type(static_cast<int32_t>(added.type));
        for (int64_t dim : added.dims) {
          type.mutable_shape()->add_dim()->set_dim_value(dim);
        }
      }
    }
    return success();
  }

  /// Finds what each tensor is to hold, and fills those of Constant nodes.
  LogicalResult findSources() {
    auto sourceOf = [&](const TensorContent &content) {
      return TensorSource{matched.trained[content.parameter], content.transposed};
    };
    std::map<std::string, TensorContent> left = matched.writeBack.contents;
    for (const onnx::TensorProto &tensor : proto.graph().initializer()) {
      if (auto content = left.find(tensor.name()); content != left.end()) {
        sources[tensor.name()] = sourceOf(content->second);
        left.erase(content);
      }
    }
    for (const AddedTensor &added : matched.writeBack.added) {
      sources[added.name] = sourceOf(added.content);
    }
    for (const auto &[name, content] : left) {
      TensorSource source = sourceOf(content);
      onnx::NodeProto *node = findNode(name);
      onnx::TensorProto *tensor = nullptr;
      for (int i = 0; node && node->op_type() == "Constant" && i < node->attribute_size(); ++i) {
        if (node->attribute(i).name() == "value") {
          tensor = node->mutable_attribute(i)->mutable_t();
        }
      }
      if (!tensor && source.trained) {
        return fail("parameter '" + source.trained->name + "' has no place in the file: '" + name +
                        "' appears only after conversion to the newest opset; export the model "
                        "with a newer opset",
                    ErrorId::ModelWeights);
      }
      if (source.trained && failed(embed(*tensor, source))) {
        return failure();
      }
    }
    return success();
  }

  LogicalResult failTensor(StringRef name, const std::string &fault) {
    return fail("'" + name.str() + "' of " + options.weights + " " + fault, ErrorId::ModelWeights);
  }

  /// Puts the bytes of a trained tensor into the message.
  LogicalResult embed(onnx::TensorProto &tensor, const TensorSource &source) {
    clearData(tensor);
    std::string bytes;
    bytes.reserve(bytesOfTensor(tensor));
    std::string fault = streamTrained(source, static_cast<DataType>(tensor.data_type()),
                                      dims(tensor), [&](ArrayRef<char> piece) {
                                        bytes.append(piece.data(), piece.size());
                                        return true;
                                      });
    if (!fault.empty()) {
      return failTensor(source.trained->name, fault);
    }
    tensor.set_raw_data(std::move(bytes));
    return success();
  }

  static ArrayRef<int64_t> dims(const onnx::TensorProto &tensor) {
    return {tensor.dims().data(), static_cast<size_t>(tensor.dims_size())};
  }

  /// Places a tensor that the file has beside it.
  LogicalResult locate(const onnx::TensorProto &tensor, Tensor &plain) {
    plain.name = tensor.name();
    plain.type = static_cast<DataType>(tensor.data_type());
    plain.dims.assign(tensor.dims().begin(), tensor.dims().end());
    std::vector<std::pair<std::string, std::string>> entries;
    for (const auto &entry : tensor.external_data()) {
      entries.emplace_back(entry.key(), entry.value());
    }
    std::string fault = external.locate(entries, plain);
    return fault.empty() ? success()
                         : LogicalResult(fail("initializer \"" + tensor.name() + "\": " + fault,
                                              ErrorId::ModelWeights));
  }

  bool isExternal(const onnx::TensorProto &tensor) const {
    return tensor.data_location() == onnx::TensorProto::EXTERNAL;
  }

  /// Whether tensors go beside the model: asked for, so in the user's file, or too large inside.
  bool needsDataFile() const {
    uint64_t bytes = proto.ByteSizeLong();
    bool has = options.externalData;
    for (const onnx::TensorProto &tensor : proto.graph().initializer()) {
      has |= isExternal(tensor);
      bytes += bytesOfTensor(tensor) + 64 - (isExternal(tensor) ? 0 : tensor.ByteSizeLong());
    }
    return has || bytes > static_cast<uint64_t>(kMaxModelFile);
  }

  LogicalResult failWrite(const std::string &path) {
    return fail(path + " cannot be written: " + std::strerror(errno), ErrorId::FileUnreadable);
  }

  /// Appends the bytes of `tensor` to the data file and leaves their place in the message.
  LogicalResult moveOut(onnx::TensorProto &tensor, const TensorSource &source, AsideFile &file) {
    std::vector<char> padding(llvm::alignTo(file.position(), kPage) - file.position());
    if (!file.write(padding)) {
      return failWrite(result.dataFile);
    }
    const uint64_t offset = file.position(), bytes = bytesOfTensor(tensor);
    if (source.trained) {
      std::string fault =
          streamTrained(source, static_cast<DataType>(tensor.data_type()), dims(tensor),
                        [&](ArrayRef<char> piece) { return file.write(piece); });
      if (!fault.empty()) {
        return failTensor(source.trained->name, fault);
      }
    } else {
      Tensor plain;
      if (isExternal(tensor) ? failed(locate(tensor, plain)) : !takePlain(tensor, plain)) {
        return failure();
      }
      std::vector<char> buffer(std::min<uint64_t>(kPiece, bytes));
      for (uint64_t from = 0; from < bytes; from += buffer.size()) {
        MutableArrayRef<char> piece(buffer.data(), std::min<uint64_t>(buffer.size(), bytes - from));
        if (!plain.read(from, piece)) {
          return fail("initializer \"" + tensor.name() + "\" cannot be read: its file has changed",
                      ErrorId::ModelWeights);
        }
        if (!file.write(piece)) {
          return failWrite(result.dataFile);
        }
      }
    }
    clearData(tensor);
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    auto note = [&](const char *key, const std::string &value) {
      auto &entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    note("location", llvm::sys::path::filename(result.dataFile).str());
    note("offset", std::to_string(offset));
    note("length", std::to_string(bytes));
    return success();
  }

  bool takePlain(onnx::TensorProto &tensor, Tensor &plain) {
    std::string fault = takeTensor(tensor, plain);
    if (!fault.empty()) {
      fail("initializer \"" + tensor.name() + "\": " + fault);
    }
    return fault.empty();
  }

  FailureOr<ExportedModel> write() {
    std::optional<AsideFile> data;
    if (needsDataFile()) {
      result.dataFile = externalDataPath(options.output);
      data.emplace(result.dataFile);
      if (!data->isOpen()) {
        return failWrite(result.dataFile);
      }
    }
    for (onnx::TensorProto &tensor : *proto.mutable_graph()->mutable_initializer()) {
      auto found = sources.find(tensor.name());
      TensorSource source = found == sources.end() ? TensorSource() : found->second;
      bool isOut = data && bytesOfTensor(tensor) >= kSmallestExternal;
      if (isOut ? failed(moveOut(tensor, source, *data))
                : source.trained && failed(embed(tensor, source))) {
        return failure();
      }
      if (!isOut && !source.trained && isExternal(tensor) && failed(bringIn(tensor))) {
        return failure();
      }
    }
    onnx::ModelProto mark;
    removeOldMark();
    auto &note = *mark.add_metadata_props();
    note.set_key(kMark.str());
    note.set_value("trained weights of " + llvm::sys::path::filename(options.weights).str());
    AsideFile file(options.output);
    if (!file.isOpen() || !writeMessage(mark, proto, file)) {
      return failWrite(options.output);
    }
    result.bytes = file.position() + (data ? data->position() : 0);
    // The data first: a model never stands without it.
    if (data && !data->finish()) {
      return failWrite(result.dataFile);
    }
    if (!file.finish()) {
      return failWrite(options.output);
    }
    return std::move(result);
  }

  /// A small tensor of the user's data file comes inside.
  LogicalResult bringIn(onnx::TensorProto &tensor) {
    Tensor plain;
    if (failed(locate(tensor, plain))) {
      return failure();
    }
    std::string bytes(plain.byteCount(), '\0');
    if (!plain.read(0, {bytes.data(), bytes.size()})) {
      return fail("initializer \"" + tensor.name() + "\" cannot be read: its file has changed",
                  ErrorId::ModelWeights);
    }
    clearData(tensor);
    tensor.set_raw_data(std::move(bytes));
    return success();
  }

  void removeOldMark() {
    auto &notes = *proto.mutable_metadata_props();
    for (int i = notes.size(); i-- > 0;) {
      if (notes.Get(i).key() == kMark) {
        notes.DeleteSubrange(i, 1);
      }
    }
  }

  Location loc;
  const ExportOptions &options;
  MatchedModel matched;
  std::string folder;
  ExternalData external;
  onnx::ModelProto proto;
  llvm::StringMap<onnx::NodeProto *> nodes;    // of the main graph, by their outputs
  std::map<std::string, TensorSource> sources; // by initializer
  ExportedModel result;
};

} // namespace

static Location fileLocation(MLIRContext &context, const ExportOptions &options) {
  return FileLineColLoc::get(&context, llvm::sys::path::filename(options.model), 0, 0);
}

LogicalResult dsc::checkTrained(MLIRContext &context, const ExportOptions &options,
                                ArrayRef<TrainedTensor> tensors) {
  return success(
      succeeded(matchTrained(context, fileLocation(context, options), options, tensors)));
}

FailureOr<ExportedModel> dsc::exportModel(MLIRContext &context, const ExportOptions &options,
                                          ArrayRef<TrainedTensor> tensors) {
  Location loc = fileLocation(context, options);
  FailureOr<MatchedModel> matched = matchTrained(context, loc, options, tensors);
  if (failed(matched)) {
    return failure();
  }
  return Exporter(loc, options, std::move(*matched)).run();
}

std::string dsc::externalDataPath(StringRef model) { return (model + ".data").str(); }

bool dsc::isExportedModel(StringRef path) {
  auto file = llvm::MemoryBuffer::getFileSlice(path, kMark.size() + 8, 0);
  return file && (*file)->getBuffer().contains(kMark);
}
