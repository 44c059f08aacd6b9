/* The one header that the code generator and the runtime share.
 *
 * A compiled program is an ELF shared object that exports the entries below and imports the
 * functions of DSC_RT_FUNCTIONS from the runner that loads it. Only flat C functions cross: the
 * compiler declares them from the X-macro list, so a signature stands in one place. Formulas that
 * both sides must agree on (alignment, chunks, slices) are inline functions here.
 * This file must not include anything of ours and must stay valid C.
 */
#ifndef DSC_RUNTIME_ABI_H
#define DSC_RUNTIME_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised by every incompatible change; the runner refuses programs of another version. */
#define DSC_ABI_VERSION 1

/* Every planned offset is a multiple of this: a cache line and a full AVX-512 vector. */
#define DSC_ALIGNMENT 64

/* ZeRO's unit of ownership, in elements; also the unit of the gradient norm's partial sums. */
#define DSC_CHUNK_ELEMENTS 1024

/* The most ranks that a program is planned for unless --max-ranks says otherwise. */
#define DSC_DEFAULT_MAX_RANKS 64

/* Ids of a program's collectives are below; the runner's own, for reading what is sharded, are not.
 */
#define DSC_HOST_COLLECTIVES (1 << 20)

/* The innermost vector width of generated CPU kernels, in elements, on every CPU: reductions add
 * in 16 lanes whatever the machine has, so that their bits do not depend on it. */
#define DSC_LANES 16

/* The learning rate's schedule, a run-time value f64 [DSC_SCHEDULE_ROWS, DSC_SCHEDULE_PIECES]: each
 * column is a piece. For the update behind k applied ones the piece with begin <= k < end counts:
 *   t = (k - origin) / width, cut to multiples of 1 / stairs where stairs > 0, within [0, limit]
 *   share = t, (1 + cos(pi t)) / 2, log(1 + t) or 1 / (1 + t), by the curve
 *   learning rate of a group = rate + rate_span share + (1 + factor + factor_span share) its own
 *   beta1 + beta1_change + beta1_span share and beta2 + beta2_change are the optimizer's betas
 * in f64, whose sums over `share` are rounded to f32. A table of zeros is the constant schedule. */
#define DSC_SCHEDULE_PIECES 4
typedef enum dsc_schedule_row {
  DSC_SCHEDULE_BEGIN,
  DSC_SCHEDULE_END,
  DSC_SCHEDULE_CURVE, /* a dsc_schedule_curve */
  DSC_SCHEDULE_ORIGIN,
  DSC_SCHEDULE_WIDTH,
  DSC_SCHEDULE_STAIRS,
  DSC_SCHEDULE_LIMIT,
  DSC_SCHEDULE_RATE,
  DSC_SCHEDULE_RATE_SPAN,
  DSC_SCHEDULE_FACTOR,
  DSC_SCHEDULE_FACTOR_SPAN,
  DSC_SCHEDULE_BETA1,
  DSC_SCHEDULE_BETA1_SPAN,
  DSC_SCHEDULE_BETA2,
  DSC_SCHEDULE_ROWS
} dsc_schedule_row;
typedef enum dsc_schedule_curve {
  DSC_CURVE_LINEAR,
  DSC_CURVE_COSINE,
  DSC_CURVE_LOG,
  DSC_CURVE_INVERSE
} dsc_schedule_curve;

/* Kernels that a program for CUDA has for the start of a run, among those of dsc_rt_device_kernel,
 * where its weights need them; the runtime finds them by name. Their arguments, 64 bits each:
 * DSC_START_UNIFORM, DSC_START_NORMAL: dsc_start_argument; one thread makes the four elements of
 * one counter of Philox (runtime/InitialValues.h says of what they are functions), in f32.
 * DSC_START_ROUND_F16, DSC_START_ROUND_BF16: address of f32 elements, of their rounded copy, their
 *   number, address of an i32 that becomes 1 where a finite number was rounded to infinity; one
 *   thread an element. */
