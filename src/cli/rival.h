// Another program measured in turns with ours, because machines drift.
#pragma once

#include <optional>
#include <string>

namespace coterie::cli {

struct Rates {
  std::optional<double> prompt, decode;  // tokens per second
};

// What a benchmark printed: a JSON array as llama-bench -o json prints it, or an object of coterie bench --json. Lines
// before it are passed over. Throws Error naming the command when there is none.
Rates parse_rates(const std::string& output, const std::string& command);

// Runs a shell command and reads its rates. Throws Error when it fails.
Rates run_rival(const std::string& command);

}  // namespace coterie::cli
