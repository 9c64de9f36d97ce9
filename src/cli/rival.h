// Another program measured in turns with ours, because machines drift.
#pragma once

#include "bench/model_bench.h"

#include <string>
#include <vector>

namespace coterie::cli {

// Runs a shell command and reads what it printed: a JSON array as llama-bench -o json prints it (llama.cpp's or
// ik_llama.cpp's), or an object of coterie bench --json. Lines before it are passed over. Throws Error naming the
// command when it fails or prints no such thing.
std::vector<bench::Rate> run_rival(const std::string& command);

}  // namespace coterie::cli