#define DSC_START_UNIFORM "dsc_start_uniform"
#define DSC_START_NORMAL "dsc_start_normal"
#define DSC_START_ROUND_F16 "dsc_start_round_f16"
#define DSC_START_ROUND_BF16 "dsc_start_round_bf16"
#define DSC_START_DIMS 4
typedef enum dsc_start_argument {
  DSC_START_TARGET, /* address of the storage's element 0 */
  DSC_START_FIRST,  /* counters of Philox [first, last): counter i has elements 4 i .. 4 i + 3 */
  DSC_START_LAST,
  DSC_START_NAME,     /* words 2 and 3 of the counter */
  DSC_START_KEY,      /* both words of the key */
  DSC_START_SCALE,    /* an f32 in the low half */
  DSC_START_ELEMENTS, /* of the tensor */
  DSC_START_BEGIN,    /* only elements that lie in [begin, end) of the storage are stored */
  DSC_START_END,
  DSC_START_SIZES, /* of dims, the innermost first, 1 beyond them; the last one's is not read */
  DSC_START_STRIDES = DSC_START_SIZES + DSC_START_DIMS, /* in elements of the storage */
  DSC_START_ARGUMENTS = DSC_START_STRIDES + DSC_START_DIMS
} dsc_start_argument;

/* The normal numbers of two words of Philox with upper 24 bits u and v (in [0, 1)), by Box and
 * Muller, in f32 operations that IEEE 754 rounds alike everywhere, in this order and without FMA:
 *   1 - u = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2) (the bits' distance from 0x3f3504f3)
 *   log = ((f f) f) L(f) - 0.5 (f f) + f + DSC_NORMAL_LN2 k, added from the left
 *   radius = sqrt(-2 log)
 *   4 v = q + t, q the integer part of 4 v + 0.5; a = DSC_NORMAL_HALF_PI t
 *   sin = (a (a a)) S(a a) + a,  cos = ((a a) (a a)) C(a a) - 0.5 (a a) + 1, of the quadrant q
 *   (radius cos) scale, (radius sin) scale
 * L, S and C are polynomials, the lowest coefficient first, evaluated by Horner's rule. Fits in
 * relative error: (log(1 + f) - f + f^2 / 2) / f^3; (sin(a) / a - 1) / a^2 and
 * (cos(a) - 1 + a^2 / 2) / a^4 in a^2 for |a| <= pi / 4. */
#define DSC_NORMAL_LN2 0.693147182464599609375
#define DSC_NORMAL_HALF_PI 1.57079637050628662109375
#define DSC_NORMAL_LOG                                                                             \
  {0.333333135,  -0.250000119, 0.20002073,   -0.166678548, 0.142202333,                            \
   -0.124081969, 0.11886204,   -0.116606608, 0.0673301071}
#define DSC_NORMAL_SIN {-0.16666666639557615, 0.0083333291438914305, -0.00019839256627543936}
#define DSC_NORMAL_COS {0.041666666619204144, -0.001388888343842214, 2.4799436407956323e-05}

/* Element types, in the numbering of ONNX's TensorProto.DataType. */
typedef enum dsc_dtype {
  DSC_F32 = 1,
  DSC_U8 = 2,
  DSC_I8 = 3,
  DSC_U16 = 4,
  DSC_I16 = 5,
  DSC_I32 = 6,
  DSC_I64 = 7,
  DSC_BOOL = 9,
  DSC_F16 = 10,
  DSC_F64 = 11,
  DSC_U32 = 12,
  DSC_U64 = 13,
  DSC_BF16 = 16
} dsc_dtype;

/* Base pointers that every entry receives, indexed by space. Behind them stands one more for each
 * sharded global, in the order of the manifest's `shards`: where its chunk 0 would lie, so that
 * chunk c is c times its bytes from there on every rank. Only the rank's own chunks exist. */
typedef enum dsc_space {
  DSC_SPACE_STATE = 0,     /* globals: parameters, buffers, optimizer state, run-time values */
  DSC_SPACE_ARENA = 1,     /* temporaries of the running entry */
  DSC_SPACE_CONSTANTS = 2, /* read-only tensors stored in the executable */
  DSC_SPACE_IO = 3,        /* the batch (inputs, labels, weights) and the entry's results */
  DSC_SPACE_SHARD = 4,     /* own chunks of sharded globals; its size depends on the ranks */
  DSC_SPACE_COUNT = 5
} dsc_space;

