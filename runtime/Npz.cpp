// Stored zip archives of NumPy arrays.

#include "runtime/Npz.h"

#include "runtime/Npy.h"

#include <array>
#include <cstring>
#include <set>
#include <unistd.h>

using namespace dsc;

static const char ownComment[] = "dsc";

uint32_t dsc::crc32(uint32_t crc, const void *data, size_t bytes) {
  // Eight tables let eight bytes be folded at a time.
  static const auto tables = [] {
    std::array<std::array<uint32_t, 256>, 8> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value >> 1) ^ (value & 1 ? 0xedb88320u : 0);
      }
      t[0][i] = value;
    }
    for (size_t k = 1; k < 8; ++k) {
      for (size_t i = 0; i < 256; ++i) {
        t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 255];
      }
    }
    return t;
  }();
  auto *p = static_cast<const uint8_t *>(data);
  crc = ~crc;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + 4, 4);
    low ^= crc;
    crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^
          tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^
          tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
  }
  for (; bytes; --bytes, ++p) {
    crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 255];
  }
  return ~crc;
}

namespace {
struct EndRecord {
  uint64_t count = 0, offset = 0, bytes = 0;
};

/// Finds the end of the central directory, following the 64-bit one where it is needed.
Result<EndRecord> findEnd(const MappedFile &file) {
  const int64_t size = file.size();
  int64_t at = -1;
  for (int64_t i = size - 22; i >= 0 && i >= size - 22 - 65535; --i) {
    if (loadLittle32(file.data() + i) == 0x06054b50 &&
        loadLittle16(file.data() + i + 20) == size - 22 - i) {
      at = i;
      break;
    }
  }
  if (at < 0) {
    return Status::user(file.path() + ": has no zip directory at its end: not an .npz file, or "
                                      "truncated");
  }
  const std::byte *end = file.data() + at;
  EndRecord record;
  record.count = loadLittle16(end + 10);
  record.bytes = loadLittle32(end + 12);
  record.offset = loadLittle32(end + 16);
  bool wide = record.count == 0xffff || record.bytes == 0xffffffff || record.offset == 0xffffffff;
  uint64_t directoryEnd = static_cast<uint64_t>(at);
  if (wide && at >= 20 && loadLittle32(end - 20) == 0x07064b50) {
    uint64_t where = loadLittle64(end - 20 + 8);
    if (size < 56 || where > static_cast<uint64_t>(at) - 20 ||
        static_cast<uint64_t>(at) - 20 - where < 56 ||
        loadLittle32(file.data() + where) != 0x06064b50) {
      return Status::user(file.path() + ": its 64-bit zip directory is damaged");
    }
    record.count = loadLittle64(file.data() + where + 32);
    record.bytes = loadLittle64(file.data() + where + 40);
    record.offset = loadLittle64(file.data() + where + 48);
    directoryEnd = where;
  }
  if (record.offset > directoryEnd || record.bytes > directoryEnd - record.offset ||
      record.count > record.bytes / 46) {
    return Status::user(format("%s: its zip directory says %llu bytes at %llu, which do not fit",
                               file.path().c_str(), static_cast<unsigned long long>(record.bytes),
                               static_cast<unsigned long long>(record.offset)));
  }
  return record;
}
} // namespace

