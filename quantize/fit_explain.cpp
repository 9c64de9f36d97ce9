#include "quantize/fit_explain.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <vector>

namespace coterie::quantize {

namespace {

[[gnu::format(printf, 2, 3)]] void append(std::string* text, const char* format, ...) {
  char line[512];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  *text += line;
}

// Bytes, weights and loss of some tensors.
struct Sum {
  double bits = 0, weights = 0, loss = 0;
  void add(const FittedTensor& t) {
    bits += 8.0 * static_cast<double>(t.chosen.bytes);
    weights += static_cast<double>(t.elements);
    loss += t.loss();
  }
  double bits_each() const { return weights > 0 ? bits / weights : 0; }
};

struct Place {
  std::string part;  // "ffn_down_exps"
  int layer;         // -1: none
};

Place place_of(const std::string& name) {
  int layer = -1, begin = 0;
  if (std::sscanf(name.c_str(), "blk.%6d.%n", &layer, &begin) != 1 || begin == 0) layer = -1, begin = 0;
  const std::size_t end = name.rfind(".weight");
  return {name.substr(static_cast<std::size_t>(begin),
                      end == std::string::npos ? end : end - static_cast<std::size_t>(begin)),
          layer};
}

double share(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

// Text inside an SVG.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<' || c == '&' || c < ' ')
      out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : "?";
    else
      out += c;
  }
  return out;
}

struct Colour {
  int red, green, blue;
};

// From orange (1 bit) over white (4.5) to blue (8 and more): what lost most stands out as much as what kept most.
Colour colour_of(double bits) {
  const double t = std::clamp((bits - 4.5) / 3.5, -1.0, 1.0);
  const auto mix = [&](int end) { return static_cast<int>(255 + (end - 255) * std::abs(t)); };
  return t < 0 ? Colour{mix(230), mix(120), mix(20)} : Colour{mix(40), mix(110), mix(200)};
}

class Picture {
 public:
  explicit Picture(const Fit& fit) : fit_(fit) {
    for (const FittedTensor& t : fit.tensors) {
      if (t.fixed) continue;
      const Place place = place_of(t.name);
      if (!rows_.contains(place.part)) order_.push_back(place.part);
      rows_[place.part].add(t);
      cells_[{place.part, std::max(place.layer, 0)}].add(t);
      layers_ = std::max(layers_, place.layer + 1);
      most_loss_ = std::max(most_loss_, rows_[place.part].loss);
    }
  }

  std::string svg() const {
    const int cells = cell * std::max(layers_, 1),
              height = top + row_height * static_cast<int>(order_.size()) + 30;
    const int bars = left + cells + 70;
    std::string out;
    append(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" ",
           bars + bar_width + 80, height);
    out +=
        "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"white\"/>\n";
    append(&out, "<text x=\"10\" y=\"20\" font-size=\"14\">%.0f bytes, %.3f bits per weight</text>\n",
           static_cast<double>(fit_.bytes), total().bits_each());
    append(&out, "<text x=\"%d\" y=\"%d\">bits per weight, layer 0 to %d</text>\n", left, top - 10,
           std::max(layers_ - 1, 0));
    append(&out, "<text x=\"%d\" y=\"%d\">mean</text>\n<text x=\"%d\" y=\"%d\">predicted loss</text>\n",
           left + cells + 12, top - 10, bars, top - 10);
    for (std::size_t i = 0; i < order_.size(); ++i) add_row(&out, static_cast<int>(i), bars);
    return out + "</svg>\n";
  }

 private:
  static constexpr int left = 150, top = 60, row_height = 18, cell = 18, bar_width = 240;

  Sum total() const {
    Sum sum;
    for (const FittedTensor& t : fit_.tensors) sum.add(t);
    return sum;
  }

  void add_row(std::string* out, int i, int bars) const {
    const std::string& part = order_[static_cast<std::size_t>(i)];
    const Sum& sum = rows_.at(part);
    const int y = top + i * row_height;
    append(out, "<text x=\"10\" y=\"%d\">%.40s</text>\n", y + 13, escaped(part).c_str());
    for (int layer = 0; layer < std::max(layers_, 1); ++layer) {
      const auto found = cells_.find({part, layer});
      if (found == cells_.end()) continue;
      const double bits = found->second.bits_each();
      const Colour c = colour_of(bits);
      append(out,
             "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#%02x%02x%02x\" stroke=\"#ccc\">",
             left + layer * cell, y, cell, row_height, c.red, c.green, c.blue);
      append(out, "<title>layer %d: %.2f bits</title></rect>", layer, bits);
      append(out, "<text x=\"%d\" y=\"%d\" font-size=\"8\" text-anchor=\"middle\">%.1f</text>\n",
             left + layer * cell + cell / 2, y + 12, bits);
    }
    append(out, "<text x=\"%d\" y=\"%d\">%.2f</text>\n", bars - 58, y + 13, sum.bits_each());
    append(out, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"#a33\"/>", bars, y + 3,
           bar_width * (most_loss_ > 0 ? sum.loss / most_loss_ : 0), row_height - 6);
    append(out, "<text x=\"%.1f\" y=\"%d\">%.1f %%</text>\n",
           bars + 5 + bar_width * (most_loss_ > 0 ? sum.loss / most_loss_ : 0), y + 13,
           share(sum.loss, fit_.loss));
  }

  const Fit& fit_;
  std::vector<std::string> order_;  // parts as the file has them
  std::map<std::string, Sum> rows_;
  std::map<std::pair<std::string, int>, Sum> cells_;
  int layers_ = 0;
  double most_loss_ = 0;
};

}  // namespace

std::string table_of(const Fit& fit) {
  std::string out;
  append(&out, "%-40s %-8s %14s %8s %10s %10s %8s\n", "tensor", "type", "bytes", "bits", "noise", "effect",
         "loss");
  Sum all;
  for (const FittedTensor& t : fit.tensors) {
    all.add(t);
    if (t.fixed) continue;
    Sum own;
    own.add(t);
    append(&out, "%-40.200s %-8s %14llu %8.3f %10.3g %10.3g %6.2f %%\n", t.name.c_str(),
           t.chosen.format->name, static_cast<unsigned long long>(t.chosen.bytes), own.bits_each(),
           t.chosen.noise, t.effect, share(own.loss, fit.loss));
  }
  append(&out, "%llu bytes, %.3f bits per weight, predicted loss %.4g\n",
         static_cast<unsigned long long>(fit.bytes),
         all.weights > 0 ? 8.0 * static_cast<double>(fit.bytes) / all.weights : 0.0, fit.loss);
  return out;
}

std::string picture_of(const Fit& fit) { return Picture(fit).svg(); }

}  // namespace coterie::quantize