/* Activation that a matrix product or convolution applies to its result. */
typedef enum dsc_epilogue {
  DSC_EPILOGUE_NONE = 0,
  DSC_EPILOGUE_RELU = 1,
  DSC_EPILOGUE_GELU_ERF = 2,
  DSC_EPILOGUE_GELU_TANH = 3
} dsc_epilogue;

/* Direction of a convolution. */
typedef enum dsc_conv_kind {
  DSC_CONV_FORWARD = 0,    /* y[n,o,..]  = x * w (+ bias) */
  DSC_CONV_GRAD_INPUT = 1, /* dx[n,c,..] from dy, w */
  DSC_CONV_GRAD_WEIGHT = 2 /* dw[o,c/g,..] from x, dy */
} dsc_conv_kind;

/* What a collective does with `chunks` chunks, of which each rank owns a slice. "In rank order":
 * added one by one from rank 0's on, in f32 (f64 for f64), so that all ranks get the same bits. */
typedef enum dsc_collective_kind {
  /* Own chunks become the mean over the ranks: added in rank order, divided by their number,
   * rounded once. Other chunks become unspecified. */
  DSC_REDUCE_SCATTER_MEAN = 0,
  /* Each rank's own chunks go to all ranks, bit for bit. */
  DSC_ALL_GATHER = 1,
  /* A few numbers become their sum over the ranks, in rank order. */
  DSC_ALL_REDUCE_SUM = 2
} dsc_collective_kind;

/* A collective of a program. */
typedef struct dsc_collective {
  int32_t id;             /* dense from 0 */
  int32_t kind;           /* dsc_collective_kind */
  int32_t dtype;          /* dsc_dtype of its elements */
  int64_t chunks;         /* rank r owns [dsc_slice_begin(r), dsc_slice_end(r)) of them */
  int64_t chunk_elements; /* of all_reduce, whose chunks are 1: how many numbers */
  const char *name;       /* for errors and traces */
  int32_t left;           /* whether its entry ends without a wait for it */
} dsc_collective;

/* One rank's session; defined by the runtime only. */
typedef struct dsc_context dsc_context;

/* A generated kernel: processes units [begin, end) of its iteration space. Units are independent,
 * so how they are dealt to threads does not change a bit. `args` are the addresses of the
 * operands, then of the results, then of the scratch. */
typedef void (*dsc_kernel_fn)(void *const *args, int64_t begin, int64_t end);

/* What a program exports, by these names.
 *   int32_t dsc_program_abi_version(void);
 *   int32_t dsc_program_init(dsc_context *);      creates the plans of all library calls
 *   int32_t dsc_entry_NAME(dsc_context *, void *const *spaces);   NAME: last, micro, eval, gather
 * and, where the entry updates parameters,
 *   int32_t dsc_entry_NAME_update(dsc_context *, void *const *spaces);
 * which the runner calls after dsc_entry_NAME. Between the two calls the manifest's `gradients`
 * are valid in the arena. 0 means success; on failure the context holds the message. */
typedef int32_t (*dsc_entry_fn)(dsc_context *, void *const *spaces);

