// The id of an error travels as metadata of the diagnostic's location, which is not printed.

#include "ir/Diagnostic.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

using namespace mlir;
using namespace dsc;

ArrayRef<ErrorInfo> dsc::allErrors() {
  static const ErrorInfo errors[] = {
#define DSC_ERROR(name, id, what, wayOut) {ErrorId::name, id, what, wayOut},
#include "ir/Errors.def"
#undef DSC_ERROR
  };
  return errors;
}

const ErrorInfo &dsc::errorInfo(ErrorId id) { return allErrors()[static_cast<size_t>(id)]; }

InFlightDiagnostic dsc::emitError(Location loc, ErrorId id) {
  auto name = StringAttr::get(loc.getContext(), errorInfo(id).name);
  return mlir::emitError(FusedLoc::get({loc}, name, loc.getContext()));
}

std::optional<ErrorId> dsc::errorIdOf(Diagnostic &diagnostic) {
  auto fused = dyn_cast<FusedLoc>(diagnostic.getLocation());
  auto name = fused ? dyn_cast_if_present<StringAttr>(fused.getMetadata()) : nullptr;
  for (const ErrorInfo &info : allErrors()) {
    if (name && info.name == name.getValue()) {
      return info.id;
    }
  }
  return std::nullopt;
}
