// Opening and converting. Values convert among float types only, and a finite one that the target
// type cannot hold is an error.

#include "tools/dsc/TrainedWeights.h"

#include "runtime/Convert.h"
#include "runtime/Weights.h"

using namespace dsc;

Result<TrainedWeights> TrainedWeights::open(const std::string &path) {
  Result<TensorSet> set = TensorSet::open(path);
  if (set.failed()) {
    return set.status();
  }
  TrainedWeights weights(path, std::make_shared<TensorSet>(std::move(*set)));
  for (const Safetensors &file : weights.set->files()) {
    for (const TensorView &view : file.tensors()) {
      // A shard may hold more than its index names.
      if (weights.set->find(view.name)) {
        weights.ordered.push_back(view);
      }
    }
  }
  if (weights.ordered.empty()) {
    return Status::user(path + ": holds no tensors");
  }
  return weights;
}

static std::string readElements(const TensorView &view, int64_t first, int64_t count, int32_t type,
                                char *out) {
  auto to = static_cast<Dtype>(type); // dsc_dtype has ONNX's numbers
  if (!converts(view.dtype, to)) {
    return format("is %s, and the model has %s there", dtypeName(view.dtype), dtypeName(to));
  }
  std::optional<BadValue> bad =
      convertValues(view.dtype, view.data + first * dtypeSize(view.dtype), to,
                    reinterpret_cast<std::byte *>(out), count, ValueRange());
  return bad ? format("element %lld: %s", static_cast<long long>(first + bad->index),
                      bad->why.c_str())
             : "";
}

std::vector<TrainedTensor> TrainedWeights::tensors() const {
  std::vector<TrainedTensor> tensors;
  for (const TensorView &view : ordered) {
    tensors.push_back({view.name, view.shape, dtypeName(view.dtype),
                       [&view](int64_t first, int64_t count, int32_t type, char *out) {
                         return readElements(view, first, count, type, out);
                       }});
  }
  return tensors;
}