/* The functions that a program may call: X(result, name, parameters).
 *
 * `op` is the index in the manifest's `ops`: names for errors and profiles. `plan` numbers are
 * dense from 0 for each kind. Shapes and strides are in elements. A planned `workspace` is a cap in
 * bytes: the runtime takes only algorithms that fit it and fails by name if none does.
 *
 * dsc_rt_parallel_for: runs `kernel` over [0, units) on the team, in pieces of at least `grain`.
 * dsc_rt_matmul_plan: c[..,m,n] = epilogue(a[..,m,k] . b[..,k,n] + bias[n] (+ c if accumulate));
 *   rank 2 to 6 with equal ranks; broadcast batch dims have dim 1; transposition is in the strides.
 * dsc_rt_conv_plan: rank 3 to 5 (N, C, spatial...) described by dims and strides, so that any
 *   layout is expressible; w is [O, C/groups, spatial...]; spatial arrays have rank - 2 entries.
 *   Operand order of dsc_rt_conv: forward (x, w, bias|null, y), grad input (dy, w, null, dx),
 *   grad weight (x, dy, null, dw).
 * dsc_rt_attention_plan: softmax(scale * q k^T + mask) v for batch x heads; q, o and their
 * gradients are [batch, q_len, heads, width], k and v [batch, kv_len, kv_heads, width], given by
 * the strides of batch, position and head (width is contiguous). heads is a multiple of kv_heads.
 * causal: key j is visible to query i iff j <= i (torch's and ONNX's top-left alignment). mask:
 * element strides of [batch, head, q, k], 0 where broadcast; float (added) or bool (false hides).
 * lse is the log-sum-exp, [batch, heads, q_len] in f32 (f64 for f64). A fully hidden row gives 0.
 *
 * dsc_rt_parallel_for_owned: as dsc_rt_parallel_for, a unit being a chunk, over the rank's own ones
 *   of `chunks`. With one rank these are all of them.
 * dsc_rt_collective_plan: once for each collective, in the order of ids, in dsc_program_init.
 *   `left`: its entry may end without a wait for it; a later entry has one.
 * dsc_rt_collective_issue: starts a collective on `base`, the address of chunk 0, and returns. All
 *   ranks issue the same ones in the same order, and they run in this order. `src`, where it is not
 *   null, holds the own chunks that an all_gather begins with (chunk c at src + c chunks); else
 * they lie in base. Until the wait nobody writes either, and of base only own chunks of an
 * all_gather are read. One that is still out is waited for first. dsc_rt_collective_wait: returns
 * when it is done; at once where it is not out.
 *
 * Programs for CUDA use these instead of dsc_rt_parallel_for; all addresses are device addresses.
 * dsc_rt_device_module: once for each image, first thing in dsc_program_init. `cubin` is machine
 *   code for the chip of the manifest's target, `ptx` the same kernels as text for newer chips;
 *   either may be null with 0 bytes.
 * dsc_rt_device_kernel: once for each kernel function, dense from 0: its name in its image, the
 *   threads of a block and the bytes of dynamic shared memory that each launch has.
 * dsc_rt_launch: launches kernel `kernel` over grid_x * grid_y blocks; `args` are its parameters,
 *   64-bit addresses of the operands, then of the results, then of the scratch.
 * dsc_rt_launch_owned: the same over the rank's own ones of `chunks`: behind `args` the kernel gets
 *   the first of them and the one behind the last as 64-bit integers. Blocks are as many as groups
 *   of `chunks_per_block`, and at most `most_blocks`.
 */
