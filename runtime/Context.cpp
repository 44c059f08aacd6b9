// One rank's state behind the ABI.

#include "runtime/Context.h"

using namespace dsc;

int32_t dsc::setError(dsc_context *ctx, Status status) {
  if (ctx->status.ok()) {
    ctx->status = std::move(status);
  }
  return 1;
}

std::string dsc::opName(const dsc_context *ctx, int32_t op) {
  if (op >= 0 && static_cast<size_t>(op) < ctx->opNames.size()) {
    return ctx->opNames[static_cast<size_t>(op)];
  }
  return format("op #%d", static_cast<int>(op));
}
