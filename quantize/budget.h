// How large a file may become, as users say it.
#pragma once

#include <cstdint>
#include <string>

namespace coterie::quantize {

// "192GB" (10^9), "180GiB" (2^30), "5000000" (bytes) or "0.75x" (of the input's bytes), in whole bytes, rounded
// down. Also kB, MB, TB and KiB, MiB, TiB; a space before the unit and its case do not matter. Throws UsageError.
std::uint64_t parse_budget(const std::string& option, const std::string& text, std::uint64_t input_bytes);

// "2.7": so many bits per weight, the whole file counted.
std::uint64_t parse_bits(const std::string& option, const std::string& text, std::int64_t weights);

}  // namespace coterie::quantize
