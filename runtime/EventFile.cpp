// Encoding of Event messages, and the records around them.

#include "runtime/EventFile.h"

#include "runtime/FileWriter.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

using namespace dsc;

//===----------------------------------------------------------------------===//
// Protocol buffers, as far as events go
//===----------------------------------------------------------------------===//

namespace {
enum WireType : unsigned { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

/// A message under construction.
class Message {
public:
  void number(unsigned field, int64_t value) {
    key(field, Varint);
    varint(static_cast<uint64_t>(value));
  }
  void real(unsigned field, double value) {
    key(field, Fixed64);
    append(value);
  }
  void single(unsigned field, float value) {
    key(field, Fixed32);
    append(value);
  }
  void text(unsigned field, std::string_view value) {
    key(field, Bytes);
    varint(value.size());
    bytes.append(value);
  }
  const std::string &encoded() const { return bytes; }

private:
  std::string bytes;

  void key(unsigned field, WireType type) { varint(uint64_t(field) << 3 | type); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes += static_cast<char>(value | 0x80);
    }
    bytes += static_cast<char>(value);
  }
  /// Little-endian, as every machine that this runs on.
  template <typename T> void append(T value) {
    char data[sizeof value];
    std::memcpy(data, &value, sizeof value);
    bytes.append(data, sizeof value);
  }
};

/// Field numbers of Event, Summary and Summary.Value.
enum EventField : unsigned { WallTime = 1, Step = 2, FileVersion = 3, SummaryOf = 5 };
enum SummaryField : unsigned { ValueOf = 1 };
enum ValueField : unsigned { Tag = 1, SimpleValue = 2 };
} // namespace

static double now() {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

//===----------------------------------------------------------------------===//
// Records
//===----------------------------------------------------------------------===//

uint32_t dsc::maskedCrc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> entries = {};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = value >> 1 ^ (value & 1 ? 0x82f63b78u : 0);
      }
      entries[i] = value;
    }
    return entries;
  }();
  uint32_t crc = ~0u;
  for (char byte : bytes) {
    crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ crc >> 8;
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

EventFile::~EventFile() {
  if (fd >= 0) {
    close(fd);
  }
}

Status EventFile::record(const std::string &event) {
  const uint64_t length = event.size();
  std::string header(reinterpret_cast<const char *>(&length), sizeof length);
  auto withCrc = [](const std::string &bytes) {
    const uint32_t crc = maskedCrc32c(bytes);
    return bytes + std::string(reinterpret_cast<const char *>(&crc), sizeof crc);
  };
  const std::string whole = withCrc(header) + withCrc(event);
  for (size_t done = 0; done < whole.size();) {
    ssize_t count = write(fd, whole.data() + done, whole.size() - done);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return Status::machine(format("%s: cannot write: %s", path.c_str(), std::strerror(errno)));
    }
    done += static_cast<size_t>(count);
  }
  return {};
}

Status EventFile::open(const std::string &folder) {
  if (!makeFolder(folder)) {
    return Status::user(format("--tensorboard %s: %s", folder.c_str(), std::strerror(errno)));
  }
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  const double time = now();
  path = format("%s/events.out.tfevents.%.6f.%s.%d", folder.c_str(), time, host,
                static_cast<int>(getpid()));
  fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) {
    return Status::user(
        format("--tensorboard %s: cannot write: %s", path.c_str(), std::strerror(errno)));
  }
  Message event;
  event.real(WallTime, time);
  event.text(FileVersion, "brain.Event:2");
  return record(event.encoded());
}

Status EventFile::scalars(int64_t step, const std::vector<std::pair<std::string, double>> &values) {
  if (fd < 0) {
    return {};
  }
  Message summary;
  for (const auto &[tag, number] : values) {
    Message value;
    value.text(Tag, tag);
    value.single(SimpleValue, static_cast<float>(number));
    summary.text(ValueOf, value.encoded());
  }
  Message event;
  event.real(WallTime, now());
  event.number(Step, step);
  event.text(SummaryOf, summary.encoded());
  return record(event.encoded());
}
