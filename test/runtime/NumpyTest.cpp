// Strict reading of .npy and .npz.

#include "TestExecutable.h"

#include "runtime/Npy.h"
#include "runtime/Npz.h"

#include <gmock/gmock.h>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

static Result<TensorView> read(const std::string &bytes) {
  return readNpy("a", reinterpret_cast<const std::byte *>(bytes.data()),
                 static_cast<int64_t>(bytes.size()));
}

static std::string npy(const std::string &header, const std::string &data, char version = 1) {
  std::string text = header + "\n", file = "\x93NUMPY";
  file += version;
  file += '\0';
  file += static_cast<char>(text.size() & 255);
  file += static_cast<char>(text.size() >> 8);
  if (version > 1) {
    file += std::string(2, '\0');
  }
  return file + text + data;
}

TEST(Npy, ReadsWhatNumpyWrites) {
  // The bytes of numpy.save(numpy.arange(6, dtype='<i4').reshape(2, 3)).
  std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }";
  header.append(128 - 10 - 1 - header.size(), ' ');
  const std::string file = npy(header, bytesOf<int32_t>({0, 1, 2, 3, 4, 5}));
  Result<TensorView> view = read(file);
  ASSERT_TRUE(view.ok()) << view.status().message();
  EXPECT_EQ(view->shape, Shape({2, 3}));
  EXPECT_EQ(loadAsInteger(view->dtype, view->data, 5), 5);
  EXPECT_TRUE(read(npy(header, bytesOf<int32_t>({0, 1, 2, 3, 4, 5}), 2)).ok());
  // One dim in Fortran order is C order; scalars and Python 2's long dims are fine.
  EXPECT_TRUE(
      read(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1L,), }", bytesOf<float>({1})))
          .ok());
  EXPECT_TRUE(read(npy("{'descr': '|u1', 'fortran_order': False, 'shape': ()}", "x")).ok());
}

TEST(Npy, HeadersRoundTrip) {
  for (const Shape &shape : {Shape{}, Shape{3}, Shape{2, 0, 5}, Shape{1, 2, 3, 4}}) {
    Array array{"a", DSC_F32, shape,
                std::string(static_cast<size_t>(*byteCount(DSC_F32, shape)), 'x')};
    std::string file = npyFile(array);
    EXPECT_EQ((file.size() - array.bytes.size()) % 64, 0u);
    Result<TensorView> view = read(file);
    ASSERT_TRUE(view.ok()) << view.status().message();
    EXPECT_EQ(view->shape, shape);
  }
  EXPECT_EQ(npyHeader(DSC_BF16, {1}), "");
}

TEST(Npy, RefusesLies) {
  const std::string four = bytesOf<float>({1, 2, 3, 4});
  auto header = [](const char *type, const char *order, const char *shape) {
    return format("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", type, order, shape);
  };
  std::pair<std::string, const char *> cases[] = {
      {"", "is empty"},
      {"NUMPY and more", "not in NumPy's"},
      {npy(header("<f4", "False", "(4,)"), four.substr(1)), "truncated"},
      {npy(header("<f4", "False", "(4,)"), four + "x"), "too long"},
      {npy(header("<f4", "False", "(4,)"), four, 4), "version 4.0"},
      {npy(header("<f4", "False", "(4,)"), four).substr(0, 20), "truncated in its header"},
      {npy(header("<f4", "False", "(4,)"), four, 3).substr(0, 11), "truncated in its header"},
      {npy(header("<f4", "True", "(2, 2)"), four), "ascontiguousarray"},
      {npy(header(">f4", "False", "(4,)"), four), "big-endian"},
      {npy(header("|O", "False", "(4,)"), four), "has type \"|O\""},
      {npy(header("<c8", "False", "(2,)"), four), "has type \"<c8\""},
      {npy(header("", "False", "(4,)"), four), "has type \"\""},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", four),
       "structured"},
      {npy(header("<f4", "False", "(-4,)"), four), "not NumPy's"},
      {npy(header("<f4", "False", "(4"), four), "not NumPy's"},
      {npy(header("<f4", "Maybe", "(4,)"), four), "not NumPy's"},
      {npy(header("<f4", "False", "(99999999999999999999,)"), four), "not NumPy's"},
      {npy(header("<f4", "False", "(4294967296, 4294967296)"), four), "too large"},
      {npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", four),
       "structured"},
      {npy("{'descr': '<f4', 'shape': (4,)}", four), "not NumPy's"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1}", four), "not NumPy's"},
  };
  for (const auto &[bytes, message] : cases) {
    EXPECT_THAT(read(bytes).status().message(), HasSubstr(message));
  }
}

