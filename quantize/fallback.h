// Which format a row gets when the wanted one does not fit its length.
#pragma once

#include "formats/formats.h"

#include <cstdint>

namespace coterie::quantize {

// The wanted format where n weights are whole blocks of it. Else, as llama.cpp's quantizer does: Q2_K, Q3_K, TQ1_0 and
// TQ2_0 -> Q4_0, Q4_K -> Q5_0, Q5_K -> Q5_1, Q6_K -> Q8_0, any other super-block -> IQ4_NL; and F16 for rows that are no
// multiple of 32 either.
const FormatInfo& format_for_rows(const FormatInfo& wanted, std::int64_t n);

}  // namespace coterie::quantize
