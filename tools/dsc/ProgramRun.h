// A compiled program run inside dsc, for `check`: loaded by the runtime's own code, so that what is
// checked is what an executable does. Includes nothing of the compiler.

#ifndef DSC_TOOLS_DSC_PROGRAMRUN_H
#define DSC_TOOLS_DSC_PROGRAMRUN_H

#include "runtime/Tensor.h"

#include <memory>
#include <optional>
#include <vector>

namespace dsc {

class ProgramRun {
public:
  /// Opens a file that writeExecutable wrote, and allocates its memory. Weights stand beside it.
  static Result<std::unique_ptr<ProgramRun>> open(const std::string &path, int threads);
  ~ProgramRun();

  /// Writes a graph input. Error: the program has none of this name, or of another type or shape.
  Status setInput(const TensorView &tensor);
  /// Fills every input with numbers that depend on `seed`: floats about 0, classes within theirs.
  void makeUpInputs(uint64_t seed);

  /// Runs an entry without its update: parameters stay as they are.
  Status run(const char *entry);

  /// A result of the entry that ran last; nothing if it has none of this name.
  std::optional<TensorView> result(const char *entry, const std::string &name) const;
  /// The gradients after entry `last`; valid until the next call.
  std::vector<TensorView> gradients() const;
  /// The elements of a trained parameter, in the order of its shape; nothing if there is none of
  /// this name.
  std::optional<std::vector<std::byte>> parameter(const std::string &name) const;
  /// Replaces them; `elements` is as parameter() returned it.
  void setParameter(const std::string &name, const std::vector<std::byte> &elements);

private:
  struct State;
  explicit ProgramRun(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace dsc

#endif // DSC_TOOLS_DSC_PROGRAMRUN_H
