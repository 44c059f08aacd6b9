// How many kernel functions a GPT of two layers has on CUDA in f32, attention expanded: a fusion lost makes them more.

// RUN: sed 's/loss = "cross-entropy"/target = "cuda", loss = "cross-entropy"/' %source/test/passes/fusion/Inputs/gpt.mlir > %t.mlir
// RUN: dsc-opt %t.mlir --dsc-phase-autodiff --dsc-phase-fusion --dsc-phase-memory --dsc-build-kernels --dsc-lower-kernels > %t.out
// RUN: grep -c "nvvm.kernel" %t.out | FileCheck %s

// CHECK: {{^}}65{{$}}