Status Npz::readDirectory(const std::byte *directory, int64_t directoryBytes, uint64_t count,
                          std::vector<Member> &out) const {
  const auto dataEnd = static_cast<uint64_t>(directory - file->data());
  int64_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const std::byte *entry = directory + at;
    if (directoryBytes - at < 46 || loadLittle32(entry) != 0x02014b50) {
      return Status::user("its zip directory is damaged");
    }
    int64_t nameBytes = loadLittle16(entry + 28), extraBytes = loadLittle16(entry + 30);
    int64_t commentBytes = loadLittle16(entry + 32);
    if (directoryBytes - at - 46 < nameBytes + extraBytes + commentBytes) {
      return Status::user("its zip directory is damaged");
    }
    Member member;
    member.name.assign(reinterpret_cast<const char *>(entry) + 46, static_cast<size_t>(nameBytes));
    unsigned flags = loadLittle16(entry + 8), method = loadLittle16(entry + 10);
    member.checksum = loadLittle32(entry + 16);
    uint64_t stored = loadLittle32(entry + 20), plain = loadLittle32(entry + 24);
    uint64_t offset = loadLittle32(entry + 42);
    // The 64-bit extra field holds, in this order, only the values that do not fit above.
    const std::byte *extra = entry + 46 + nameBytes, *extraEnd = extra + extraBytes;
    while (extraEnd - extra >= 4) {
      unsigned id = loadLittle16(extra);
      int64_t length = loadLittle16(extra + 2);
      extra += 4;
      if (extraEnd - extra < length) {
        return Status::user("member \"" + member.name + "\": its zip entry is damaged");
      }
      if (id == 1) {
        const std::byte *field = extra, *fieldEnd = extra + length;
        for (uint64_t *value : {&plain, &stored, &offset}) {
          if (*value == 0xffffffff && fieldEnd - field >= 8) {
            *value = loadLittle64(field);
            field += 8;
          }
        }
      }
      extra += length;
    }
    at += 46 + nameBytes + extraBytes + commentBytes;
    auto wrong = [&](const std::string &what) {
      return Status::user("member \"" + member.name + "\": " + what);
    };
    if (flags & 1) {
      return wrong("is encrypted");
    }
    if (method != 0) {
      return wrong(
          "is compressed; save with numpy.savez instead of numpy.savez_compressed, so that "
          "training can read it in place");
    }
    if (stored != plain) {
      return wrong("its two sizes differ though it is not compressed");
    }
    if (offset > dataEnd || dataEnd - offset < 30 ||
        loadLittle32(file->data() + offset) != 0x04034b50) {
      return wrong("its data is not where the zip directory says");
    }
    const std::byte *local = file->data() + offset;
    uint64_t before = 30u + loadLittle16(local + 26) + loadLittle16(local + 28);
    if (dataEnd - offset < before || stored > dataEnd - offset - before) {
      return wrong("its data reaches past the end: the file is truncated");
    }
    if (loadLittle16(local + 26) != nameBytes ||
        std::memcmp(local + 30, member.name.data(), member.name.size()) != 0) {
      return wrong("has another name in its own header");
    }
    member.data = local + before;
    member.bytes = static_cast<int64_t>(stored);
    out.push_back(std::move(member));
  }
  return {};
}

Result<Npz> Npz::open(const std::string &path) {
  Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(path);
  if (mapped.failed()) {
    return mapped.status();
  }
  Npz result;
  result.file = *mapped;
  if ((*mapped)->size() < 22) {
    return Status::user(format("%s: has %lld bytes, which is no .npz file", path.c_str(),
                               static_cast<long long>((*mapped)->size())));
  }
  Result<EndRecord> end = findEnd(**mapped);
  if (end.failed()) {
    return end.status();
  }
  DSC_RETURN_IF_FAILED(result
                           .readDirectory((*mapped)->data() + end->offset,
                                          static_cast<int64_t>(end->bytes), end->count,
                                          result.members)
                           .in(path));
  std::set<std::string> names;
  for (const Member &member : result.members) {
    std::string name = member.name;
    if (name.size() < 4 || name.compare(name.size() - 4, 4, ".npy") != 0) {
      return Status::user(path + ": member \"" + name + "\" is not an .npy array");
    }
    name.resize(name.size() - 4);
    Result<TensorView> view = readNpy(name, member.data, member.bytes);
    if (view.failed()) {
      return view.status().in(path);
    }
    if (!names.insert(name).second) {
      return Status::user(path + ": the array \"" + name + "\" stands twice");
    }
    result.views.push_back(std::move(*view));
  }
  return result;
}

Status Npz::verify() const {
  for (const Member &member : members) {
    if (crc32(0, member.data, static_cast<size_t>(member.bytes)) != member.checksum) {
      return Status::user(file->path() + ": member \"" + member.name +
                          "\": its bytes differ from their checksum: the file is damaged");
    }
  }
  return {};
}

template <typename T> static void put(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof(T));
}

/// The part that local headers and directory entries share, with 64-bit sizes in the extra field.
static std::string zipHeader(const std::string &name, uint32_t checksum) {
  std::string out;
  put<uint16_t>(out, 45);         // version needed: 64-bit sizes
  put<uint16_t>(out, 0x800);      // names are UTF-8
  put<uint16_t>(out, 0);          // stored
  put<uint16_t>(out, 0);          // time
  put<uint16_t>(out, 1 << 5 | 1); // 1980-01-01: equal contents give equal files
  put<uint32_t>(out, checksum);
  put<uint32_t>(out, 0xffffffff);
  put<uint32_t>(out, 0xffffffff);
  put<uint16_t>(out, static_cast<uint16_t>(name.size()));
  return out;
}

static std::string localHeader(const std::string &name, uint32_t checksum, uint64_t bytes) {
  std::string out;
  put<uint32_t>(out, 0x04034b50);
  out += zipHeader(name, checksum);
  put<uint16_t>(out, 20);
  out += name;
  put<uint16_t>(out, 1);
  put<uint16_t>(out, 16);
  put<uint64_t>(out, bytes);
  put<uint64_t>(out, bytes);
  return out;
}

