// Any bytes as the files of a Hugging Face folder: refused with an error, or readable to the last value.
//
// The first byte says what the rest is; parts are separated by NUL, which no JSON has.
#include "base/errors.h"
#include "convert/hf_tokenizer.h"
#include "convert/plan.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

using namespace coterie;
using namespace coterie::convert;

namespace {

void read_safetensors(std::string_view bytes) {
  const SafeTensors file(std::as_bytes(std::span(bytes)), "fuzz.safetensors");
  for (const SafeTensor& t : file.tensors())
    if (is_float(t.dtype)) to_float(t);
}

void read_config(std::string_view text) { parse_hf_config(text, "config.json"); }

std::string_view cut(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\0'), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

// tokenizer.json, tokenizer_config.json, config.json
void read_tokenizer(std::string_view rest) {
  HfTokenizerTexts texts;
  texts.tokenizer = cut(rest);
  if (!rest.empty()) texts.tokenizer_config = cut(rest);
  if (!rest.empty()) texts.config = cut(rest);
  parse_hf_vocabulary(texts, "fuzz");
}

// config.json, then a .safetensors file: every row of every planned tensor is made.
void read_checkpoint(std::string_view rest) {
  const HfConfig config = parse_hf_config(cut(rest), "config.json");
  const SafeTensors file(std::as_bytes(std::span(rest)), "fuzz.safetensors");
  Plan plan = plan_tensors(config, file, one_type(*find_format("Q8_0")), Mtp::separate);
  if (plan.mtp) std::ranges::move(plan.mtp->tensors, std::back_inserter(plan.model.tensors));
  for (const PlannedTensor& t : plan.model.tensors) {
    std::vector<float> row(static_cast<std::size_t>(t.shape[0]));
    std::vector<std::byte> encoded(static_cast<std::size_t>(t.format->row_bytes(t.shape[0])));
    for (std::int64_t r = 0; r < t.rows(); ++r) {
      t.source.row(r, row.data());
      t.format->encode(row.data(), nullptr, t.shape[0], encoded.data());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr void (*readers[])(std::string_view) = {read_safetensors, read_config, read_tokenizer,
                                                          read_checkpoint};
  if (size == 0) return 0;
  try {
    readers[data[0] % 4]({reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const FileError&) {
  } catch (const ModelError&) {
  }
  return 0;
}
