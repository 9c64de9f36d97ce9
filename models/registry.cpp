// The list of model architectures. To add one: its folder, an include and a line here.
#include "models/model.h"

#include "base/errors.h"
#include "gguf/reader.h"
#include "models/deepseek/deepseek.h"
#include "models/llama/llama.h"
#include "models/qwen2/qwen2.h"
#include "models/qwen3moe/qwen3moe.h"

#include <string>

namespace coterie {

namespace {

template <class M>
std::unique_ptr<Model> make(const gguf::Reader& file) {
  return std::make_unique<M>(file);
}

struct Architecture {
  const char* name;  // general.architecture
  std::unique_ptr<Model> (*load)(const gguf::Reader& file);
};

constexpr Architecture architectures[] = {
    {"deepseek2", make<deepseek::DeepSeek>},
    {"llama", make<llama::Llama>},
    {"qwen2", make<qwen2::Qwen2>},
    {"qwen3moe", make<qwen3moe::Qwen3Moe>},
};

}  // namespace

std::unique_ptr<Model> load_model(const gguf::Reader& file) {
  const std::string name(file.text("general.architecture"));
  std::string known;
  for (const Architecture& a : architectures) {
    if (name == a.name) return a.load(file);
    known += std::string(known.empty() ? "" : ", ") + a.name;
  }
  throw ModelError(file.path() + ": key general.architecture: " + name + ", expected one of " + known);
}

}  // namespace coterie