#define DSC_RT_FUNCTIONS(X)                                                                        \
  X(int32_t, dsc_rt_parallel_for,                                                                  \
    (dsc_context * ctx, int32_t op, dsc_kernel_fn kernel, void *const *args, int64_t units,        \
     int64_t grain))                                                                               \
  X(int32_t, dsc_rt_copy,                                                                          \
    (dsc_context * ctx, int32_t op, void *dst, const void *src, int64_t bytes))                    \
  X(int32_t, dsc_rt_matmul_plan,                                                                   \
    (dsc_context * ctx, int32_t op, int32_t plan, int32_t dtype, int32_t rank,                     \
     const int64_t *a_dims, const int64_t *a_strides, const int64_t *b_dims,                       \
     const int64_t *b_strides, const int64_t *c_dims, const int64_t *c_strides, int32_t has_bias,  \
     int32_t epilogue, int32_t accumulate, int64_t workspace))                                     \
  X(int32_t, dsc_rt_matmul,                                                                        \
    (dsc_context * ctx, int32_t op, int32_t plan, const void *a, const void *b, const void *bias,  \
     void *c, void *workspace))                                                                    \
  X(int32_t, dsc_rt_conv_plan,                                                                     \
    (dsc_context * ctx, int32_t op, int32_t plan, int32_t kind, int32_t dtype, int32_t rank,       \
     const int64_t *x_dims, const int64_t *x_strides, const int64_t *w_dims,                       \
     const int64_t *w_strides, const int64_t *y_dims, const int64_t *y_strides,                    \
     const int64_t *strides, const int64_t *dilations, const int64_t *pads_begin,                  \
     const int64_t *pads_end, int64_t groups, int32_t has_bias, int32_t epilogue,                  \
     int64_t workspace))                                                                           \
  X(int32_t, dsc_rt_conv,                                                                          \
    (dsc_context * ctx, int32_t op, int32_t plan, const void *a, const void *b, const void *bias,  \
     void *c, void *workspace))                                                                    \
  X(int32_t, dsc_rt_attention_plan,                                                                \
    (dsc_context * ctx, int32_t op, int32_t plan, int32_t dtype, int64_t batch, int64_t heads,     \
     int64_t kv_heads, int64_t q_len, int64_t kv_len, int64_t width, double scale, int32_t causal, \
     int32_t mask_dtype, const int64_t *mask_strides, const int64_t *q_strides,                    \
     const int64_t *k_strides, const int64_t *v_strides, const int64_t *o_strides,                 \
     int64_t workspace))                                                                           \
  X(int32_t, dsc_rt_attention,                                                                     \
    (dsc_context * ctx, int32_t op, int32_t plan, const void *q, const void *k, const void *v,     \
     const void *mask, void *o, void *lse, void *workspace))                                       \
  X(int32_t, dsc_rt_attention_grad,                                                                \
    (dsc_context * ctx, int32_t op, int32_t plan, const void *q, const void *k, const void *v,     \
     const void *mask, const void *o, const void *lse, const void *d_o, void *dq, void *dk,        \
     void *dv, void *workspace))                                                                   \
  X(int32_t, dsc_rt_parallel_for_owned,                                                            \
    (dsc_context * ctx, int32_t op, dsc_kernel_fn kernel, void *const *args, int64_t chunks,       \
     int64_t grain))                                                                               \
  X(int32_t, dsc_rt_collective_plan,                                                               \
    (dsc_context * ctx, int32_t id, int32_t kind, int32_t dtype, int64_t chunks,                   \
     int64_t chunk_elements, const char *name, int32_t left))                                      \
  X(int32_t, dsc_rt_collective_issue,                                                              \
    (dsc_context * ctx, int32_t op, int32_t id, const void *src, void *base))                      \
  X(int32_t, dsc_rt_collective_wait, (dsc_context * ctx, int32_t op, int32_t id))                  \
  X(int32_t, dsc_rt_device_module,                                                                 \
    (dsc_context * ctx, const void *cubin, int64_t cubin_bytes, const char *ptx,                   \
     int64_t ptx_bytes))                                                                           \
  X(int32_t, dsc_rt_device_kernel,                                                                 \
    (dsc_context * ctx, int32_t kernel, const char *name, int32_t block, int32_t shared_bytes))    \
  X(int32_t, dsc_rt_launch,                                                                        \
    (dsc_context * ctx, int32_t op, int32_t kernel, void *const *args, int32_t arg_count,          \
     int64_t grid_x, int32_t grid_y))                                                              \
  X(int32_t, dsc_rt_launch_owned,                                                                  \
    (dsc_context * ctx, int32_t op, int32_t kernel, void *const *args, int32_t arg_count,          \
     int64_t chunks, int64_t chunks_per_block, int64_t most_blocks))

#define DSC_RT_DECLARE(result, name, parameters) result name parameters;
DSC_RT_FUNCTIONS(DSC_RT_DECLARE)
#undef DSC_RT_DECLARE

/* Rounds `bytes` up to the planned alignment. */
static inline int64_t dsc_align(int64_t bytes) {
  return (bytes + DSC_ALIGNMENT - 1) / DSC_ALIGNMENT * DSC_ALIGNMENT;
}

/* Number of chunks of a parameter of `elements` elements; each parameter starts on a chunk. */
static inline int64_t dsc_chunks(int64_t elements) {
  return (elements + DSC_CHUNK_ELEMENTS - 1) / DSC_CHUNK_ELEMENTS;
}

/* Chunks of a bucket of `chunks` that rank `rank` of `ranks` owns: the formula of ZeRO's slices.
 * Every slice is ceil(chunks / ranks) long except the last ones, which may be shorter or empty. */
static inline int64_t dsc_slice_begin(int64_t chunks, int64_t ranks, int64_t rank) {
  int64_t slice = (chunks + ranks - 1) / ranks;
  int64_t begin = slice * rank;
  return begin < chunks ? begin : chunks;
}
static inline int64_t dsc_slice_end(int64_t chunks, int64_t ranks, int64_t rank) {
  return dsc_slice_begin(chunks, ranks, rank + 1);
}

