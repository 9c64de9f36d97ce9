#include "cli/profile_report.h"

#include <algorithm>
#include <cstdio>

namespace coterie::cli {

using Node = Profile::Node;

namespace {

constexpr double width = 1000;
constexpr double row = 20;

template <class... T>
std::string text(const char* form, T... values) {
  char line[512];
  std::snprintf(line, sizeof line, form, values...);
  return line;
}

double rate(const Node& n) { return n.seconds > 0 ? static_cast<double>(n.bytes) / n.seconds / 1e9 : 0; }

double share(const Node& n, double whole) { return whole > 0 ? n.seconds / whole : 0; }

void add_lines(const Node& n, double whole, int depth, std::string& out) {
  out += text("%*s%-*s %8lld %10.2f ms %6.1f %%", 2 * depth, "", 28 - 2 * depth, n.name,
              static_cast<long long>(n.calls), 1e3 * n.seconds, 100 * share(n, whole));
  if (n.bytes > 0) out += text(" %8.2f GB/s", rate(n));
  out += "\n";
  for (const auto& part : n.parts) add_lines(*part, whole, depth + 1, out);
}

int depth_of(const Node& n) {
  int deepest = 0;
  for (const auto& part : n.parts) deepest = std::max(deepest, depth_of(*part));
  return deepest + 1;
}

void add_boxes(const Node& n, double x, double y, double whole, std::string& out) {
  static constexpr const char* colours[] = {"#d9a066", "#e2bb8d", "#8fb4d9", "#b3cde3", "#a5c9a1"};
  const double w = width * share(n, whole);
  if (w < 1) return;
  out += text(
      "<g><title>%s: %.2f ms, %.1f %%, %.2f GB/s</title>"
      "<rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\" stroke=\"white\"/>",
      n.name, 1e3 * n.seconds, 100 * share(n, whole), rate(n), x, y, w, row,
      colours[static_cast<unsigned>(n.name[0]) % std::size(colours)]);
  constexpr double letter = 7;
  const auto fits = static_cast<int>(w / letter);
  if (fits > 2) out += text("<text x=\"%.1f\" y=\"%.0f\">%.*s</text>", x + 3, y + 14, fits, n.name);
  out += "</g>\n";
  for (const auto& part : n.parts) {
    add_boxes(*part, x, y + row, whole, out);
    x += width * share(*part, whole);
  }
}

}  // namespace

std::string table_of(const Profile& profile) {
  std::string out = "span                            calls          time    share        reads\n";
  for (const auto& part : profile.root().parts) add_lines(*part, profile.root().seconds, 0, out);
  return out;
}

std::string svg_of(const Profile& profile) {
  const Node& root = profile.root();
  std::string out = text(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n",
      width, row * depth_of(root));
  add_boxes(root, 0, 0, root.seconds, out);
  return out + "</svg>\n";
}

}  // namespace coterie::cli
