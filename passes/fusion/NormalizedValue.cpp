// Normalized values from statistics, by the formula that ExpandNormalization.cpp expands norms to.

#include "passes/fusion/NormalizedValue.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;

Value dsc::scaleNormalized(ValueBuilder &b, Value centered, Value rstd, Value gamma, Value beta) {
  Value y = b.mul(centered, rstd);
  y = gamma ? b.mul(y, gamma) : y;
  return beta ? b.add(y, beta) : y;
}

SmallVector<int64_t> dsc::channelShape(RankedTensorType x, ConvLayout layout) {
  SmallVector<int64_t> shape(x.getRank(), 1);
  int64_t channel = layout == ConvLayout::channels_last ? x.getRank() - 1 : 1;
  shape[channel] = x.getDimSize(channel);
  return shape;
}

std::optional<NormalizedParts> dsc::normalizedParts(Operation *norm) {
  NormalizedParts parts;
  llvm::TypeSwitch<Operation *>(norm)
      .Case<LayerNormOp>([&](LayerNormOp op) {
        parts = {op.getX(), op.getMean(), op.getRstd(), op.getGamma(), op.getBeta()};
      })
      .Case<RmsNormOp>(
          [&](RmsNormOp op) { parts = {op.getX(), Value(), op.getRstd(), op.getGamma(), Value()}; })
      .Case<BatchNormOp>([&](BatchNormOp op) {
        parts = {op.getX(), op.getMean(), op.getRstd(), op.getGamma(), op.getBeta()};
      });
  if (!parts.x) {
    return std::nullopt;
  }
  Type wide = statisticsType(tensorType(parts.x).getElementType());
  for (Value statistic : {parts.mean, parts.rstd}) {
    if (statistic && tensorType(statistic).getElementType() != wide) {
      return std::nullopt;
    }
  }
  return parts;
}

Value dsc::normalizedFrom(ValueBuilder &b, Operation *norm, const NormalizedParts &parts) {
  RankedTensorType type = tensorType(parts.x);
  Type wide = statisticsType(type.getElementType());
  SmallVector<int64_t> channels;
  if (auto batchNorm = dyn_cast<BatchNormOp>(norm)) {
    channels = channelShape(type, batchNorm.getLayout());
  }
  auto spread = [&](Value value) -> Value {
    if (!value) {
      return value;
    }
    value = b.cast(value, wide);
    return channels.empty() ? value : b.reshape(value, channels);
  };
  Value x = b.cast(parts.x, wide);
  Value centered = parts.mean ? b.sub(x, spread(parts.mean)) : x;
  Value y =
      scaleNormalized(b, centered, spread(parts.rstd), spread(parts.gamma), spread(parts.beta));
  return b.cast(y, type.getElementType());
}
