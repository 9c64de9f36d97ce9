#include "tests/models/rewritten.h"

#include <cstring>

namespace coterie::test {

static void copy_key(gguf::Writer& out, std::string_view key, const gguf::Value& value, const Rewrite& how) {
  if (value.type == gguf::ValueType::uint32 && how.integer) {
    std::uint32_t v = 0;
    std::memcpy(&v, value.bytes.data(), sizeof v);
    out.add<std::uint32_t>(key, static_cast<std::uint32_t>(how.integer(key, v)));
  } else if (value.type == gguf::ValueType::float32 && how.number) {
    float v = 0;
    std::memcpy(&v, value.bytes.data(), sizeof v);
    out.add<float>(key, how.number(key, v));
  } else {
    out.add(key, value);
  }
}

static std::vector<std::byte> new_bytes(const gguf::TensorInfo& t, const FormatInfo& format,
                                        const Rewrite& how) {
  std::vector<float> values(static_cast<std::size_t>(t.elements()));
  t.format->decode(t.data, t.elements(), values.data());
  if (how.change && t.format->gguf_id == 0) how.change(t, values);
  std::vector<std::byte> bytes(static_cast<std::size_t>(format.row_bytes(t.elements())));
  format.encode(values.data(), nullptr, t.elements(), bytes.data());
  return bytes;
}

void rewrite(const std::string& from, const std::string& to, const Rewrite& how) {
  const gguf::Reader in(from);
  gguf::Writer out(to);
  for (const auto& [key, value] : in.keys()) copy_key(out, key, value, how);
  if (how.more_keys) how.more_keys(out);
  struct Kept {
    const gguf::TensorInfo* tensor;
    const FormatInfo* format;
  };
  std::vector<Kept> kept;
  for (const gguf::TensorInfo& t : in.tensors()) {
    if (how.keep_tensor && !how.keep_tensor(t.name)) continue;
    const FormatInfo* format = how.format ? how.format(t) : nullptr;
    if (format == nullptr || t.shape[0] % format->block_size != 0) format = t.format;
    kept.push_back({&t, format});
    out.add_tensor(t.name, std::span(t.shape).first(static_cast<std::size_t>(t.n_dims)), *format);
  }
  out.begin_data();
  for (std::size_t i = 0; i < kept.size(); ++i)
    out.write(static_cast<int>(i), 0, new_bytes(*kept[i].tensor, *kept[i].format, how));
  out.commit();
}

// attn_kv_b [latent, heads * (nope + v)]: per head the transposed attn_k_b, then attn_v_b.
static std::vector<float> join_kv_b(const gguf::TensorInfo& k, const gguf::TensorInfo& v) {
  const std::int64_t nope = k.shape[0];
  const std::int64_t latent = k.shape[1];
  const std::int64_t v_dim = v.shape[1];
  const auto* keys = reinterpret_cast<const float*>(k.data);
  const auto* values = reinterpret_cast<const float*>(v.data);
  std::vector<float> joined;
  for (std::int64_t head = 0; head < k.shape[2]; ++head) {
    for (std::int64_t d = 0; d < nope; ++d)
      for (std::int64_t l = 0; l < latent; ++l) joined.push_back(keys[(head * latent + l) * nope + d]);
    joined.insert(joined.end(), values + head * v_dim * latent, values + (head + 1) * v_dim * latent);
  }
  return joined;
}

void write_old_style(const std::string& from, const std::string& to) {
  const gguf::Reader in(from);
  gguf::Writer out(to);
  const std::string arch = std::string(in.text("general.architecture")) + ".";
  const std::int64_t key_length = in.integer(arch + "attention.key_length_mla", 1, 1 << 20);
  const std::int64_t value_length = in.integer(arch + "attention.value_length_mla", 1, 1 << 20);
  for (const auto& [key, value] : in.keys()) {
    if (key.ends_with("_mla")) continue;
    copy_key(out, key, value, {.integer = [&](std::string_view name, std::int64_t old) {
               if (name.ends_with("attention.key_length")) return key_length;
               return name.ends_with("attention.value_length") ? value_length : old;
             }});
  }
  std::vector<std::vector<float>> data;
  for (const gguf::TensorInfo& t : in.tensors()) {
    const std::string name(t.name);
    if (name.ends_with("attn_v_b.weight")) continue;
    const auto* floats = reinterpret_cast<const float*>(t.data);
    if (const std::size_t at = name.find("attn_k_b"); at != std::string::npos) {
      const gguf::TensorInfo& v = *in.find_tensor(name.substr(0, at) + "attn_v_b.weight");
      data.push_back(join_kv_b(t, v));
      out.add_tensor(name.substr(0, at) + "attn_kv_b.weight",
                     std::vector<std::int64_t>{t.shape[1], t.shape[2] * (t.shape[0] + v.shape[1])},
                     *t.format);
    } else {
      data.emplace_back(floats, floats + t.elements());
      out.add_tensor(name, std::span(t.shape).first(static_cast<std::size_t>(t.n_dims)), *t.format);
    }
  }
  out.begin_data();
  for (std::size_t i = 0; i < data.size(); ++i)
    out.write(static_cast<int>(i), 0, std::as_bytes(std::span(data[i])));
  out.commit();
}

}  // namespace coterie::test
