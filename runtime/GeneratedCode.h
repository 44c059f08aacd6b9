// What functions say that call into compiled programs.

#ifndef DSC_RUNTIME_GENERATEDCODE_H
#define DSC_RUNTIME_GENERATEDCODE_H

/// Compiled programs carry no type in front of their functions. The sanitizer that looks for one
/// there, at calls through pointers, would read outside of what is mapped.
#define DSC_CALLS_GENERATED_CODE __attribute__((no_sanitize("function")))

#endif // DSC_RUNTIME_GENERATEDCODE_H