/* Bytes that a rank's slice of a sharded global takes: the same on all ranks. */
static inline int64_t dsc_shard_bytes(int64_t chunks, int64_t chunk_bytes, int64_t ranks) {
  return dsc_align((chunks + ranks - 1) / ranks * chunk_bytes);
}

/* Pieces of k and of n that the CPU's matrix products work on at a time. */
#define DSC_MATMUL_DEPTH 512
#define DSC_MATMUL_COLUMNS 1536

/* Whether a type computes in f32 on the CPU and is rounded to 16 bits. */
static inline int dsc_is_half(int32_t dtype) { return dtype == DSC_F16 || dtype == DSC_BF16; }

/* Bytes of the f32 sums of a half result of m rows: a block of its columns at a time. */
static inline int64_t dsc_matmul_sums(int64_t m, int64_t n) {
  return dsc_align(m * (n < DSC_MATMUL_COLUMNS ? n : DSC_MATMUL_COLUMNS) * 4);
}

/* Bytes of the planned workspace of a CPU matrix product of c[m, n] over k: one packed block of b;
 * for half types also the f32 sums and the bias in f32. m counts the rows of all batches that share
 * b. It is enough for any strides, machine and number of threads; f64 needs none. */
static inline int64_t dsc_matmul_workspace(int32_t dtype, int64_t m, int64_t n, int64_t k) {
  int64_t columns = n < DSC_MATMUL_COLUMNS ? (n + 31) / 32 * 32 : DSC_MATMUL_COLUMNS;
  int64_t depth = k < DSC_MATMUL_DEPTH ? k : DSC_MATMUL_DEPTH;
  int64_t half = dsc_is_half(dtype) ? dsc_matmul_sums(m, n) + dsc_align(n * 4) : 0;
  return dtype == DSC_F64 || m == 0 ? 0 : dsc_align(columns * depth * 4) + half;
}

/* Whether [N, C, spatial...] (or weights [O, C, spatial...]) lies with contiguous channels and
 * evenly spaced pixels, `dense` also without gaps: what the CPU's convolutions read in place. */
static inline int dsc_conv_is_channels_last(int32_t rank, const int64_t *dims,
                                            const int64_t *strides, int dense) {
  int64_t pixel = 0, expected = 0;
  if (dims[1] != 1 && strides[1] != 1) {
    return 0;
  }
  for (int32_t i = rank; i-- > 0;) {
    if (i == 1 || dims[i] == 1) {
      continue;
    }
    if (!pixel) {
      pixel = expected = strides[i];
    }
    if (strides[i] != expected) {
      return 0;
    }
    expected *= dims[i];
  }
  return !pixel || pixel == dims[1] || (!dense && pixel > dims[1]);
}

/* Bytes of the planned workspace of a CPU convolution: a packed block, channels-last copies of what
 * does not lie so, and for the gradient of a strided input a part of it that is computed at once;
 * for half types also everything in f32. */
static inline int64_t dsc_conv_workspace(int32_t kind, int32_t dtype, int32_t rank,
                                         const int64_t *x_dims, const int64_t *x_strides,
                                         const int64_t *w_dims, const int64_t *w_strides,
                                         const int64_t *y_dims, const int64_t *y_strides,
                                         const int64_t *strides, int64_t groups) {
  int64_t x = 4, w = 4, y = 4, taps = 1, pixels = y_dims[0], strided = 0, bytes = 0;
  if (dtype == DSC_F64) {
    return 0;
  }
  for (int32_t i = 0; i < rank; ++i) {
    x *= x_dims[i];
    w *= w_dims[i];
    y *= y_dims[i];
    if (i >= 2) {
      taps *= w_dims[i];
      pixels *= y_dims[i];
      strided |= strides[i - 2] != 1;
    }
  }
  if (dsc_is_half(dtype)) {
    bytes += dsc_align(x) + dsc_align(w) + dsc_align(y) + dsc_align(w_dims[0] * 4);
  }
  bytes += dsc_conv_is_channels_last(rank, x_dims, x_strides, 0) ? 0 : dsc_align(x);
  bytes += dsc_conv_is_channels_last(rank, w_dims, w_strides, 1) ? 0 : dsc_align(w);
  bytes += dsc_conv_is_channels_last(rank, y_dims, y_strides, 0) ? 0 : dsc_align(y);
  if (kind == DSC_CONV_FORWARD) {
    return bytes + dsc_matmul_workspace(DSC_F32, pixels, w_dims[0] / groups, taps * w_dims[1]);
  }
  if (kind == DSC_CONV_GRAD_WEIGHT) {
    return bytes + dsc_matmul_workspace(DSC_F32, w_dims[0], taps * w_dims[1], pixels);
  }
  return bytes + (strided ? dsc_align(x) : 0) +
         dsc_matmul_workspace(DSC_F32, pixels, w_dims[1], taps * (w_dims[0] / groups));
}

