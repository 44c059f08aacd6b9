// A loaded program with its memory.

#include "runtime/Session.h"

#include "runtime/CpuFeatures.h"
#include "runtime/cpu/CpuDevice.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace dsc;

static const char *const spaceNames[DSC_SPACE_COUNT] = {"state", "arena", "constants", "io"};

/// Sections of no bytes still get an address that may be passed around.
static size_t mappedBytes(int64_t bytes) { return static_cast<size_t>(bytes ? bytes : 1); }

Result<std::unique_ptr<Session>> Session::create(Executable &executable, int threads) {
  std::unique_ptr<Session> session(new Session(executable));
  const Manifest &manifest = executable.manifest();
  if (manifest.targetKind != "cpu") {
    return Status::machine(format("this program was compiled for the target \"%s\", which this "
                                  "runner does not have; compile with --target=cpu",
                                  manifest.targetKind.c_str()));
  }
  std::string missing;
  for (const std::string &feature : missingCpuFeatures(manifest.targetFeatures)) {
    missing += (missing.empty() ? "" : ", ") + feature;
  }
  if (!missing.empty()) {
    return Status::machine("this processor, or its kernel, lacks " + missing +
                           ", which the program was compiled for; compile with --cpu=x86-64-v3, or "
                           "on this machine with --cpu=native");
  }
  for (const OpSpec &op : manifest.ops) {
    session->ctx.opNames.push_back(op.name);
  }
  DSC_RETURN_IF_FAILED(executable.load());
  DSC_RETURN_IF_FAILED(session->findEntries());
  DSC_RETURN_IF_FAILED(session->allocate());
  DSC_RETURN_IF_FAILED(createCpuDevice(session->ctx, threads));
  auto *init = reinterpret_cast<int32_t (*)(dsc_context *)>(executable.symbol("dsc_program_init"));
  if (!init) {
    return Status::internal("the compiled program has no dsc_program_init");
  }
  if (init(&session->ctx) != 0 || session->ctx.status.failed()) {
    return session->ctx.status.failed() ? session->ctx.status
                                        : Status::internal("the program's start failed in silence");
  }
  return session;
}

Session::~Session() {
  destroyCpuDevice(ctx);
  for (int i = 0; i < DSC_SPACE_COUNT; ++i) {
    if (spaces[i] && i != DSC_SPACE_CONSTANTS) {
      munmap(spaces[i], mappedBytes(manifest().spaceBytes[static_cast<size_t>(i)]));
    }
  }
}

int Session::threads() const { return cpuThreads(ctx); }

Status Session::findEntries() {
  for (const std::string &name : manifest().entries) {
    Entry entry;
    entry.name = name;
    entry.main = reinterpret_cast<dsc_entry_fn>(executable.symbol("dsc_entry_" + name));
    entry.update =
        reinterpret_cast<dsc_entry_fn>(executable.symbol("dsc_entry_" + name + "_update"));
    if (!entry.main) {
      return Status::internal("the compiled program lacks its entry " + name);
    }
    entries.push_back(entry);
  }
  return {};
}

Status Session::allocate() {
  // The kernel would promise the memory and kill the process once it is touched.
  const int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  if (memory > 0 && plannedBytes() > memory) {
    return Status::machine(
        format("the plan needs %lld bytes and this machine has %lld; compile with "
               "a smaller micro-batch",
               static_cast<long long>(plannedBytes()), static_cast<long long>(memory)));
  }
  for (int i = 0; i < DSC_SPACE_COUNT; ++i) {
    int64_t bytes = manifest().spaceBytes[static_cast<size_t>(i)];
    if (i == DSC_SPACE_CONSTANTS) {
      spaces[i] = const_cast<std::byte *>(executable.constants());
      continue;
    }
    void *address = mmap(nullptr, mappedBytes(bytes), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) {
      return Status::machine(format("cannot allocate the planned %lld bytes of the %s: %s",
                                    static_cast<long long>(bytes), spaceNames[i],
                                    std::strerror(errno)));
    }
    // Large pages where the kernel has them: the arena is read and written from end to end.
    if (bytes >= int64_t(4) << 20) {
      madvise(address, mappedBytes(bytes), MADV_HUGEPAGE);
    }
    spaces[i] = static_cast<std::byte *>(address);
  }
  for (const GlobalSpec &spec : manifest().globals) {
    if (!spec.weightsKey.empty() || spec.fill == 0) {
      continue; // fresh pages are zero
    }
    std::byte *data = global(spec);
    for (int64_t i = 0, end = spec.bytes / dtypeSize(spec.dtype); i < end; ++i) {
      storeFromDouble(spec.dtype, data, i, spec.fill);
    }
  }
  for (const RunTimeValue &spec : manifest().runTimeValues) {
    setRunTime(spec.global, spec.defaultValue);
  }
  return {};
}

Status Session::call(dsc_entry_fn entry, const std::string &what) {
  ctx.status = Status();
  if (entry(&ctx, reinterpret_cast<void *const *>(spaces)) == 0 && ctx.status.ok()) {
    return {};
  }
  if (ctx.status.ok()) {
    return Status::internal("the program's " + what + " failed in silence");
  }
  return ctx.status;
}

Status Session::run(const char *name) {
  for (const Entry &entry : entries) {
    if (entry.name == name) {
      return call(entry.main, entry.name);
    }
  }
  return Status::user(format("this program was compiled without the entry \"%s\"", name));
}

Status Session::runUpdate(const char *name) {
  for (const Entry &entry : entries) {
    if (entry.name == name) {
      return entry.update ? call(entry.update, entry.name + "'s update") : Status();
    }
  }
  return Status::user(format("this program was compiled without the entry \"%s\"", name));
}

std::optional<double> Session::scalar(const char *entry, const char *name) const {
  const PlannedTensor *tensor = manifest().result(entry, name);
  if (!tensor) {
    return std::nullopt;
  }
  return loadAsDouble(tensor->dtype, value(*tensor), 0);
}

void Session::setRunTime(std::string_view name, double value) {
  const GlobalSpec *spec = manifest().global(name);
  if (spec && spec->role == GlobalRole::Runtime) {
    storeFromDouble(spec->dtype, global(*spec), 0, value);
  }
}

int64_t Session::plannedBytes() const {
  int64_t sum = 0;
  for (int64_t bytes : manifest().spaceBytes) {
    sum += bytes;
  }
  return sum;
}
