// A GGUF file written anew with something changed: other weight formats, other keys, tensors left out or
// altered.
#pragma once

#include "gguf/reader.h"
#include "gguf/writer.h"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coterie::test {

struct Rewrite {
  // The format a tensor gets; null: its own. Rows that do not fit stay as they are.
  std::function<const FormatInfo*(const gguf::TensorInfo&)> format = nullptr;
  std::function<bool(std::string_view)> keep_tensor = nullptr;                         // default: all
  std::function<void(const gguf::TensorInfo&, std::vector<float>&)> change = nullptr;  // F32 tensors only
  std::function<std::int64_t(std::string_view key, std::int64_t value)> integer = nullptr;  // UINT32 keys
  std::function<float(std::string_view key, float value)> number = nullptr;                 // FLOAT32 keys
  std::function<void(gguf::Writer&)> more_keys = nullptr;  // behind those of the file
};

// A DeepSeek file as converters wrote it before 2025-04: attn_kv_b in place of attn_k_b and attn_v_b,
// key_length and value_length those of a head (no *_mla keys). F32 in, F32 out.
void write_old_style(const std::string& from, const std::string& to);

void rewrite(const std::string& from, const std::string& to, const Rewrite& how);

}  // namespace coterie::test
