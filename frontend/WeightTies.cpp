// Only tensors that agree in size and in their first and last element are read in full: both stay
// in place under a transpose.

#include "frontend/WeightTies.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>

#include <cstring>
#include <map>

using namespace dsc;
using namespace dsc::onnx_model;

static bool isRepeated(llvm::ArrayRef<char> bytes, size_t element) {
  return bytes.size() <= element ||
         std::memcmp(bytes.data(), bytes.data() + element, bytes.size() - element) == 0;
}

static std::vector<char> readAll(const Tensor &tensor) {
  std::vector<char> bytes;
  if (tensor.isMissing) {
    return bytes;
  }
  bytes.resize(tensor.byteCount());
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
  return !tensor.isMissing && llvm::all_of(bytes, [](char byte) { return byte == 0; });
}

/// Elements [0, count) as doubles; half types by their bits, which is enough to compare.
static std::vector<double> readNumbers(const Tensor &tensor, size_t count) {
  size_t size = bytesOf(tensor.type);
  std::vector<char> bytes(count * size);
  std::vector<double> values;
  if (size == 0 || !tensor.read(0, bytes)) {
    return values;
  }
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, &bytes[i * size], size);
    float single;
    auto value = static_cast<double>(bits);
    if (tensor.type == DataType::Float) {
      std::memcpy(&single, &bits, sizeof(single));
      value = single;
    } else if (tensor.type == DataType::Double) {
      std::memcpy(&value, &bits, sizeof(value));
    }
    values.push_back(value);
  }
  return values;
}

/// Whether the first two slices along dimension 0 have the same bits, in a tensor that has several.
static bool repeatsSlices(const Tensor &tensor) {
  if (tensor.dims.size() < 2 || tensor.dims[0] < 2) {
    return false;
  }
  size_t slice = tensor.byteCount() / tensor.dims[0];
  std::vector<char> first(slice), second(slice);
  return tensor.read(0, first) && tensor.read(slice, second) && first == second;
}

bool dsc::isMask(const Tensor &tensor) {
  auto total = static_cast<size_t>(tensor.elements());
  auto isMaskValue = [](double value) { return value == 0 || value == 1 || value < -1e3; };
  // Weights show a third value at once; only masks are read far.
  for (size_t count : {std::min<size_t>(total, 64), std::min<size_t>(total, size_t(1) << 18)}) {
    std::vector<double> values = readNumbers(tensor, count);
    std::optional<double> first, second;
    for (double value : values) {
      if (!isMaskValue(value)) {
        return false;
      }
      if (!first || value == *first) {
        first = value;
      } else if (!second || value == *second) {
        second = value;
      } else {
        return false;
      }
    }
    if (count == total || count > 64) {
      return tensor.dims.size() >= 2 && second.has_value();
    }
  }
  return false;
}

ValueFacts dsc::factsOf(const Tensor &tensor) {
  ValueFacts facts;
  auto total = static_cast<size_t>(tensor.elements());
  // Large tensors are judged by their beginning, and by whether whole slices repeat.
  std::vector<double> values = readNumbers(tensor, std::min<size_t>(total, size_t(1) << 17));
  facts.elements = values.size();
  facts.isMask = isMask(tensor);
  int64_t columns = tensor.dims.empty() ? 1 : tensor.dims.back();
  if (tensor.dims.size() >= 2 && columns >= 2 && values.size() > static_cast<size_t>(columns)) {
    bool firstRow = true;
    for (int64_t j = 0; j < columns; ++j) {
      firstRow = firstRow && (values[j] == 0 || values[j] == 1);
    }
    bool bounded = llvm::all_of(values, [](double value) { return value >= -1 && value <= 1; });
    facts.isSinusoid = firstRow && bounded && values[columns] != values[0];
  }
  llvm::sort(values);
  facts.distinct = std::unique(values.begin(), values.end()) - values.begin();
  if (values.size() < total && repeatsSlices(tensor)) {
    facts.distinct /= 2;
  }
  return facts;
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
