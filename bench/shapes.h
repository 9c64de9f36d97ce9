// Sizes of public DeepSeek-type models, for models of random weights.
#pragma once

#include "convert/hf_config.h"

#include <string>

namespace coterie::bench {

// deepseek-r1, deepseek-v2-lite, kimi-k2, or a file like the config.json of a release, of any architecture that convert
// knows. Multi-token-prediction layers are left out. Throws UsageError (unknown name), FileError or ModelError (the file).
convert::HfConfig find_shape(const std::string& name_or_file);

}  // namespace coterie::bench
