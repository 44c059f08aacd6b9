// The importer's table of parameters read backwards: which tensor of the file holds which
// parameter, and which operands need a tensor of their own because training made them differ.

#ifndef DSC_FRONTEND_WRITEBACK_H
#define DSC_FRONTEND_WRITEBACK_H

#include "frontend/ParameterRule.h"

namespace dsc {

/// What a tensor of the file is to hold: a parameter's elements, or their transpose.
struct TensorContent {
  int parameter = -1; // index into the table
  bool transposed = false;

  bool operator==(const TensorContent &other) const {
    return parameter == other.parameter && transposed == other.transposed;
  }
};

/// A tensor that the file lacks.
struct AddedTensor {
  std::string name;
  TensorContent content;
  onnx_model::DataType type;
  std::vector<int64_t> dims;
};

/// Operand `slot` of the node that gives `output` reads added tensor `added` from now on.
struct Redirection {
  std::string output;
  unsigned slot = 0;
  std::string from; // what it reads in the file; "" where it reads nothing
  size_t added = 0;
};

struct WriteBack {
  std::map<std::string, TensorContent> contents; // by name of an initializer or a Constant's output
  std::vector<AddedTensor> added;
  std::vector<Redirection> redirections;
};

/// Gives every tensor that nodes read as a parameter its content. A tensor that stands for several
/// parameters (equal vectors that the exporter merged, Identity of a weight) keeps the first; the
/// operands that stand for others are redirected.
WriteBack planWriteBack(const onnx_model::Model &model, const ParameterTable &table);

} // namespace dsc

#endif // DSC_FRONTEND_WRITEBACK_H
