// Elementwise kernels: every op against libm or plain loops, tails, broadcasts, in-place results,
// pieces.

#include "test/codegen/CompiledKernels.h"

#include "gtest/gtest.h"

#include <cmath>
#include <functional>

using namespace dsc::test;

namespace {

std::string elementwise(const std::string &domain) {
  return "kind = #dsc.kernel_kind<elementwise>, domain = array<i64: " + domain +
         ">, row_rank = 0 : i64";
}

struct UnaryCase {
  const char *name;
  double (*reference)(double);
  float low, high;
  double ulps;
  const char *attributes = "";
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }

class Unary : public testing::TestWithParam<UnaryCase> {};

TEST_P(Unary, MatchesLibm) {
  const UnaryCase &test = GetParam();
  constexpr int64_t count = 100003;
  std::string type = std::to_string(count) + "xf32";
  std::string body = std::string("    %y = dsc.") + test.name + " %a0 " + test.attributes +
                     " : (tensor<" + type + ">) -> tensor<" + type + ">";
  CompiledKernels kernels(
      kernelModule(elementwise(std::to_string(count)), {type}, body, "%y", {type}));
  std::vector<float> x = randomFloats(count, test.low, test.high);
  const float special[] = {0.0f,     -0.0f,     1.0f, -1.0f, 0.5f,   1e-30f, 1e-41f,
                           INFINITY, -INFINITY, NAN,  88.7f, -88.7f, 200.0f, -200.0f};
  std::copy(std::begin(special), std::end(special), x.begin() + 17);
  std::vector<float> y = kernels.run({Buffer::of(x)})[0].as<float>();
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double distance = ulpDistance(y[i], test.reference(x[i]));
    // Results below the normal range may be flushed by a reciprocal of infinity.
    if (std::fabs(test.reference(x[i])) < 1.2e-38 && std::fabs(y[i]) < 1.2e-38) {
      distance = 0;
    }
    if (distance > worst) {
      worst = distance;
      at = i;
    }
  }
  RecordProperty("ulps", std::to_string(worst));
  EXPECT_LE(worst, test.ulps) << "at " << x[at] << ": " << y[at] << ", expected "
                              << test.reference(x[at]);
}

INSTANTIATE_TEST_SUITE_P(
    All, Unary,
    testing::Values(
        UnaryCase{"exp", std::exp, -90, 90, 1.5}, UnaryCase{"expm1", std::expm1, -10, 90, 2},
        UnaryCase{"expm1", std::expm1, -1, 1, 2}, UnaryCase{"log", std::log, 0, 100, 1.5},
        UnaryCase{"log", std::log, 0.8f, 1.25f, 1.5},
        UnaryCase{"log1p", std::log1p, -0.99f, 3, 2.5}, UnaryCase{"tanh", std::tanh, -10, 10, 3},
        UnaryCase{"tanh", std::tanh, -0.5f, 0.5f, 3}, UnaryCase{"erf", std::erf, -5, 5, 2},
        UnaryCase{"sigmoid", sigmoid, -20, 20, 2.5}, UnaryCase{"softplus", softplus, -20, 20, 3},
        UnaryCase{"sin", std::sin, -1000, 1000, 1}, UnaryCase{"cos", std::cos, -1000, 1000, 1},
        UnaryCase{"tan", std::tan, -10, 10, 1}, UnaryCase{"sqrt", std::sqrt, 0, 10, 0.6},
        UnaryCase{"floor", std::floor, -10, 10, 0}, UnaryCase{"asinh", std::asinh, -10, 10, 2},
        UnaryCase{"atan", std::atan, -10, 10, 2}),
    [](const auto &info) { return std::string(info.param.name) + std::to_string(info.index); });

