// Folders, data files and executables for runtime tests.
// Makes what the runner reads: temporary folders, arrays, and an executable packed from the runner
// and the hand-written program, the inverse of readPayload.

#ifndef DSC_TEST_RUNTIME_TESTEXECUTABLE_H
#define DSC_TEST_RUNTIME_TESTEXECUTABLE_H

#include "runtime/Json.h"

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace dsc::test {

/// A folder that goes with the object.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(const std::string &name) const { return path + "/" + name; }

  std::string path;
};

std::string readFile(const std::string &path);
/// The events of a log of JSON lines.
std::vector<Json> logLines(const std::string &path);
void writeFile(const std::string &path, const std::string &bytes);

template <typename T> std::string bytesOf(const std::vector<T> &values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// A tensor's bytes for writeArrays.
struct Array {
  std::string name;
  Dtype dtype;
  Shape shape;
  std::string bytes;
};

std::string npyFile(const Array &array);
/// Writes path as .npz or .safetensors.
void writeArrays(const std::string &path, const std::vector<Array> &arrays);

/// The manifest of FakeProgram.c.
OrderedJson fakeManifest();

/// An executable file's bytes from its sections.
std::string packExecutable(const std::string &runner, const std::string &program,
                           const std::string &constants, const std::string &manifest);

/// Writes `folder`/model and its weights file; returns the executable's path.
std::string makeExecutable(const TemporaryFolder &folder, OrderedJson manifest = fakeManifest());

struct RunResult {
  int code = -1;
  /// Standard output and standard error.
  std::string out, err;
};

/// Runs a program and waits; `signalAfter` > 0 sends SIGTERM after that many milliseconds.
/// `environment` is set for it beside this process's.
RunResult run(const std::vector<std::string> &command, int signalAfter = 0,
              const std::map<std::string, std::string> &environment = {});

} // namespace dsc::test

#endif // DSC_TEST_RUNTIME_TESTEXECUTABLE_H
