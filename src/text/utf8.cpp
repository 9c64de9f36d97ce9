#include "text/utf8.h"

namespace coterie::text {

namespace {

struct Lead {
  std::size_t bytes;  // of the whole character; 0: no character starts with this byte
  unsigned char low,
      high;  // what may stand second (Unicode standard, table 3-7: no overlong forms, no surrogates)
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xc2) return {0, 0, 0};
  if (byte < 0xe0) return {2, 0x80, 0xbf};
  if (byte < 0xf0)
    return {3, static_cast<unsigned char>(byte == 0xe0 ? 0xa0 : 0x80),
            static_cast<unsigned char>(byte == 0xed ? 0x9f : 0xbf)};
  if (byte < 0xf5)
    return {4, static_cast<unsigned char>(byte == 0xf0 ? 0x90 : 0x80),
            static_cast<unsigned char>(byte == 0xf4 ? 0x8f : 0xbf)};
  return {0, 0, 0};
}

}  // namespace

Utf8Step next_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Lead lead = lead_of(byte(0));
  if (lead.bytes == 0) return {Utf8Step::Kind::broken, 0, 1};
  if (lead.bytes == 1) return {Utf8Step::Kind::character, byte(0), 1};
  char32_t code = byte(0) & (0x7fU >> lead.bytes);
  for (std::size_t i = 1; i < lead.bytes; ++i) {
    if (i == text.size()) return {Utf8Step::Kind::cut, 0, i};
    const unsigned char low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xbf;
    if (byte(i) < low || byte(i) > high) return {Utf8Step::Kind::broken, 0, i};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  return {Utf8Step::Kind::character, code, lead.bytes};
}

std::size_t append_utf8(std::string_view text, bool final, std::string& out) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.kind == Utf8Step::Kind::cut && !final) break;
    if (step.kind == Utf8Step::Kind::character)
      out += text.substr(at, step.bytes);
    else
      out += "\xef\xbf\xbd";
    at += step.bytes;
  }
  return at;
}

void append_code_point(char32_t code, std::string& out) {
  const auto byte = [&](char32_t b) { out += static_cast<char>(static_cast<unsigned char>(b)); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      byte(0xe0 | code >> 12);
    } else {
      byte(0xf0 | code >> 18);
      byte(0x80 | (code >> 12 & 0x3f));
    }
    byte(0x80 | (code >> 6 & 0x3f));
  }
  byte(0x80 | (code & 0x3f));
}

}  // namespace coterie::text
