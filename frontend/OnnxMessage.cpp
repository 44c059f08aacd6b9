// Files of messages. Reading goes through one descriptor; no exception leaves this file.

#include "frontend/OnnxMessage.h"

#include "ir/Diagnostic.h"

#include "onnx/defs/parser.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace dsc;

static LogicalResult parseText(const std::string &text, Location loc, onnx::ModelProto &proto) {
  auto fail = [&](const std::string &why) {
    return dsc::emitError(loc, ErrorId::ModelInvalid)
           << "is not a model in ONNX's text form: " << why;
  };
  try {
    onnx::OnnxParser parser(text.c_str());
    auto status = parser.Parse(proto);
    return status.IsOK() ? success() : LogicalResult(fail(status.ErrorMessage()));
  } catch (const std::exception &error) {
    return fail(error.what());
  }
}

LogicalResult dsc::parseModelFile(const std::string &path, Location loc, onnx::ModelProto &proto) {
  auto fail = [&](const std::string &text, ErrorId id = ErrorId::ModelInvalid) {
    return dsc::emitError(loc, id) << text;
  };
  int descriptor = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) {
    return fail(std::string("cannot be opened: ") + std::strerror(errno), ErrorId::FileUnreadable);
  }
  google::protobuf::io::FileInputStream stream(descriptor);
  stream.SetCloseOnDelete(true);
  struct stat info;
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail("is not a regular file", ErrorId::FileUnreadable);
  }
  if (info.st_size == 0) {
    return fail("is empty");
  }
  if (info.st_size > kMaxModelFile) {
    return fail("has " + std::to_string(info.st_size) +
                " bytes, protobuf's limit is 2^31 - 1: export with the weights in a file beside it "
                "(external data)");
  }
  if (StringRef(path).ends_with(".onnxtxt")) {
    std::string text(info.st_size, '\0');
    ssize_t count = read(descriptor, text.data(), text.size());
    text.resize(count < 0 ? 0 : count);
    return parseText(text, loc, proto);
  }
  google::protobuf::io::CodedInputStream coded(&stream);
  if (!proto.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    return fail("is not an ONNX model, or is cut short: it does not parse as one");
  }
  return success();
}

namespace {
/// Where protobuf's serializer writes to.
class AsideStream : public google::protobuf::io::CopyingOutputStream {
public:
  explicit AsideStream(AsideFile &file) : file(file) {}
  bool Write(const void *buffer, int size) override {
    return file.write({static_cast<const char *>(buffer), static_cast<size_t>(size)});
  }

private:
  AsideFile &file;
};
} // namespace

bool dsc::writeMessage(const onnx::ModelProto &mark, const onnx::ModelProto &proto,
                       AsideFile &file) {
  AsideStream out(file);
  google::protobuf::io::CopyingOutputStreamAdaptor stream(&out, 1 << 20);
  return mark.SerializeToZeroCopyStream(&stream) && proto.SerializeToZeroCopyStream(&stream) &&
         stream.Flush();
}
