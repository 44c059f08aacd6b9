// Escapes and numbers of the report's page.

#include "tools/dsc/ReportMarkup.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace dsc;

std::string dsc::escaped(llvm::StringRef text) {
  std::string out;
  for (char c : text) {
    switch (c) {
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '&':
      out += "&amp;";
      break;
    case '"':
      out += "&quot;";
      break;
    default:
      out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  }
  return llvm::json::fixUTF8(out);
}

std::string dsc::grouped(int64_t number) {
  std::string digits = std::to_string(number), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    out += (i && (digits.size() - i) % 3 == 0 ? "&#8239;" : "") + std::string(1, digits[i]);
  }
  return out;
}

std::string dsc::shapeInMarkup(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? " &#215; " : "") + std::to_string(shape[i]);
  }
  return shape.empty() ? "scalar" : text;
}

std::string dsc::flopsInWords(int64_t flops) {
  double size = static_cast<double>(flops);
  for (const char *unit : {"FLOP", "kFLOP", "MFLOP", "GFLOP"}) {
    if (size < 1000) {
      return llvm::formatv(size < 10 && size != 0 ? "{0:f2} {1}" : "{0:f0} {1}", size, unit).str();
    }
    size /= 1000;
  }
  return llvm::formatv(size < 10 ? "{0:f2} TFLOP" : "{0:f0} TFLOP", size).str();
}
