// Text in: whole files and standard input, within a limit.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace coterie::cli {

std::string read_text(
    const std::string& path);  // "-": standard input. Throws Error: cannot be read, too long
nlohmann::ordered_json read_json(const std::string& path);  // the same, parsed

bool is_folder(const std::string& path);
bool is_gguf_name(const std::string& path);  // ends in .gguf

std::string human_bytes(std::uint64_t bytes);  // "1.83 GiB"

}  // namespace coterie::cli
