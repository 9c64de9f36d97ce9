#include "text/byte_letters.h"

#include "text/utf8.h"

namespace coterie::text {

namespace {

constexpr char32_t n_letters = 0x144;  // code points below this may be letters

struct Letters {
  std::array<std::string, 256> of_byte;
  std::array<int, n_letters> to_byte;  // by code point, -1: no letter
};

Letters make_letters() {
  Letters all;
  all.to_byte.fill(-1);
  char32_t spare = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
    const char32_t code = printable ? static_cast<char32_t>(byte) : spare++;
    append_code_point(code, all.of_byte[static_cast<std::size_t>(byte)]);
    all.to_byte[code] = byte;
  }
  return all;
}

const Letters& all_letters() {
  static const Letters all = make_letters();
  return all;
}

}  // namespace

const std::array<std::string, 256>& byte_letters() { return all_letters().of_byte; }

std::optional<std::string> bytes_of_letters(std::string_view letters) {
  const Letters& all = all_letters();
  std::string bytes;
  while (!letters.empty()) {
    const Utf8Step step = next_utf8(letters);
    if (step.kind != Utf8Step::Kind::character || step.code >= n_letters || all.to_byte[step.code] < 0)
      return {};
    bytes += static_cast<char>(all.to_byte[step.code]);
    letters.remove_prefix(step.bytes);
  }
  return bytes;
}

}  // namespace coterie::text
