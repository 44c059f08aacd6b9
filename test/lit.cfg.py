# How lit runs the tests below this folder. Features (for REQUIRES and UNSUPPORTED): cuda and gpus-2 where such hardware is
# present, full with tools/test --full, asan in the sanitizer build. DSC_ROUNDTRIP=1 makes every run of dsc-opt also
# check that what it prints is read back as the same module.

import glob
import os

import lit.formats

config.name = "dsc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".onnxtxt", ".test"]
config.excludes = ["arch", "e2e", "Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.dsc_build, "test")

tools = [os.path.join(config.dsc_build, "bin"), config.llvm_tools]
config.environment["PATH"] = os.pathsep.join([*tools, config.environment["PATH"]])
for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "OMP_NUM_THREADS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(("%python", config.dsc_python or "python3"))
config.substitutions.append(("%source", config.dsc_source))
if os.environ.get("DSC_ROUNDTRIP"):
    config.substitutions.append((r"\bdsc-opt\b", "dsc-opt --verify-roundtrip"))

# A driver that answers as if there were a GPU, where the build has it.
fake_driver = os.path.join(config.dsc_build, "test/runtime/cuda/libdsc_fake_driver.so")
if os.path.exists(fake_driver):
    config.available_features.add("fake-driver")
    config.substitutions.append(("%fake_driver", fake_driver))
# Tests compile for the CPU unless they say otherwise.
config.environment["CUDA_VISIBLE_DEVICES"] = ""

gpus = len(glob.glob("/dev/nvidia[0-9]*"))
if gpus >= 1:
    config.available_features.add("cuda")
if gpus >= 2:
    config.available_features.add("gpus-2")
if lit_config.params.get("full"):
    config.available_features.add("full")
if config.sanitized:
    config.available_features.add("asan")
