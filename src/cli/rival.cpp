#include "cli/rival.h"

#include "base/errors.h"
#include "cli/terminal.h"

#include <nlohmann/json.hpp>

#include <sys/wait.h>

#include <array>
#include <cstdio>

namespace coterie::cli {

using Json = nlohmann::json;

namespace {

using bench::Rate;

// n_depth is llama.cpp's; "tg16@pp4096" is ik_llama.cpp's word for 16 tokens produced behind 4096.
std::vector<Rate> of_llama_bench(const Json& tests) {
  std::vector<Rate> rates;
  for (const Json& t : tests) {
    if (!t.is_object() || !t.contains("avg_ts")) continue;
    const auto prompt = t.value("n_prompt", std::int64_t{0});
    const auto depth = t.value("n_depth", std::int64_t{0});
    const bool produced = t.value("n_gen", 0) > 0;
    const auto rate = t["avg_ts"].get<double>();
    if (!produced && prompt > 0) rates.push_back({Role::prompt, depth, prompt, rate});
    if (produced && prompt == 0) rates.push_back({Role::decode, depth, 1, rate});
    if (produced && prompt > 0 && t.value("test", "").find('@') != std::string::npos)
      rates.push_back({Role::decode, prompt, 1, rate});
  }
  return rates;
}

std::vector<Rate> of_ours(const Json& report) {
  std::vector<Rate> rates;
  for (const Json& t : report.value("tests", Json::array()))
    rates.push_back({t.value("test", "") == "prompt" ? Role::prompt : Role::decode,
                     t.value("depth", std::int64_t{-1}), t.value("tokens", std::int64_t{0}),
                     t.value("tokens_per_s", 0.0)});
  return rates;
}

std::vector<Rate> parse_rates(const std::string& output, const std::string& command) {
  for (std::size_t at = 0; at < output.size(); at = output.find('\n', at), at += at < output.size() ? 1 : 0) {
    if (output[at] != '[' && output[at] != '{') continue;
    const Json json = Json::parse(output.substr(at), nullptr, false);
    if (json.is_discarded()) continue;
    std::vector<Rate> rates = json.is_array() ? of_llama_bench(json) : of_ours(json);
    std::erase_if(rates, [](const Rate& r) { return !(r.tokens_per_s > 0); });
    if (!rates.empty()) return rates;
  }
  throw Error(
      "--vs " + printable(command) +
      ": found no rates in what it printed, expected JSON as of llama-bench -o json or coterie bench --json");
}

}  // namespace

std::vector<Rate> run_rival(const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw Error("--vs " + printable(command) + ": cannot be started");
  std::string output;
  std::array<char, 4096> part{};
  constexpr std::size_t most = 16 << 20;
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), pipe))
    if (output.size() < most) output.append(part.data(), n);
  const int status = pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error("--vs " + printable(command) + ": ended with status " +
                std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
  return parse_rates(output, command);
}

}  // namespace coterie::cli
