// The command `data`.

#include "runtime/DataCheck.h"

#include "runtime/Dataset.h"
#include "runtime/Startup.h"

#include <cstdio>

using namespace dsc;

Status dsc::runDataCheck(Executable &executable, const CommandLine &line) {
  const Manifest &manifest = executable.manifest();
  if (line.positional().empty()) {
    return Status::user("data needs a PATH");
  }
  Result<std::unique_ptr<Dataset>> opened = openData(manifest, line, line.positional()[0]);
  if (opened.failed()) {
    return opened.status();
  }
  Dataset &data = **opened;
  const size_t notesBefore = data.notes().size();
  DSC_RETURN_IF_FAILED(data.checkValues());
  for (size_t i = notesBefore; i < data.notes().size(); ++i) {
    printNote(data.notes()[i]);
  }
  std::printf("%lld samples in %zu file%s, %s; every value is fine\n",
              static_cast<long long>(data.samples()), data.shards().size(),
              data.shards().size() == 1 ? "" : "s", bytesText(data.bytes()).c_str());
  std::printf("first sample:\n");
  for (size_t i = 0; i < manifest.inputs.size(); ++i) {
    const InputSpec &input = manifest.inputs[i];
    if (input.role == InputRole::SampleWeight) {
      continue;
    }
    Shape shape(input.shape.begin() + 1, input.shape.end());
    int64_t elements = elementCount(shape).value_or(0);
    std::vector<std::byte> sample(static_cast<size_t>(elements * dtypeSize(input.dtype)));
    DSC_RETURN_IF_FAILED(data.copy(i, 0, sample.data(), 0));
    std::string text;
    for (int64_t k = 0; k < elements && k < 12; ++k) {
      text += isFloat(input.dtype)
                  ? format(" %.6g", loadAsDouble(input.dtype, sample.data(), k))
                  : format(" %lld",
                           static_cast<long long>(loadAsInteger(input.dtype, sample.data(), k)));
    }
    std::printf("  %s %s %s:%s%s\n", printable(input.name).c_str(), dtypeName(input.dtype),
                shapeText(shape).c_str(), text.c_str(), elements > 12 ? " ..." : "");
  }
  return {};
}
