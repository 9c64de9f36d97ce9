// The well-known mixes: which tensor of a model gets more bits than the rest. What users expect of the names
// is what llama.cpp's quantizer does, so the choices are its choices, as a table; its file is
// src/llama-quant.cpp.
#pragma once

#include "formats/formats.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace coterie::quantize {

struct Mix {
  const char* name;
  std::uint32_t file_type;  // as general.file_type counts them
  const char* base;         // the format of every tensor that no rule names
};

std::span<const Mix> mixes();
const Mix* find_mix(std::string_view name);  // case-insensitive; nullptr: unknown

// general.file_type of a file that is mostly of this format.
std::uint32_t file_type_of(const FormatInfo& format);

// What a tensor is for. Attention values (attn_v, attn_qkv, attn_kv_b) are the most sensitive part.
enum class Part : unsigned {
  output = 1,  // the head, or the embedding that serves as one
  embedding = 2,
  attention_value = 4,
  attention_key = 8,
  attention_query = 16,
  attention_output = 32,
  up = 64,
  gate = 128,
  down = 256,
  other = 512
};

// What a rule may ask of a tensor's place; a tensor has a set of them.
enum Fact : unsigned {
  odd_rows = 1,        // rows are no whole blocks of the base format
  stacked = 2,         // experts, one matrix behind the other
  shared_keys = 4,     // 4 query heads or more per key head
  four_experts = 8,    // or more
  eight_experts = 16,  // exactly, as in Mixtral
  importance = 32,     // an importance matrix is at hand
  first_eighth = 64,   // of the layers
  first_sixteenth = 128,
  middle = 256,       // neither the first nor the last eighth
  more_bits = 512,    // of the layers: the first and last eighth and every third between
  early_down = 1024,  // of the tensors of its part, counted: among the first (number of layers) / 8
  first_two = 2048,   // of the tensors of its part, counted
  first_four = 4096,
  value_more_bits = 8192,   // as more_bits, but of the tensors of its part, counted
  seventy_billion = 16384,  // 80 layers with shared keys: their values cost little and get more bits
};

// The format that the mix wants for a tensor.
const FormatInfo& choose(const Mix& mix, Part part, unsigned facts);

}  // namespace coterie::quantize
