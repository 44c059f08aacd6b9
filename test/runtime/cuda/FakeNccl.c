/* NCCL between processes whose GPU memory is the host's (FakeDriver.c): ranks meet in a file in
 * FAKE_NCCL, and each call is written to FAKE_NCCL.RANK, so that tests see what a program asks for
 * and in which order. f32 and bytes only. */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_RANKS 4
#define MOST_BYTES 4096

typedef struct {
  char path[128];
} Id;

typedef struct {
  int arrived[2];
  char bytes[MOST_RANKS][MOST_BYTES];
} Meeting;

typedef struct {
  int rank, ranks;
  long rounds;
  Meeting *meeting;
  FILE *log;
} Comm;

static void meet(Comm *comm) {
  /* Two counters in turn, each for ever growing. */
  int *arrived = &comm->meeting->arrived[comm->rounds % 2];
  long wanted = (comm->rounds++ / 2 + 1) * comm->ranks;
  __atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < wanted) {
    sched_yield();
  }
}

int ncclGetVersion(int *version) {
  *version = 22809;
  return 0;
}
const char *ncclGetErrorString(int error) { return "a made-up failure"; }

int ncclGetUniqueId(Id *id) {
  const char *path = getenv("FAKE_NCCL");
  if (!path) {
    return 2;
  }
  strncpy(id->path, path, sizeof id->path - 1);
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  int failed = ftruncate(file, sizeof(Meeting));
  close(file);
  return failed ? 2 : 0;
}

int ncclCommInitRank(Comm **made, int ranks, Id id, int rank) {
  Comm *comm = calloc(1, sizeof *comm);
  char path[256];
  int file = open(id.path, O_RDWR);
  comm->rank = rank;
  comm->ranks = ranks;
  comm->meeting = mmap(0, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  snprintf(path, sizeof path, "%s.%d", id.path, rank);
  comm->log = fopen(path, "w");
  setvbuf(comm->log, 0, _IOLBF, 0);
  *made = comm;
  meet(comm);
  return 0;
}
static void forget(Comm *comm) {
  fclose(comm->log);
  munmap(comm->meeting, sizeof(Meeting));
  free(comm);
}
int ncclCommDestroy(Comm *comm) {
  fprintf(comm->log, "destroy\n");
  forget(comm);
  return 0;
}
int ncclCommAbort(Comm *comm) {
  forget(comm);
  return 0;
}
int ncclCommGetAsyncError(Comm *comm, int *error) {
  *error = 0;
  return 0;
}

/* Every rank's `bytes` are in the meeting between the two calls. */
static void show(Comm *comm, const void *from, size_t bytes) {
  memcpy(comm->meeting->bytes[comm->rank], from, bytes);
  meet(comm);
}
static void leave(Comm *comm) { meet(comm); }

int ncclAllGather(const void *from, void *to, size_t count, int type, Comm *comm, void *stream) {
  fprintf(comm->log, "all_gather %zu of type %d%s\n", count, type,
          (const char *)from == (char *)to + comm->rank * count ? " in place" : "");
  show(comm, from, count);
  for (int rank = 0; rank < comm->ranks; ++rank) {
    memcpy((char *)to + rank * count, comm->meeting->bytes[rank], count);
  }
  leave(comm);
  return 0;
}

static void add(Comm *comm, size_t first, size_t count, float *to, float factor) {
  for (size_t i = 0; i < count; ++i) {
    float sum = 0;
    for (int rank = 0; rank < comm->ranks; ++rank) {
      sum += ((const float *)comm->meeting->bytes[rank])[first + i] * factor;
    }
    to[i] = sum;
  }
}

int ncclReduceScatter(const void *from, float *to, size_t count, int type, int reduction,
                      Comm *comm, void *stream) {
  fprintf(comm->log, "reduce_scatter %zu of type %d by %d%s\n", count, type, reduction,
          to == (const float *)from + comm->rank * count ? " in place" : "");
  show(comm, from, count * comm->ranks * sizeof *to);
  add(comm, comm->rank * count, count, to, reduction == 4 ? 1.0f / comm->ranks : 1);
  leave(comm);
  return 0;
}

int ncclAllReduce(const void *from, float *to, size_t count, int type, int reduction, Comm *comm,
                  void *stream) {
  fprintf(comm->log, "all_reduce %zu of type %d by %d\n", count, type, reduction);
  show(comm, from, count * sizeof *to);
  add(comm, 0, count, to, 1);
  leave(comm);
  return 0;
}