TEST(ElementwiseKernel, GeluAndItsGradient) {
  std::string f = "tensor<20001xf32>", type = "20001xf32";
  for (bool tanhForm : {false, true}) {
    std::string kind = std::string("{kind = #dsc.gelu_kind<") + (tanhForm ? "tanh" : "erf") + ">}";
    std::string body = "%y = dsc.gelu %a0 " + kind + " : (" + f + ") -> " + f +
                       "\n%dx = dsc.gelu_grad %a0, %a1 " + kind + " : (" + f + ", " + f + ") -> " +
                       f;
    CompiledKernels kernels(
        kernelModule(elementwise("20001"), {type, type}, body, "%y, %dx", {type, type}));
    std::vector<float> x(20001), dy(20001, 1.0f);
    for (int i = 0; i <= 20000; ++i) {
      x[i] = (i - 10000) * 1e-3f;
    }
    x[0] = -1e30f;
    x[20000] = 1e30f;
    std::vector<Buffer> results = kernels.run({Buffer::of(x), Buffer::of(dy)});
    std::vector<float> actual = results[0].as<float>(), actualDx = results[1].as<float>();
    for (int i = 0; i <= 20000; ++i) {
      double v = x[i], y, dx;
      if (tanhForm) {
        double c = std::sqrt(2 / M_PI), t = std::tanh(c * (v + 0.044715 * v * v * v));
        y = 0.5 * v * (1 + t);
        dx = 0.5 * (1 + t) +
             (std::fabs(v) < 100 ? 0.5 * v * (1 - t * t) * c * (1 + 3 * 0.044715 * v * v) : 0);
      } else {
        double phi = 0.5 * std::erfc(-v / std::sqrt(2.0));
        y = v * phi;
        dx = phi + v * std::exp(-v * v / 2) / std::sqrt(2 * M_PI);
      }
      if (std::fabs(v) < 100 || !tanhForm) { // the cube of 1e30 is infinite
        ASSERT_NEAR(actual[i], y, 2.5e-7 * std::max(1.0, std::fabs(v))) << v;
        ASSERT_NEAR(actualDx[i], dx, tanhForm ? 2e-6 : 6e-7) << v;
      }
    }
  }
}

TEST(ElementwiseKernel, BroadcastsInEveryDimension) {
  // x[3,5,37] * y[5,1] + z[37] - w, an odd last dimension and a row-wise operand.
  std::string body = R"(
    %p = dsc.mul %a0, %a1 : (tensor<3x5x37xf32>, tensor<5x1xf32>) -> tensor<3x5x37xf32>
    %q = dsc.add %p, %a2 : (tensor<3x5x37xf32>, tensor<37xf32>) -> tensor<3x5x37xf32>
    %e = dsc.exp %a1 : (tensor<5x1xf32>) -> tensor<5x1xf32>
    %r = dsc.sub %q, %a3 : (tensor<3x5x37xf32>, tensor<f32>) -> tensor<3x5x37xf32>
    %s = dsc.add %r, %e : (tensor<3x5x37xf32>, tensor<5x1xf32>) -> tensor<3x5x37xf32>)";
  CompiledKernels kernels(kernelModule(elementwise("3, 5, 37"),
                                       {"3x5x37xf32", "5x1xf32", "37xf32", "f32"}, body, "%s",
                                       {"3x5x37xf32"}));
  std::vector<float> x = randomFloats(3 * 5 * 37), y = randomFloats(5, -2, 2, 2),
                     z = randomFloats(37, -2, 2, 3), w = {0.25f};
  std::vector<Buffer> operands = {Buffer::of(x), Buffer::of(y), Buffer::of(z), Buffer::of(w)};
  std::vector<float> result = kernels.run(operands)[0].as<float>();
  EXPECT_EQ(kernels.run(operands, 0, 4)[0].as<float>(), result);
  EXPECT_EQ(kernels.run(operands, 0, 1, {{0, 0}})[0].as<float>(), result);
  for (int i = 0; i < 3 * 5 * 37; ++i) {
    double expected =
        double(x[i]) * y[i / 37 % 5] + z[i % 37] - w[0] + std::exp(double(y[i / 37 % 5]));
    ASSERT_NEAR(result[i], expected, 1e-5) << i;
  }
}

TEST(ElementwiseKernel, TypesAndPredicates) {
  std::string body = R"(
    %zero = dsc.constant dense<0> : tensor<i64>
    %neg = dsc.compare %a0, %zero {predicate = #dsc.compare_predicate<lt>} : (tensor<21xi64>, tensor<i64>) -> tensor<21xi1>
    %both = dsc.and %neg, %a1 : (tensor<21xi1>, tensor<21xi1>) -> tensor<21xi1>
    %f = dsc.cast %a0 : (tensor<21xi64>) -> tensor<21xf32>
    %h = dsc.cast %f : (tensor<21xf32>) -> tensor<21xbf16>
    %g = dsc.cast %a2 : (tensor<21xui8>) -> tensor<21xf32>
    %s = dsc.select %both, %f, %g : (tensor<21xi1>, tensor<21xf32>, tensor<21xf32>) -> tensor<21xf32>
    %q = dsc.div %a0, %a0 : (tensor<21xi64>, tensor<21xi64>) -> tensor<21xi64>)";
  CompiledKernels kernels(kernelModule(elementwise("21"), {"21xi64", "21xi1", "21xui8"}, body,
                                       "%both, %s, %h, %q",
                                       {"21xi1", "21xf32", "21xbf16", "21xi64"}));
  std::vector<int64_t> a(21);
  std::vector<uint8_t> c(21), u(21);
  for (int i = 0; i < 21; ++i) {
    a[i] = (i - 10) * 1001;
    c[i] = i % 3 != 0;
    u[i] = 200 + i;
  }
  std::vector<Buffer> results = kernels.run({Buffer::of(a), Buffer::of(c), Buffer::of(u)});
  std::vector<uint8_t> both = results[0].as<uint8_t>();
  std::vector<float> s = results[1].as<float>();
  std::vector<uint16_t> h = results[2].as<uint16_t>();
  std::vector<int64_t> q = results[3].as<int64_t>();
  for (int i = 0; i < 21; ++i) {
    bool expected = a[i] < 0 && c[i];
    EXPECT_EQ(both[i], expected) << i;
    EXPECT_EQ(s[i], expected ? float(a[i]) : float(u[i])) << i;
    uint32_t bits = uint32_t(h[i]) << 16;
    float back;
    std::memcpy(&back, &bits, 4);
    EXPECT_NEAR(back, float(a[i]), std::fabs(a[i]) / 256.0) << i;
    EXPECT_EQ(q[i], a[i] != 0) << i;
  }
}

