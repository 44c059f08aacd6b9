// How libFuzzer changes a model: as a message, so that most results still parse and get past the
// reader. Fields are drawn evenly over the whole message; one input in eight is changed as bytes.
// Deterministic in the seed, as libFuzzer asks.

#include "frontend/Frontend.h"

#include "onnx/onnx_pb.h"

#include <cmath>
#include <limits>
#include <random>

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

/// A field that is present, or a field of a present message that could be.
struct Place {
  Message *message;
  const FieldDescriptor *field;
};

class Mutator {
public:
  explicit Mutator(unsigned seed) : random(seed) {}

  size_t below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random); }

  /// Changes one place of `model`.
  void mutate(onnx::ModelProto &model);

  /// Puts one message of `donor` where `model` has one of the same kind.
  void graft(onnx::ModelProto &model, const onnx::ModelProto &donor);

private:
  void walk(Message &message);
  void mutateRepeated(const Place &place);
  void mutateScalar(const Place &place, int index);
  std::string mutateText(const Place &place, const std::string &old);
  int64_t integer();
  double real();

  std::mt19937 random;
  std::vector<Place> places;         // fields that a walk has found
  std::vector<Message *> messages;   // and messages
  std::vector<std::string> wordPool; // and the strings in them
};

} // namespace

void Mutator::walk(Message &message) {
  messages.push_back(&message);
  const Reflection &reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor *field = message.GetDescriptor()->field(i);
    int count = field->is_repeated() ? reflection.FieldSize(message, field)
                                     : reflection.HasField(message, field);
    // An absent field is drawn less often: most of them mean nothing for the message at hand.
    if (count > 0 || below(8) == 0) {
      places.push_back({&message, field});
    }
    for (int j = 0; j < count; ++j) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        walk(field->is_repeated() ? *reflection.MutableRepeatedMessage(&message, field, j)
                                  : *reflection.MutableMessage(&message, field));
      } else if (field->type() == FieldDescriptor::TYPE_STRING) {
        wordPool.push_back(field->is_repeated() ? reflection.GetRepeatedString(message, field, j)
                                                : reflection.GetString(message, field));
      }
    }
  }
}

int64_t Mutator::integer() {
  constexpr int64_t kEdges[] = {0,
                                1,
                                -1,
                                2,
                                -2,
                                3,
                                8,
                                64,
                                65536,
                                std::numeric_limits<int32_t>::max(),
                                std::numeric_limits<int32_t>::min(),
                                std::numeric_limits<int64_t>::max(),
                                std::numeric_limits<int64_t>::min(),
                                std::numeric_limits<int64_t>::max() / 2};
  return below(3) == 0 ? static_cast<int64_t>(below(30)) : kEdges[below(std::size(kEdges))];
}

double Mutator::real() {
  constexpr double kEdges[] = {0.0,    -0.0,
                               1.0,    -1.0,
                               0.5,    std::numeric_limits<float>::max(),
                               1e-30,  std::numeric_limits<double>::infinity(),
                               1000.0, std::numeric_limits<double>::quiet_NaN()};
  return kEdges[below(std::size(kEdges))];
}

std::string Mutator::mutateText(const Place &place, const std::string &old) {
  if (place.field->name() == "op_type" && below(2) == 0) {
    static const std::vector<dsc::SupportedOp> ops = dsc::supportedOps();
    return ops[below(ops.size())].op;
  }
  if (place.field->type() == FieldDescriptor::TYPE_STRING && !wordPool.empty() && below(4) != 0) {
    return wordPool[below(wordPool.size())];
  }
  std::vector<uint8_t> bytes(old.begin(), old.end());
  bytes.resize(old.size() + 16);
  bytes.resize(LLVMFuzzerMutate(bytes.data(), old.size(), bytes.size()));
  return std::string(bytes.begin(), bytes.end());
}

