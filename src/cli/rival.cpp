#include "cli/rival.h"

#include "base/errors.h"
#include "cli/terminal.h"

#include <nlohmann/json.hpp>

#include <sys/wait.h>

#include <array>
#include <cstdio>

namespace coterie::cli {

using Json = nlohmann::json;

static Rates of_llama_bench(const Json& tests) {
  Rates rates;
  for (const Json& t : tests) {
    if (!t.is_object() || !t.contains("avg_ts") || t.value("n_depth", 0) != 0) continue;
    const bool prompt = t.value("n_prompt", 0) > 0;
    const bool decode = t.value("n_gen", 0) > 0;
    if (prompt != decode) (prompt ? rates.prompt : rates.decode) = t["avg_ts"].get<double>();
  }
  return rates;
}

static Rates of_ours(const Json& report) {
  Rates rates;
  for (const Json& t : report.value("tests", Json::array())) {
    if (t.value("depth", -1) != 0) continue;
    if (t.value("test", "") == "prompt") rates.prompt = t.value("tokens_per_s", 0.0);
    if (t.value("test", "") == "decode" && t.value("tokens", 0) == 1)
      rates.decode = t.value("tokens_per_s", 0.0);
  }
  return rates;
}

Rates parse_rates(const std::string& output, const std::string& command) {
  for (std::size_t at = 0; at != std::string::npos; at = output.find('\n', at)) {
    at += at == 0 ? 0 : 1;
    if (at >= output.size() || (output[at] != '[' && output[at] != '{')) {
      if (at >= output.size()) break;
      continue;
    }
    const Json json = Json::parse(output.substr(at), nullptr, false);
    if (json.is_discarded()) continue;
    const Rates rates = json.is_array() ? of_llama_bench(json) : of_ours(json);
    if (rates.prompt || rates.decode) return rates;
  }
  throw Error(
      "--vs " + printable(command) +
      ": found no rates in what it printed, expected JSON as of llama-bench -o json or coterie bench --json");
}

Rates run_rival(const std::string& command) {
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
