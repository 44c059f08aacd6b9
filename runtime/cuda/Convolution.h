// Plans of dsc_rt_conv by cuDNN.
// Forward with bias and ReLU, gradients of input and weights, in any layout that strides describe;
// the plan is timed once for each shape. Sums are in f32 (f64 in f64); f32 is true f32 unless tf32
// was allowed.

#ifndef DSC_RUNTIME_CUDA_CONVOLUTION_H
#define DSC_RUNTIME_CUDA_CONVOLUTION_H

#include "runtime/LibraryShapes.h"
#include "runtime/cuda/Cudnn.h"

namespace dsc {

class CudaConvolution {
public:
  /// Error: cuDNN does not take the type, shape or epilogue.
  static Result<std::unique_ptr<CudaConvolution>> make(const Cudnn &library, Choices &choices,
                                                       const ConvDescription &shape,
                                                       int64_t workspace, bool allowTf32);

  bool hasBias() const { return withBias; }
  /// Operands in the order of dsc_rt_conv.
  Status run(const void *a, const void *b, const void *bias, void *c, void *workspace) const;

private:
  bool withBias = false;
  std::unique_ptr<CudnnGraph> plan;
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_CONVOLUTION_H
