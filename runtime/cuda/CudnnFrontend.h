// cudnn-frontend, NVIDIA's header-only C++ interface of cuDNN, with the library loaded at run time.

#ifndef DSC_RUNTIME_CUDA_CUDNNFRONTEND_H
#define DSC_RUNTIME_CUDA_CUDNNFRONTEND_H

#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cudnn_frontend.h>

#include "runtime/abi.h"

namespace dsc {

inline cudnn_frontend::DataType_t cudnnType(int32_t dtype) {
  switch (dtype) {
  case DSC_F64:
    return cudnn_frontend::DataType_t::DOUBLE;
  case DSC_F16:
    return cudnn_frontend::DataType_t::HALF;
  case DSC_BF16:
    return cudnn_frontend::DataType_t::BFLOAT16;
  default:
    return cudnn_frontend::DataType_t::FLOAT;
  }
}

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_CUDNNFRONTEND_H
