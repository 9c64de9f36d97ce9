// Text and JSON in, from files and standard input, within limits.
#pragma once

#include "models/vocabulary.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace coterie::cli {

std::string read_text(
    const std::string& path);  // "-": standard input. Throws Error: cannot be read, too long
nlohmann::ordered_json read_json(const std::string& path);  // the same, parsed

// A JSON array of ids below n_vocab. Throws UsageError naming the subject.
std::vector<Token> token_ids(const nlohmann::ordered_json& json, std::size_t n_vocab,
                             const std::string& subject);

bool is_folder(const std::string& path);
bool is_gguf_name(const std::string& path);  // ends in .gguf

// A small file in one go, and the line about it. Throws Error, DiskFullError.
void write_text(const std::string& path, const std::string& text);
void report_written(const std::string& path);  // one line on stderr: name and size
std::string human_bytes(std::uint64_t bytes);  // "1.83 GiB"

// "48G", "192GB" (10^9), "180GiB" (2^30), "1.5T", plain bytes. Throws UsageError naming the option.
std::uint64_t parse_size(const std::string& option, const std::string& text);

}  // namespace coterie::cli
