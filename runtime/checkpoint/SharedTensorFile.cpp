// A safetensors file that all ranks write.

#include "runtime/checkpoint/SharedTensorFile.h"

#include "runtime/checkpoint/Crc32c.h"
#include "runtime/checkpoint/SlicePlan.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

using namespace dsc;

/// Bytes that are written at a time.
static constexpr size_t windowBytes = size_t(4) << 20;

/// For tests: DSC_SAVE_BYTES_PER_SECOND slows down what a rank writes.
static double bytesPerSecond() {
  const char *text = std::getenv("DSC_SAVE_BYTES_PER_SECOND");
  return text ? std::atof(text) : 0;
}

Result<SharedTensorFile> SharedTensorFile::plan(const std::string &path,
                                                std::vector<SavedTensor> tensors,
                                                std::map<std::string, std::string> metadata,
                                                int ranks) {
  SharedTensorFile file;
  file.name = path;
  std::vector<TensorToWrite> shapes;
  for (const SavedTensor &tensor : tensors) {
    TensorToWrite shape;
    shape.name = tensor.name;
    shape.dtype = tensor.spec->dtype;
    shape.shape = tensor.spec->shape;
    if (tensor.byRank) {
      shape.shape.insert(shape.shape.begin(), ranks);
    }
    shapes.push_back(std::move(shape));
  }
  Result<SafetensorsHeader> header = safetensorsHeader(path, shapes, std::move(metadata));
  DSC_RETURN_IF_FAILED(header.status());
  file.header = std::move(*header);
  file.sums.resize(tensors.size());
  file.saved = std::move(tensors);
  return file;
}

SharedTensorFile::SharedTensorFile(SharedTensorFile &&other) noexcept
    : name(std::move(other.name)), saved(std::move(other.saved)), header(std::move(other.header)),
      sums(std::move(other.sums)), fd(std::exchange(other.fd, -1)), window(std::move(other.window)),
      windowTensor(other.windowTensor), windowOffset(other.windowOffset) {}

SharedTensorFile::~SharedTensorFile() {
  if (fd >= 0) {
    close(fd);
  }
}

Status SharedTensorFile::create() const {
  unlink(name.c_str());
  int made = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (made < 0) {
    return writeError(name);
  }
  Status status =
      writeAt(made, name, 0, header.text.data(), static_cast<int64_t>(header.text.size()));
  // Room for all of it now, so that a full disk is found before anything is written; where the
  // file system cannot promise room, at least the size.
  if (status.ok() && fallocate(made, 0, 0, bytes()) != 0 &&
      (errno != EOPNOTSUPP || ftruncate(made, bytes()) != 0)) {
    status = writeError(name);
  }
  close(made);
  return status;
}

Status SharedTensorFile::flush() {
  const auto bytes = static_cast<int64_t>(window.size());
  if (bytes == 0) {
    return {};
  }
  const int64_t behind = tensorBytes(windowTensor) - windowOffset - bytes;
  sums[windowTensor] ^= crc32cShifted(crc32cRemainder(window.data(), bytes), behind);
  Status written =
      writeAt(fd, name, header.offsets[windowTensor] + windowOffset, window.data(), bytes);
  window.clear();
  if (const double rate = bytesPerSecond(); rate > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(static_cast<double>(bytes) / rate));
  }
  return written;
}

Status SharedTensorFile::append(size_t tensor, int64_t offset, const std::byte *data,
                                int64_t bytes) {
  const bool follows =
      tensor == windowTensor && offset == windowOffset + static_cast<int64_t>(window.size());
  if (!follows) {
    DSC_RETURN_IF_FAILED(flush());
    windowTensor = tensor;
    windowOffset = offset;
  }
  while (bytes > 0) {
    const int64_t count =
        std::min(bytes, static_cast<int64_t>(windowBytes) - static_cast<int64_t>(window.size()));
    window.insert(window.end(), data, data + count);
    data += count;
    offset += count;
    bytes -= count;
    if (window.size() == windowBytes) {
      DSC_RETURN_IF_FAILED(flush());
      windowOffset = offset;
    }
  }
  return {};
}

