#include "bench/report.h"

#include <algorithm>
#include <cstdio>

namespace coterie::bench {

namespace {

template <class... T>
std::string text(const char* form, T... values) {
  char line[512];
  std::snprintf(line, sizeof line, form, values...);
  return line;
}

const char* name_of(const Measurement& m) {
  return m.role == Role::prompt ? "prompt" : m.busy > 0 ? "busy" : "decode";
}

// What a token costs of that which limits its test; 0: no one thing does.
double bytes_per_token(const Measurement& m) {
  return m.role == Role::decode && m.tokens == 1 ? static_cast<double>(m.cost.bytes) : 0;
}
double operations_per_token(const Measurement& m) {
  return m.role == Role::prompt ? 2 * static_cast<double>(m.cost.weights) : 0;
}
double bytes_per_second(const Measurement& m) { return bytes_per_token(m) * m.median(); }
double operations_per_second(const Measurement& m) { return operations_per_token(m) * m.median(); }

// Of the busy test: the same one without neighbours.
const Measurement* quiet_one(const std::vector<Measurement>& tests, const Measurement& busy) {
  const auto found = std::ranges::find_if(tests, [&](const Measurement& m) {
    return busy.busy > 0 && m.busy == 0 && m.role == busy.role && m.depth == busy.depth &&
           m.tokens == busy.tokens;
  });
  return found == tests.end() ? nullptr : &*found;
}

// "58.1 (55.2 - 59.4)": median and spread of a limit as it was around the tests of a role; else what was measured once.
std::string limit_text(const std::vector<Measurement>& tests, Role role, double once, const char* form) {
  std::vector<double> all;
  for (const Measurement& m : tests)
    if (m.role == role) all.insert(all.end(), m.limits.begin(), m.limits.end());
  std::ranges::sort(all);
  if (all.empty()) return text(form, once / 1e9);
  return text(form, all[all.size() / 2] / 1e9) + " (" + text(form, all.front() / 1e9) + " - " +
         text(form, all.back() / 1e9) + ")";
}

std::string escaped(const std::string& raw) {
  std::string out;
  for (const char c : raw)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

std::string quoted(const std::string& raw) {  // of CSV
  std::string out = "\"";
  for (const char c : raw) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string label(const Measurement& m) {
  return text("%s %lld%s at %lld", name_of(m), static_cast<long long>(m.tokens),
              m.role == Role::prompt ? " tokens"
              : m.tokens == 1        ? " token"
                                     : " at once",
              static_cast<long long>(m.depth));
}

}  // namespace

double share_of_limit(const Measurement& m) {
  return m.busy > 0 ? 0 : m.share_of_limit(bytes_per_token(m) + operations_per_token(m));
}

std::string table_of(const BenchHeader& h, const std::vector<Measurement>& tests) {
  std::string out = h.program + "\n" + h.command + "\n" + h.cpu +
                    text(", %d thread(s), %s\n", h.threads, h.isa.c_str()) + h.model + "\n";
  for (const ReadRate& r : h.reads)
    out += text("reads memory   %6.1f GB/s with %d thread(s)%s\n", r.bytes_per_second / 1e9, r.threads,
                r.node < 0 ? "" : text(" of node %d", r.node).c_str());
  out += "limits         " + limit_text(tests, Role::decode, h.bandwidth, "%.1f") + " GB/s read, " +
         limit_text(tests, Role::prompt, h.byte_peak, "%.0f") + " GOPS int8, " +
         text("%.0f GFLOPS float\n", h.float_peak / 1e9);
  if (h.clock > 0)
    out += text("a cycle        %.1f int8 and %.1f float operations per thread, at %.2f GHz\n",
                h.byte_peak / h.clock / h.threads, h.float_peak / h.clock / h.threads, h.clock / 1e9);
  out += "\n";
  for (std::size_t i = 0; i < h.rivals.size(); ++i)
    out += text("[%zu] in turns with: ", i + 1) + h.rivals[i] + "\n";
  out += "test     depth  tokens     tok/s (lowest - highest)       reads   computes   share of limit";
  for (std::size_t i = 0; i < h.rivals.size(); ++i) out += text("   [%zu] tok/s, ours / [%zu]", i + 1, i + 1);
  out += "\n";
  for (const Measurement& m : tests) {
    const double bytes = bytes_per_second(m), operations = operations_per_second(m);
    out += text("%-6s %7lld %7lld %9.2f (%.2f - %.2f)", name_of(m), static_cast<long long>(m.depth),
                static_cast<long long>(m.tokens), m.median(), m.lowest(), m.highest());
    if (bytes > 0) out += text("   %.2f GB/s", bytes / 1e9);
    if (operations > 0) out += text("   %.0f GOPS", operations / 1e9);
    if (const double share = share_of_limit(m); share > 0) out += text("   %.1f %%", 100 * share);
    if (const Measurement* quiet = quiet_one(tests, m))
      out += text("   keeps %.0f %% beside %d busy", 100 * m.kept_of(*quiet), m.busy);
    for (std::size_t i = 0; i < h.rivals.size(); ++i)
      if (m.median_of(i) > 0) out += text("   [%zu] %.2f, %.2f", i + 1, m.median_of(i), m.median_ratio(i));
    out += "\n";
  }
  return out;
}

std::string csv_of(const BenchHeader& h, const std::vector<Measurement>& tests) {
  std::string out =
      "program,command,cpu,isa,threads,model,bandwidth_bytes_per_s,int8_ops_per_s,test,depth,tokens,"
      "tokens_per_s,lowest,highest,bytes_per_s,ops_per_s,share_of_limit";
  for (const std::string& rival : h.rivals) out += "," + quoted(rival);
  out += "\n";
  for (const Measurement& m : tests) {
    for (const std::string& s : {h.program, h.command, h.cpu, h.isa}) out += quoted(s) + ",";
    out += text("%d,", h.threads) + quoted(h.model);
    out += text(",%.6g,%.6g,%s,%lld,%lld,%.6g,%.6g,%.6g", h.bandwidth, h.byte_peak, name_of(m),
                static_cast<long long>(m.depth), static_cast<long long>(m.tokens), m.median(), m.lowest(),
                m.highest());
    out += text(",%.6g,%.6g,%.6g", bytes_per_second(m), operations_per_second(m), share_of_limit(m));
    for (std::size_t i = 0; i < h.rivals.size(); ++i) out += text(",%.6g", m.median_of(i));
    out += "\n";
  }
  return out;
}

nlohmann::ordered_json json_of(const BenchHeader& h, const std::vector<Measurement>& tests) {
  nlohmann::ordered_json out{{"program", h.program},
                             {"command", h.command},
                             {"cpu", h.cpu},
                             {"isa", h.isa},
                             {"threads", h.threads},
                             {"model", h.model},
                             {"bandwidth_bytes_per_s", h.bandwidth},
                             {"int8_ops_per_s", h.byte_peak},
                             {"float_ops_per_s", h.float_peak},
                             {"clock_hz", h.clock}};
  for (const ReadRate& r : h.reads)
    out["read_rates"].push_back({{"threads", r.threads}, {"bytes_per_s", r.bytes_per_second}});
  for (std::size_t i = 0; i < h.reads.size(); ++i)
    if (h.reads[i].node >= 0) out["read_rates"][i]["node"] = h.reads[i].node;
  if (!h.rivals.empty()) out["rivals"] = h.rivals;
  out["tests"] = nlohmann::ordered_json::array();
  for (const Measurement& m : tests) {
    out["tests"].push_back({{"test", name_of(m)},
                            {"depth", m.depth},
                            {"tokens", m.tokens},
                            {"tokens_per_s", m.median()},
                            {"lowest", m.lowest()},
                            {"highest", m.highest()},
                            {"bytes_per_s", bytes_per_second(m)},
                            {"ops_per_s", operations_per_second(m)},
                            {"share_of_limit", share_of_limit(m)},
                            {"limits", m.limits}});
    if (const Measurement* quiet = quiet_one(tests, m)) out["tests"].back()["keeps"] = m.kept_of(*quiet);
    for (std::size_t i = 0; i < h.rivals.size(); ++i)
      if (m.median_of(i) > 0)
        out["tests"].back()["rivals"].push_back(
            {{"rival", i}, {"tokens_per_s", m.median_of(i)}, {"ratio", m.median_ratio(i)}});
  }
  return out;
}

// One bar per test, as long as its share of the limit; tests without a limit have a figure only.
std::string svg_of(const BenchHeader& h, const std::vector<Measurement>& tests) {
  constexpr int row = 24, top = 64, left = 190, width = 400;
  const int height = top + row * static_cast<int>(tests.size() + h.rivals.size()) + 16;
  std::string out = text(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "font-family=\"sans-serif\" font-size=\"13\">\n",
      left + width + 320, height);
  out += "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  out += "<text x=\"12\" y=\"22\" font-weight=\"bold\">" + escaped(h.model) +
         "</text>\n<text x=\"12\" y=\"42\">" + escaped(h.cpu) +
         text(", %d thread(s), %s: share of ", h.threads, h.isa.c_str()) +
         limit_text(tests, Role::decode, h.bandwidth, "%.1f") + " GB/s (decode), " +
         limit_text(tests, Role::prompt, h.byte_peak, "%.0f") + " GOPS (prompt)</text>\n";
  int y = top;
  for (const Measurement& m : tests) {
    const double share = share_of_limit(m);
    const int bar = static_cast<int>(width * std::min(share, 1.0));
    out += text("<text x=\"12\" y=\"%d\">%s</text>", y + 14, label(m).c_str());
    out += text("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"16\" fill=\"#eee\"/>", left, y, width);
    out += text("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"16\" fill=\"%s\"/>", left, y, bar,
                m.role == Role::prompt ? "#c97b2d" : "#2d6fc9");
    std::string figures = text("%.1f tok/s", m.median());
    if (share > 0) figures += text(", %.0f %%", 100 * share);
    for (std::size_t i = 0; i < h.rivals.size(); ++i)
      if (m.median_of(i) > 0) figures += text(", %.2f x [%zu]", m.median_ratio(i), i + 1);
    out += text("<text x=\"%d\" y=\"%d\">%s</text>\n", left + width + 8, y + 14, figures.c_str());
    y += row;
  }
  for (std::size_t i = 0; i < h.rivals.size(); ++i, y += row)
    out += text("<text x=\"12\" y=\"%d\">[%zu] ", y + 14, i + 1) + escaped(h.rivals[i]) + "</text>\n";
  return out + "</svg>\n";
}

}  // namespace coterie::bench
