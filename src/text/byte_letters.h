// The letters of byte-level BPE: every byte has a printable character, in which vocabularies are written.
//
// Printable bytes of Latin-1 are their own letters; the other 68 (controls, the space, 0x7f .. 0xa0, 0xad)
// get U+0100 and up, in ascending order. Source: bytes_to_unicode of GPT-2.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace coterie::text {

const std::array<std::string, 256>& byte_letters();  // by byte, UTF-8

// The bytes that a token written in letters stands for; none: a character in it is no letter.
std::optional<std::string> bytes_of_letters(std::string_view letters);

}  // namespace coterie::text
