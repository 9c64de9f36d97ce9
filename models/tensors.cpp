#include "models/tensors.h"

#include "base/errors.h"

namespace coterie {

namespace {

std::string shape_text(const gguf::TensorInfo& t) {
  std::string text = "[";
  for (int i = 0; i < t.n_dims; ++i)
    text += (i ? ", " : "") + std::to_string(t.shape[static_cast<std::size_t>(i)]);
  return text + "]";
}

[[noreturn]] void bad_shape(const gguf::Reader& file, const gguf::TensorInfo& t,
                            const std::string& expected) {
  throw ModelError(file.path() + ": tensor " + std::string(t.name) + ": shape " + shape_text(t) +
                   ", expected " + expected);
}

}  // namespace

const gguf::TensorInfo& Tensors::get(const std::string& name) const {
  if (const gguf::TensorInfo* t = file_.find_tensor(name)) return *t;
  throw ModelError(file_.path() + ": tensor " + name + ": missing, expected in this architecture");
}

Matrix Tensors::matrix(const std::string& name, std::int64_t n, std::int64_t rows, std::int64_t count) const {
  const gguf::TensorInfo& t = get(name);
  const bool stacked = t.shape[1] == rows && t.shape[2] == count;
  const bool flat = t.shape[1] == rows * count && t.shape[2] == 1;
  if (t.shape[0] != n || t.shape[3] != 1 || !(stacked || flat))
    bad_shape(file_, t,
              "[" + std::to_string(n) + ", " + std::to_string(rows) +
                  (count > 1 ? ", " + std::to_string(count) : std::string()) + "]");
  if (t.format->index < 0)
    throw ModelError(file_.path() + ": tensor " + name + ": type " + t.format->name +
                     ", expected a weight format");
  return {t.data, t.format, n, rows, count};
}

Matrix Tensors::optional_matrix(const std::string& name, std::int64_t n, std::int64_t rows,
                                std::int64_t count) const {
  return has(name) ? matrix(name, n, rows, count) : Matrix{};
}

const float* Tensors::vector(const std::string& name, std::int64_t n) const {
  const gguf::TensorInfo& t = get(name);
  if (t.shape[0] != n || t.elements() != n) bad_shape(file_, t, "[" + std::to_string(n) + "]");
  if (std::string_view(t.format->name) != "F32")
    throw ModelError(file_.path() + ": tensor " + name + ": type " + t.format->name + ", expected F32");
  return reinterpret_cast<const float*>(t.data);
}

const float* Tensors::optional_vector(const std::string& name, std::int64_t n) const {
  return has(name) ? vector(name, n) : nullptr;
}

FeedForward Tensors::feed_forward(std::int64_t layer, const std::string& suffix, std::int64_t dim,
                                  std::int64_t inner, std::int64_t count) const {
  const auto name = [&](const char* root) { return block_name(layer, root) + suffix + ".weight"; };
  return {matrix(name("ffn_gate"), dim, inner, count), matrix(name("ffn_up"), dim, inner, count),
          matrix(name("ffn_down"), inner, dim, count)};
}

}  // namespace coterie