/* Rows of q and of k that attention works on at a time; its T x T matrix exists only as blocks. */
#define DSC_ATTENTION_BLOCK 64

/* Bytes of f32 copies of attention's operands and result, or with `grad` of those of its gradient:
 * what half types need. `mask` is the number of elements of a float mask. */
static inline int64_t dsc_attention_half_workspace(int32_t dtype, int grad, int64_t batch,
                                                   int64_t heads, int64_t kv_heads, int64_t q_len,
                                                   int64_t kv_len, int64_t width, int64_t mask) {
  int64_t q = dsc_align(batch * q_len * heads * width * 4);
  int64_t kv = dsc_align(batch * kv_len * kv_heads * width * 4);
  if (!dsc_is_half(dtype)) {
    return 0;
  }
  return (grad ? 4 * q + 4 * kv : 2 * q + 2 * kv) + dsc_align(mask * 4);
}

/* Bytes of attention_grad's planned workspace in f32 and f64: delta = rowsum(o * d_o), and what
 * e^(score - lse) is multiplied by, for each query row. Blocks of scores live in the threads'
 * scratch. */
static inline int64_t dsc_attention_grad_workspace(int64_t batch, int64_t heads, int64_t q_len,
                                                   int64_t element_bytes) {
  return dsc_align(2 * batch * heads * q_len * element_bytes);
}

/* Bytes of the planned workspace of a CUDA matrix product of c[.., m, n] over k, `batch` of them:
 * what cuBLASLt's split-k and stream-k algorithms use where the product is worth it. */
static inline int64_t dsc_cuda_matmul_workspace(int32_t dtype, int64_t batch, int64_t m, int64_t n,
                                                int64_t k) {
  if (dtype == DSC_F64 || batch * m * n == 0) {
    return 0;
  }
  return batch * m * n * k >= (int64_t)1 << 26 ? (int64_t)32 << 20 : (int64_t)4 << 20;
}

/* Bytes of the planned workspace of cuDNN's attention, forward (9.14: 256). */
static inline int64_t dsc_cuda_attention_workspace(int64_t batch, int64_t heads, int64_t q_len) {
  (void)batch, (void)heads, (void)q_len;
  return 4096;
}

/* Bytes of the planned workspace of cuDNN's deterministic backward attention, as measured with 9.14
 * and 9.19: the gradient of q in f32 for every block of 128 keys up to 64 columns, of 256 keys
 * beyond; a number for each row of q; with fewer heads of k and v than of q also their gradients by
 * head of q. */
static inline int64_t dsc_cuda_attention_grad_workspace(int64_t batch, int64_t heads,
                                                        int64_t kv_heads, int64_t q_len,
                                                        int64_t kv_len, int64_t width) {
  int64_t rows = (q_len + 127) / 128 * 128, narrow = (kv_len + 127) / 128 * 64;
  int64_t columns = (kv_len + 255) / 256 * (width <= 64 ? 64 : 128);
  int64_t keys = kv_heads == heads ? 0 : 2 * dsc_align(batch * heads * kv_len * width * 2);
  columns = columns > narrow ? columns : narrow;
  return batch * heads * rows * (columns + 1) * 4 + keys + 65536;
}

/* Bytes of the planned workspace of cuDNN's convolutions. */
static inline int64_t dsc_cuda_conv_workspace(int32_t kind, int32_t dtype) {
  (void)kind;
  return dtype == DSC_F64 ? 0 : (int64_t)64 << 20;
}

#ifdef __cplusplus
}
#endif

#endif /* DSC_RUNTIME_ABI_H */