/// `index` < 0: the field itself, else an element of it.
void Mutator::mutateScalar(const Place &place, int index) {
  Message *message = place.message;
  const FieldDescriptor *field = place.field;
  const Reflection &reflection = *message->GetReflection();
  auto set = [&](auto plain, auto repeated, auto value) {
    index < 0 ? (reflection.*plain)(message, field, value)
              : (reflection.*repeated)(message, field, index, value);
  };
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT32:
    return set(&Reflection::SetInt32, &Reflection::SetRepeatedInt32,
               static_cast<int32_t>(integer()));
  case FieldDescriptor::CPPTYPE_UINT32:
    return set(&Reflection::SetUInt32, &Reflection::SetRepeatedUInt32,
               static_cast<uint32_t>(integer()));
  case FieldDescriptor::CPPTYPE_INT64:
    return set(&Reflection::SetInt64, &Reflection::SetRepeatedInt64, integer());
  case FieldDescriptor::CPPTYPE_UINT64:
    return set(&Reflection::SetUInt64, &Reflection::SetRepeatedUInt64,
               static_cast<uint64_t>(integer()));
  case FieldDescriptor::CPPTYPE_DOUBLE:
    return set(&Reflection::SetDouble, &Reflection::SetRepeatedDouble, real());
  case FieldDescriptor::CPPTYPE_FLOAT:
    return set(&Reflection::SetFloat, &Reflection::SetRepeatedFloat, static_cast<float>(real()));
  case FieldDescriptor::CPPTYPE_BOOL:
    return set(&Reflection::SetBool, &Reflection::SetRepeatedBool, below(2) == 0);
  case FieldDescriptor::CPPTYPE_ENUM:
    return set(&Reflection::SetEnum, &Reflection::SetRepeatedEnum,
               field->enum_type()->value(below(field->enum_type()->value_count())));
  case FieldDescriptor::CPPTYPE_STRING: {
    std::string old = index < 0 ? reflection.GetString(*message, field)
                                : reflection.GetRepeatedString(*message, field, index);
    std::string text = mutateText(place, old);
    return index < 0 ? reflection.SetString(message, field, text)
                     : reflection.SetRepeatedString(message, field, index, text);
  }
  case FieldDescriptor::CPPTYPE_MESSAGE: {
    // Copied before the target is touched: it may hold the target, or be freed with the member of a
    // oneof that the target replaces.
    const Message *source = messages[below(messages.size())];
    if (source->GetDescriptor() == field->message_type()) {
      std::unique_ptr<Message> copy(source->New());
      copy->CopyFrom(*source);
      (index < 0 ? reflection.MutableMessage(message, field)
                 : reflection.MutableRepeatedMessage(message, field, index))
          ->CopyFrom(*copy);
    }
    return;
  }
  }
}

void Mutator::mutateRepeated(const Place &place) {
  auto [message, field] = place;
  const Reflection &reflection = *message->GetReflection();
  int count = reflection.FieldSize(*message, field);
  bool isMessage = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (count == 0 || below(6) == 0) {
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.AddInt64(message, field, integer());
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.AddInt32(message, field, static_cast<int32_t>(integer()));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.AddFloat(message, field, static_cast<float>(real()));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.AddString(message, field, mutateText(place, ""));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Message *added = reflection.AddMessage(message, field);
      if (count > 0) {
        added->CopyFrom(reflection.GetRepeatedMessage(*message, field, below(count)));
      }
      return;
    }
    default:
      return;
    }
  }
  int index = static_cast<int>(below(count));
  switch (below(6)) {
  case 0: {
    reflection.SwapElements(message, field, index, count - 1);
    return reflection.RemoveLast(message, field);
  }
  case 1:
    return reflection.SwapElements(message, field, index, static_cast<int>(below(count)));
  default:
    if (isMessage && below(4) != 0) {
      return; // Inside messages stand places of their own.
    }
    return mutateScalar(place, index);
  }
}

void Mutator::mutate(onnx::ModelProto &model) {
  places.clear();
  messages.clear();
  wordPool.clear();
  walk(model);
  Place place = places[below(places.size())];
  if (place.field->is_repeated()) {
    return mutateRepeated(place);
  }
  if (below(8) == 0) {
    return place.message->GetReflection()->ClearField(place.message, place.field);
  }
  mutateScalar(place, -1);
}

void Mutator::graft(onnx::ModelProto &model, const onnx::ModelProto &donor) {
  onnx::ModelProto copy = donor;
  messages.clear();
  places.clear();
  wordPool.clear();
  walk(copy);
  std::vector<Message *> donated = std::move(messages);
  messages.clear();
  walk(model);
  for (int attempt = 0; attempt < 8; ++attempt) {
    const Message *source = donated[below(donated.size())];
    Message *target = messages[below(messages.size())];
    if (source->GetDescriptor() == target->GetDescriptor() && target != &model) {
      target->CopyFrom(*source);
      return;
    }
  }
}

/// Writes `model` to `data` if it fits; 0 where it does not.
static size_t write(const onnx::ModelProto &model, uint8_t *data, size_t maxSize) {
  size_t size = model.ByteSizeLong();
  if (size > maxSize || !model.SerializeToArray(data, static_cast<int>(size))) {
    return 0;
  }
  return size;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  Mutator mutator(seed);
  onnx::ModelProto model;
  if (mutator.below(8) == 0 || !model.ParseFromArray(data, static_cast<int>(size))) {
    return LLVMFuzzerMutate(data, size, maxSize);
  }
  for (size_t count = 1 + mutator.below(3); count > 0; --count) {
    mutator.mutate(model);
  }
  size_t written = write(model, data, maxSize);
  return written > 0 ? written : LLVMFuzzerMutate(data, size, maxSize);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t firstSize,
                                            const uint8_t *second, size_t secondSize, uint8_t *out,
                                            size_t maxSize, unsigned seed) {
  onnx::ModelProto model, donor;
  if (!model.ParseFromArray(first, static_cast<int>(firstSize)) ||
      !donor.ParseFromArray(second, static_cast<int>(secondSize))) {
    return 0;
  }
  Mutator(seed).graft(model, donor);
  return write(model, out, maxSize);
}