TEST(Crc32, IsTheOneOfZip) {
  EXPECT_EQ(crc32(0, "123456789", 9), 0xcbf43926u);
  EXPECT_EQ(crc32(crc32(0, "1234", 4), "56789", 5), 0xcbf43926u);
  EXPECT_EQ(crc32(0, "", 0), 0u);
}

TEST(Npz, ReadsWhatItWrites) {
  TemporaryFolder folder;
  std::string path = folder / "a.npz";
  writeArrays(path, {{"x", DSC_F32, {2}, bytesOf<float>({1, 2})},
                     {"labels", DSC_I64, {2}, bytesOf<int64_t>({3, 4})}});
  Result<Npz> file = Npz::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->tensors()[1].name, "labels");
  EXPECT_EQ(loadAsInteger(DSC_I64, file->tensors()[1].data, 1), 4);
  EXPECT_TRUE(file->verify().ok());
  EXPECT_TRUE(checkOverwritesOwnNpz(path).ok());
  writeFile(folder / "foreign.npz", "foreign");
  EXPECT_TRUE(checkOverwritesOwnNpz(folder / "foreign.npz").failed());
}

/// A zip of stored members with 32-bit sizes, as zip tools write it.
static std::string plainZip(const std::string &name, const std::string &data, uint16_t method = 0,
                            uint16_t flags = 0, uint32_t size = 0) {
  auto put = [](std::string &out, uint64_t value, int bytes) {
    out.append(reinterpret_cast<const char *>(&value), static_cast<size_t>(bytes));
  };
  uint32_t length = size ? size : static_cast<uint32_t>(data.size());
  auto common = [&](std::string &out) {
    put(out, 20, 2);
    put(out, flags, 2);
    put(out, method, 2);
    put(out, 0, 4);
    put(out, crc32(0, data.data(), data.size()), 4);
    put(out, length, 4);
    put(out, length, 4);
    put(out, name.size(), 2);
    put(out, 0, 2);
  };
  std::string file = "PK\3\4";
  common(file);
  file += name + data;
  uint64_t begin = file.size();
  file += std::string("PK\1\2") + std::string(1, 20) + std::string(1, 0);
  common(file);
  file += std::string(2 + 2 + 2 + 4 + 4, 0);
  file.resize(begin + 46);
  file += name;
  uint64_t end = file.size();
  file += std::string("PK\5\6") + std::string(4, '\0');
  put(file, 1, 2);
  put(file, 1, 2);
  put(file, end - begin, 4);
  put(file, begin, 4);
  put(file, 0, 2);
  return file;
}

TEST(Npz, ReadsPlainZipsAndRefusesOthers) {
  TemporaryFolder folder;
  std::string path = folder / "a.npz";
  std::string array = npyFile({"x", DSC_F32, {2}, bytesOf<float>({1, 2})});
  writeFile(path, plainZip("x.npy", array));
  Result<Npz> file = Npz::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->tensors()[0].name, "x");
  EXPECT_TRUE(file->verify().ok());
  std::string damaged = plainZip("x.npy", array);
  damaged[35 + array.size() - 1] ^= 1;
  writeFile(path, damaged);
  EXPECT_THAT(Npz::open(path)->verify().message(), HasSubstr("differ from their checksum"));
  std::pair<std::string, const char *> cases[] = {
      {plainZip("x.npy", array, 8), "savez instead of"},
      {plainZip("x.npy", array, 0, 1), "encrypted"},
      {plainZip("x.npy", array, 0, 0, 10000), "reaches past the end"},
      {plainZip("x.txt", array), "not an .npy array"},
      {plainZip("x.npy", "hello hello"), "not in NumPy's"},
      {std::string(100, 'x'), "no zip directory"},
      {"PK", "has 2 bytes"},
  };
  for (const auto &[bytes, message] : cases) {
    writeFile(path, bytes);
    EXPECT_THAT(Npz::open(path).status().message(), HasSubstr(message));
  }
}

TEST(Npz, SurvivesEveryTruncationAndByteFlip) {
  TemporaryFolder folder;
  std::string path = folder / "a.npz";
  writeArrays(path, {{"x", DSC_F32, {2}, bytesOf<float>({1, 2})}});
  const std::string whole = readFile(path);
  for (size_t length = 0; length < whole.size(); ++length) {
    writeFile(path, whole.substr(0, length));
    EXPECT_TRUE(Npz::open(path).failed()) << length;
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit : {0, 2, 7}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      writeFile(path, changed);
      Result<Npz> file = Npz::open(path);
      for (size_t i = 0; file.ok() && i < file->tensors().size(); ++i) {
        const TensorView &tensor = file->tensors()[i];
        for (int64_t k = 0; k < tensor.elements(); ++k) {
          loadAsDouble(tensor.dtype, tensor.data, k);
        }
      }
    }
  }
}