Status SharedTensorFile::writeTensor(Session &session, size_t index) {
  const SavedTensor &tensor = saved[index];
  const GlobalSpec &spec = *tensor.spec;
  const int64_t size = dtypeSize(spec.dtype);
  if (tensor.byRank) {
    const int64_t bytes = tensorBytes(index) / session.ranks();
    return forEachRun(spec, [&](int64_t place, int64_t dense, int64_t count) {
      return append(index, session.rank() * bytes + dense * size,
                    tensor.storage->data() + place * size, count * size);
    });
  }
  const bool gathers = needsGathering(spec);
  auto visit = [&](auto write) {
    return forEachSlice(session.manifest(), spec, session.ranks(), session.rank(), write);
  };
  if (!gathers && spec.strides.empty() && !tensor.storage) {
    return visit([&](const Slice &slice) {
      return session.read(spec, slice.place * size, (slice.place + slice.count) * size,
                          [&](const std::byte *data, int64_t offset, int64_t bytes) {
                            return append(index, offset, data, bytes);
                          });
    });
  }
  std::vector<std::byte> read;
  if (!tensor.storage) {
    Result<std::vector<std::byte>> bytes = gathers ? session.wholeBytes(spec) : session.bytes(spec);
    DSC_RETURN_IF_FAILED(bytes.status());
    read = std::move(*bytes);
  }
  const std::byte *storage = tensor.storage ? tensor.storage->data() : read.data();
  return visit([&](const Slice &slice) {
    return append(index, slice.dense * size, storage + slice.place * size, slice.count * size);
  });
}

Status SharedTensorFile::writeOwn(Session &session, Status failure) {
  if (failure.ok()) {
    fd = ::open(name.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    failure = fd < 0 ? writeError(name) : Status();
  }
  for (size_t i = 0; i < saved.size(); ++i) {
    if (failure.ok()) {
      failure = writeTensor(session, i);
    } else if (needsGathering(*saved[i].spec)) {
      // The other ranks need this one's part.
      (void)session.wholeBytes(*saved[i].spec).status().ok();
    }
  }
  if (failure.ok()) {
    failure = flush();
  }
  if (failure.ok() && fsync(fd) != 0) {
    failure = writeError(name);
  }
  if (fd >= 0) {
    close(std::exchange(fd, -1));
  }
  return failure;
}

Result<std::vector<std::vector<uint32_t>>>
dsc::writeTogether(Session &session, Ranks &ranks, std::vector<SharedTensorFile> &files) {
  Status status;
  for (const SharedTensorFile &file : files) {
    if (ranks.isFirst() && status.ok()) {
      status = file.create();
    }
  }
  DSC_RETURN_IF_FAILED(ranks.agree(status, {}));
  std::string own;
  for (SharedTensorFile &file : files) {
    status = file.writeOwn(session, status);
    own.append(reinterpret_cast<const char *>(file.remainders().data()),
               file.remainders().size() * sizeof(uint32_t));
  }
  DSC_RETURN_IF_FAILED(ranks.agree(status, {}));
  Result<std::vector<std::string>> all = ranks.gather(own);
  DSC_RETURN_IF_FAILED(all.status());
  std::vector<std::vector<uint32_t>> checksums;
  size_t at = 0;
  for (const SharedTensorFile &file : files) {
    if (!ranks.isFirst()) {
      break;
    }
    checksums.emplace_back();
    for (size_t i = 0; i < file.tensors().size(); ++i, at += sizeof(uint32_t)) {
      uint32_t remainders = 0;
      for (const std::string &theirs : *all) {
        uint32_t one;
        std::memcpy(&one, theirs.data() + at, sizeof one);
        remainders ^= one;
      }
      checksums.back().push_back(crc32cOfParts(remainders, file.tensorBytes(i)));
    }
  }
  return checksums;
}
