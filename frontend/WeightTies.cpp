// Only tensors that agree in size and in their first and last element are read in full: both stay
// in place under a transpose.

#include "frontend/WeightTies.h"

#include "llvm/ADT/StringRef.h"

#include <cstring>
#include <map>

using namespace dsc;
using namespace dsc::onnx_model;

static bool isRepeated(llvm::ArrayRef<char> bytes, size_t element) {
  return bytes.size() <= element ||
         std::memcmp(bytes.data(), bytes.data() + element, bytes.size() - element) == 0;
}

static std::vector<char> readAll(const Tensor &tensor) {
  std::vector<char> bytes(tensor.byteCount());
  if (!tensor.read(0, bytes)) {
    bytes.clear();
  }
  return bytes;
}

bool dsc::isFill(const Tensor &tensor) {
  std::vector<char> bytes = readAll(tensor);
  return !bytes.empty() && isRepeated(bytes, bytesOf(tensor.type));
}

bool dsc::isZero(const Tensor &tensor) {
  std::vector<char> bytes = readAll(tensor);
  return llvm::all_of(bytes, [](char byte) { return byte == 0; });
}

/// Whether b[j, i] == a[i, j] for matrices of `rows` x `columns` and back, bit for bit.
static bool isTranspose(llvm::ArrayRef<char> a, llvm::ArrayRef<char> b, int64_t rows,
                        int64_t columns, size_t element) {
  constexpr int64_t block = 32; // both walks stay in cache
  for (int64_t i0 = 0; i0 < rows; i0 += block) {
    for (int64_t j0 = 0; j0 < columns; j0 += block) {
      for (int64_t i = i0; i < std::min(i0 + block, rows); ++i) {
        for (int64_t j = j0; j < std::min(j0 + block, columns); ++j) {
          if (std::memcmp(&a[(i * columns + j) * element], &b[(j * rows + i) * element], element) !=
              0) {
            return false;
          }
        }
      }
    }
  }
  return true;
}

std::vector<WeightTie> dsc::findTies(llvm::ArrayRef<const Tensor *> tensors) {
  struct Key {
    DataType type;
    uint64_t bytes;
    std::string ends;
    bool operator<(const Key &other) const {
      return std::tie(type, bytes, ends) < std::tie(other.type, other.bytes, other.ends);
    }
  };
  std::map<Key, std::vector<size_t>> buckets;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor &tensor = *tensors[i];
    size_t element = bytesOf(tensor.type);
    if (tensor.byteCount() <= element) {
      continue;
    }
    std::string ends(2 * element, '\0');
    if (tensor.read(0, {ends.data(), element}) &&
        tensor.read(tensor.byteCount() - element, {ends.data() + element, element})) {
      buckets[{tensor.type, tensor.byteCount(), ends}].push_back(i);
    }
  }
  std::vector<WeightTie> ties;
  for (const auto &[key, members] : buckets) {
    std::vector<bool> tied(members.size(), false);
    for (size_t i = 0; i + 1 < members.size(); ++i) {
      if (tied[i]) {
        continue;
      }
      const Tensor &a = *tensors[members[i]];
      std::vector<char> bytes = readAll(a);
      size_t element = bytesOf(a.type);
      if (bytes.empty() || isRepeated(bytes, element)) {
        continue;
      }
      for (size_t j = i + 1; j < members.size(); ++j) {
        const Tensor &b = *tensors[members[j]];
        bool sameShape = a.dims == b.dims;
        bool swapped = a.dims.size() == 2 && b.dims.size() == 2 && a.dims[0] == b.dims[1] &&
                       a.dims[1] == b.dims[0];
        if (tied[j] || (!sameShape && !swapped)) {
          continue;
        }
        std::vector<char> other = &a == &b ? bytes : readAll(b);
        if (other.size() != bytes.size()) {
          continue;
        }
        if (sameShape && std::memcmp(bytes.data(), other.data(), bytes.size()) == 0) {
          tied[j] = true;
          ties.push_back({members[i], members[j], false});
        } else if (swapped && isTranspose(bytes, other, a.dims[0], a.dims[1], element)) {
          tied[j] = true;
          ties.push_back({members[i], members[j], true});
        }
      }
    }
  }
  return ties;
}
