// coterie dump tensor FILE NAME --out X.npy: one tensor as float32, in NumPy's order (outermost dimension
// first).
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/npy.h"
#include "convert/safetensors.h"
#include "gguf/reader.h"

#include <algorithm>
#include <string>
#include <vector>

namespace coterie::cli {

namespace {

void dump_gguf(const std::string& path, const std::string& name, const std::string& out) {
  const gguf::Reader file(path);
  const gguf::TensorInfo* t = file.find_tensor(name);
  if (t == nullptr)
    throw UsageError(path + ": no tensor is called '" + name + "'; coterie inspect --tensors lists them");

  std::vector<std::int64_t> shape(t->shape.begin(), t->shape.begin() + t->n_dims);
  std::reverse(shape.begin(), shape.end());
  NpyFile npy(out, shape, path);
  std::vector<float> row(static_cast<std::size_t>(t->shape[0]));
  for (std::int64_t r = 0; r < t->rows(); ++r) {
    t->format->decode(t->data + r * t->row_bytes(), t->shape[0], row.data());
    npy.append(row);
  }
  file.check_io();
  npy.commit();
}

void dump_safetensors(const std::string& path, const std::string& name, const std::string& out) {
  const convert::SafeTensors files(path);
  const convert::SafeTensor* t = files.find(name);
  if (t == nullptr)
    throw UsageError(path + ": no tensor is called '" + name + "'; coterie inspect --tensors lists them");
  if (!convert::is_float(t->dtype))
    throw UsageError(path + ": tensor " + name + ": found " + convert::name_of(t->dtype) +
                     ", expected a float type");

  NpyFile npy(out, t->shape, path);
  constexpr std::int64_t piece = 1 << 20;
  std::vector<float> values(static_cast<std::size_t>(std::min(piece, t->elements())));
  for (std::int64_t first = 0; first < t->elements(); first += piece) {
    const std::int64_t n = std::min(piece, t->elements() - first);
    convert::to_float(*t, first, n, values.data());
    npy.append({values.data(), static_cast<std::size_t>(n)});
  }
  files.check_io();
  npy.commit();
}

int dump_tensor(Args& args) {
  const std::string path = args.positional("FILE", "a GGUF file, a .safetensors file or a folder of them");
  const std::string name = args.positional("NAME", "the tensor's name");
  const std::string out = args.option("--out X.npy", "", "where to write float32 (required)");
  args.finish();
  if (out.empty()) throw UsageError("dump tensor: --out X.npy is missing");

  const bool safetensors = is_folder(path) || path.ends_with(".safetensors");
  (safetensors ? dump_safetensors : dump_gguf)(path, name, out);
  return 0;
}

}  // namespace

const Command dump_tensor_command{"dump tensor", "one tensor, decoded to float32, as a NumPy file",
                                  dump_tensor,
                                  "coterie dump tensor model.gguf blk.0.attn_norm.weight --out norm.npy"};

}  // namespace coterie::cli
