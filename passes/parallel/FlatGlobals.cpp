// Declaring flat globals.

#include "passes/parallel/FlatGlobals.h"

#include "mlir/IR/Builders.h"

#include <deque>

using namespace mlir;
using namespace dsc;

bool dsc::isNumber(GlobalOp global) {
  return global.getRole() == GlobalRole::runtime && global.getOf();
}

/// The number that state starts at, if it does not come from a file.
static DenseElementsAttr fillOf(GlobalOp global) {
  auto value = dyn_cast_if_present<DenseElementsAttr>(global.getValueAttr());
  return value && value.isSplat() ? value : DenseElementsAttr();
}

/// Parameters of one class are alike in everything that a bucket has once.
static std::string classOf(const ShardedParameter &parameter, Type gradient) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << gradient;
  for (auto [kind, global] : parameter.globals) {
    GlobalOp each = global;
    os << '|' << kind << ':' << each.getTensorType().getElementType() << ':'
       << stringifyGlobalRole(each.getRole());
    if (DenseElementsAttr fill = each.getRole() == GlobalRole::state ? fillOf(each) : nullptr) {
      os << '=' << fill.getSplatValue<Attribute>();
    }
  }
  return text;
}

FlatGlobals::FlatGlobals(ModuleOp module, ArrayRef<GlobalOp> parameters, ArrayRef<Type> gradients,
                         int64_t bucketBytes)
    : module(module), symbols(module) {
  llvm::DenseMap<Attribute, SmallVector<GlobalOp>> belonging;
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getOfAttr() && global.getSlotKind() && !global.getWithin()) {
      belonging[global.getOfAttr().getAttr()].push_back(global);
    }
  }
  llvm::MapVector<StringRef, std::pair<Type, SmallVector<ShardedParameter>>> classes;
  std::deque<std::string> names;
  for (auto [global, gradient] : llvm::zip_equal(parameters, gradients)) {
    GlobalOp parameter = global;
    ShardedParameter entry{parameter, {}};
    entry.globals[""] = parameter;
    SmallVector<GlobalOp> state = belonging.lookup(parameter.getSymNameAttr());
    llvm::sort(state, [](GlobalOp a, GlobalOp b) { return *a.getSlotKind() < *b.getSlotKind(); });
    for (GlobalOp each : state) {
      if (isNumber(each) ||
          each.getTensorType().getShape() == parameter.getTensorType().getShape()) {
        entry.globals[*each.getSlotKind()] = each;
      }
    }
    names.push_back(classOf(entry, gradient));
    auto &[type, members] = classes[names.back()];
    type = gradient;
    members.push_back(std::move(entry));
  }
  for (auto &[name, entry] : classes) {
    auto &[gradient, members] = entry;
    std::vector<int64_t> elements;
    int64_t chunks = 0;
    for (ShardedParameter &member : members) {
      elements.push_back(member.parameter.getTensorType().getNumElements());
      chunks += dsc_chunks(elements.back());
    }
    int64_t bytes = elementBytes(gradient);
    int64_t size = bucketBytes > 0 ? bucketBytes / (DSC_CHUNK_ELEMENTS * bytes)
                                   : defaultBucketChunks(chunks, bytes);
    for (ShardBucket &plan : cutBuckets(elements, size)) {
      if (plan.members.size() == 1 && elements[plan.members[0].parameter] == 1) {
        continue;
      }
      Bucket bucket{"bucket." + std::to_string(buckets_.size()), std::move(plan), {}, {}, {}};
      for (const ShardBucket::Member &member : bucket.plan.members) {
        bucket.parameters.push_back(std::move(members[member.parameter]));
      }
      buckets_.push_back(std::move(bucket));
    }
  }
  for (Bucket &bucket : buckets_) {
    declare(bucket);
  }
}

void FlatGlobals::declare(Bucket &bucket) {
  OpBuilder builder(bucket.parameters.front().parameter);
  MLIRContext *context = module.getContext();
  Location loc = NameLoc::get(builder.getStringAttr(bucket.name));
  auto insert = [&](const Twine &name, DenseElementsAttr value, GlobalRole role, GlobalOp of,
                    StringRef kind) {
    auto global = builder.create<GlobalOp>(
        loc, builder.getStringAttr(name), TypeAttr::get(value.getType()),
        GlobalRoleAttr::get(context, role), value, SourceAttr(), ArrayAttr(), StringAttr(),
        of ? FlatSymbolRefAttr::get(of.getSymNameAttr()) : FlatSymbolRefAttr(),
        kind.empty() ? StringAttr() : builder.getStringAttr(kind), SlotAttr(), StorageAttr(),
        PlaceAttr(), UnitAttr());
    symbols.insert(global, Block::iterator(global)); // the name is new also to the model
    return global;
  };
  for (auto &[kind, example] : bucket.parameters.front().globals) {
    bool isFilled = example.getRole() == GlobalRole::state || isNumber(example);
    DenseElementsAttr fill = isFilled ? fillOf(example) : nullptr;
    Type element = example.getTensorType().getElementType();
    Attribute start = fill ? fill.getSplatValue<Attribute>() : builder.getZeroAttr(element);
    std::string name = kind.empty() ? bucket.name : bucket.name + "." + kind.str();
    RankedTensorType type = isNumber(example) ? bucket.numberType(element) : bucket.type(element);
    bucket.flat[kind] = insert(name, DenseElementsAttr::get(type, start), example.getRole(),
                               kind.empty() ? GlobalOp() : bucket.flat[""], kind);
  }
  SmallVector<int32_t> counts(bucket.plan.chunks, DSC_CHUNK_ELEMENTS);
  bool hasPadding = false;
  for (auto [i, member] : llvm::enumerate(bucket.plan.members)) {
    int64_t elements = bucket.memberType(i).getNumElements();
    int64_t rest = elements - (member.chunks - 1) * DSC_CHUNK_ELEMENTS;
    counts[member.firstChunk + member.chunks - 1] = static_cast<int32_t>(rest);
    hasPadding |= rest != DSC_CHUNK_ELEMENTS;
    for (auto &[kind, global] : bucket.parameters[i].globals) {
      places[global.getSymNameAttr()] = {&bucket, i, kind, isNumber(global)};
    }
  }
  if (hasPadding) {
    auto type = RankedTensorType::get({bucket.plan.chunks, 1}, builder.getI32Type());
    bucket.chunkElements =
        insert(bucket.name + ".chunk_elements", DenseElementsAttr::get(type, ArrayRef(counts)),
               GlobalRole::constant, {}, {});
  }
}

const FlatPlace *FlatGlobals::find(Attribute name) const {
  auto it = places.find(name);
  return it == places.end() ? nullptr : &it->second;
}

void FlatGlobals::placeParts() {
  for (Bucket &bucket : buckets_) {
    for (auto [i, parameter] : llvm::enumerate(bucket.parameters)) {
      for (auto &[kind, global] : parameter.globals) {
        const ShardBucket::Member &member = bucket.plan.members[i];
        if (isNumber(global)) { // one a chunk now
          auto type =
              RankedTensorType::get({member.chunks, 1}, global.getTensorType().getElementType());
          global.setValueAttr(
              DenseElementsAttr::get(type, fillOf(global).getSplatValue<Attribute>()));
          global.setTypeAttr(TypeAttr::get(type));
        }
        global.setWithinAttr(PlaceAttr::get(
            module.getContext(), FlatSymbolRefAttr::get(bucket.flat[kind].getSymNameAttr()),
            isNumber(global) ? member.firstChunk : bucket.offset(i)));
      }
    }
  }
}
