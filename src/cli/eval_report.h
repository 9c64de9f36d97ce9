// The page about a quantised file: what it weighs and what it has lost, against the original.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace coterie::cli {

// {"file", "bytes", "weights", "bits_per_weight", "types": share of the weights by type}.
nlohmann::ordered_json describe_file(const std::string& path);

// Markdown of {"model", "original": describe_file(), "text": score_text() with a reference, and perhaps
// "problems": {"model", "original": scores_of()}}.
std::string report_page(const nlohmann::ordered_json& report);

std::string json_beside(const std::string& page);  // page.md -> page.json

}  // namespace coterie::cli