Result<size_t> NpzWriter::add(const std::string &name, Dtype dtype, const Shape &shape) {
  std::optional<int64_t> bytes = byteCount(dtype, shape);
  Member member;
  member.header = npyHeader(dtype, shape);
  if (!bytes || member.header.empty() || name.size() > 60000) {
    return Status::user("\"" + name + "\": cannot be stored as a NumPy array of type " +
                        dtypeName(dtype));
  }
  member.name = name + ".npy";
  member.offset = planned;
  member.bytes = member.header.size() + static_cast<uint64_t>(*bytes);
  member.expected = *bytes;
  member.checksum = crc32(0, member.header.data(), member.header.size());
  member.data =
      planned + static_cast<int64_t>(localHeader(member.name, 0, 0).size() + member.header.size());
  planned = member.data + *bytes;
  members.push_back(std::move(member));
  return members.size() - 1;
}

Status NpzWriter::append(size_t array, const void *data, int64_t bytes) {
  Member &member = members[array];
  member.checksum = crc32(member.checksum, data, static_cast<size_t>(bytes));
  DSC_RETURN_IF_FAILED(writer.overwrite(member.data, data, bytes));
  member.data += bytes;
  member.expected -= bytes;
  return {};
}

Status NpzWriter::commit() {
  auto directory = static_cast<uint64_t>(planned);
  std::string out;
  for (const Member &member : members) {
    if (member.expected != 0) {
      return Status::internal(member.name + ": wrote a wrong number of bytes");
    }
    std::string header = localHeader(member.name, member.checksum, member.bytes) + member.header;
    DSC_RETURN_IF_FAILED(
        writer.overwrite(member.offset, header.data(), static_cast<int64_t>(header.size())));
  }
  for (const Member &member : members) {
    put<uint32_t>(out, 0x02014b50);
    put<uint16_t>(out, 45);
    out += zipHeader(member.name, member.checksum);
    put<uint16_t>(out, 28);
    put<uint16_t>(out, 0); // comment
    put<uint16_t>(out, 0); // disk
    put<uint16_t>(out, 0); // attributes
    put<uint32_t>(out, 0);
    put<uint32_t>(out, 0xffffffff);
    out += member.name;
    put<uint16_t>(out, 1);
    put<uint16_t>(out, 24);
    put<uint64_t>(out, member.bytes);
    put<uint64_t>(out, member.bytes);
    put<uint64_t>(out, static_cast<uint64_t>(member.offset));
  }
  uint64_t directoryBytes = out.size(), wideEnd = directory + out.size();
  put<uint32_t>(out, 0x06064b50);
  put<uint64_t>(out, 44);
  put<uint16_t>(out, 45);
  put<uint16_t>(out, 45);
  put<uint32_t>(out, 0);
  put<uint32_t>(out, 0);
  put<uint64_t>(out, members.size());
  put<uint64_t>(out, members.size());
  put<uint64_t>(out, directoryBytes);
  put<uint64_t>(out, directory);
  put<uint32_t>(out, 0x07064b50);
  put<uint32_t>(out, 0);
  put<uint64_t>(out, wideEnd);
  put<uint32_t>(out, 1);
  put<uint32_t>(out, 0x06054b50);
  put<uint16_t>(out, 0);
  put<uint16_t>(out, 0);
  put<uint16_t>(out, 0xffff);
  put<uint16_t>(out, 0xffff);
  put<uint32_t>(out, 0xffffffff);
  put<uint32_t>(out, 0xffffffff);
  put<uint16_t>(out, sizeof(ownComment) - 1);
  out += ownComment;
  DSC_RETURN_IF_FAILED(writer.overwrite(planned, out.data(), static_cast<int64_t>(out.size())));
  return writer.commit();
}

Status dsc::checkOverwritesOwnNpz(const std::string &path) {
  if (access(path.c_str(), F_OK) != 0) {
    return {};
  }
  Result<std::shared_ptr<MappedFile>> old = MappedFile::open(path);
  constexpr int64_t length = sizeof(ownComment) - 1;
  if (old.ok() && (*old)->size() >= 22 + length &&
      std::memcmp((*old)->data() + (*old)->size() - length, ownComment, length) == 0 &&
      loadLittle32((*old)->data() + (*old)->size() - length - 22) == 0x06054b50) {
    return {};
  }
  return Status::user(path + ": exists and was not written by dsc; move it away or name another "
                             "file");
}