TEST(ElementwiseKernel, AdamInPlaceMatchesItsFormula) {
  std::string f = "tensor<70xf32>", s = "tensor<f32>";
  std::string body = "%p, %m, %v = dsc.adam %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9, "
                     "%a10, %a11 {decoupled = true} : (" +
                     f + ", " + f + ", " + f + ", " + f + ", " + s + ", " + s + ", " + s + ", " +
                     s + ", " + s + ", " + s + ", " + s + ", tensor<i1>) -> (" + f + ", " + f +
                     ", " + f + ")";
  CompiledKernels kernels(kernelModule(elementwise("70"),
                                       {"70xf32", "70xf32", "70xf32", "70xf32", "f32", "f32", "f32",
                                        "f32", "f32", "f32", "f32", "i1"},
                                       body, "%p, %m, %v", {"70xf32", "70xf32", "70xf32"}));
  std::vector<float> p = randomFloats(70), g = randomFloats(70, -1, 1, 2),
                     m = randomFloats(70, -1, 1, 3), v = randomFloats(70, 0, 1, 4);
  float t = 3, lr = 1e-2f, b1 = 0.9f, b2 = 0.999f, eps = 1e-8f, wd = 0.1f, scale = 0.5f;
  auto scalar = [](float x) { return Buffer::of(std::vector<float>{x}); };
  for (uint8_t ok : {1, 0}) {
    std::vector<Buffer> operands = {
        Buffer::of(p), Buffer::of(g), Buffer::of(m), Buffer::of(v),
        scalar(t),     scalar(lr),    scalar(b1),    scalar(b2),
        scalar(eps),   scalar(wd),    scalar(scale), Buffer::of(std::vector<uint8_t>{ok})};
    std::vector<Buffer> results = kernels.run(operands, 0, 1, {{0, 0}, {1, 2}, {2, 3}});
    for (int i = 0; i < 70; ++i) {
      double grad = double(scale) * g[i], m1 = m[i] + (1 - double(b1)) * (grad - m[i]);
      double v1 = double(b2) * v[i] + (1 - double(b2)) * grad * grad;
      double update = lr / (1 - std::pow(double(b1), t)) * m1 /
                      (std::sqrt(v1) / std::sqrt(1 - std::pow(double(b2), t)) + eps);
      double p1 = p[i] * (1 - double(lr) * wd) - update;
      EXPECT_NEAR(results[0].as<float>()[i], ok ? p1 : p[i], ok ? 2e-6 : 0);
      EXPECT_NEAR(results[1].as<float>()[i], ok ? m1 : m[i], ok ? 1e-6 : 0);
      EXPECT_NEAR(results[2].as<float>()[i], ok ? v1 : v[i], ok ? 1e-6 : 0);
    }
  }
}

TEST(ElementwiseKernel, EqualKernelsAreCompiledOnce) {
  std::string one = R"(
func.func @last(%x: tensor<40xf32>) {
  %a = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 40>, row_rank = 0 : i64} {
  ^bb0(%v: tensor<40xf32>):
    %y = dsc.exp %v : (tensor<40xf32>) -> tensor<40xf32>
    dsc.yield %y : tensor<40xf32>
  } : (tensor<40xf32>) -> tensor<40xf32>
  %b = dsc.kernel (%a) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 40>, row_rank = 0 : i64} {
  ^bb0(%other: tensor<40xf32>):
    %z = dsc.exp %other : (tensor<40xf32>) -> tensor<40xf32>
    dsc.yield %z : tensor<40xf32>
  } : (tensor<40xf32>) -> tensor<40xf32>
  return
})";
  CompiledKernels kernels(one);
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels.launches(0).front().symbol, "kernel_0");
  EXPECT_EQ(kernels.launches(1).front().symbol, "kernel_0");
}

} // namespace
