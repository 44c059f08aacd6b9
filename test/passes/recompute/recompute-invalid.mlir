// RUN: dsc-opt %s --split-input-file --verify-diagnostics --dsc-recompute

// A dump may have been edited.
// expected-error @+1 {{option 'recompute' is 'some'; choose --recompute=none|cheap|full|auto or a number of bytes}}
module attributes {dsc.options = {recompute = "some"}} {
}
