// Which format every tensor of a model gets: by a recipe, a mix or one plain format, and what its rows allow.
// A function of names, shapes and a few figures of the model, so that converters can ask before there is a
// file.
#pragma once

#include "formats/formats.h"
#include "quantize/mixes.h"
#include "quantize/recipe.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coterie::gguf {
class Reader;
}

namespace coterie::quantize {

// One tensor before the choice.
struct Candidate {
  std::string_view name;
  std::array<std::int64_t, 4> shape;  // ne0 first, 1 beyond n_dims
  int n_dims;
  const FormatInfo* format;  // as it is now
};

struct ModelFacts {
  std::string architecture;  // empty: the file does not say
  int layers = 0;
  int experts = 0;
  int heads_per_key_head = 1;

  bool known() const;  // its tensors have the names that the mixes go by
};
ModelFacts model_facts(const gguf::Reader& file);  // throws ModelError: keys of a wrong type

// False for norms, routers, vectors and what holds no weights. by_name: the names are those of a known model.
bool may_change(const Candidate& tensor, bool by_name);

// --type as the user means it: exactly one of the two. A name that is both means the mix, unless pure.
struct Type {
  const Mix* mix = nullptr;
  const FormatInfo* plain = nullptr;

  const FormatInfo& base() const;
  std::uint32_t file_type() const;
};
Type find_type(const std::string& name, bool pure);  // throws UsageError naming all there are

struct Wish {
  Type type;                       // neither: what the recipe does not name stays as it is
  const Recipe* recipe = nullptr;  // goes before the type
  bool pure = false;               // every tensor of two dimensions or more, whatever its name
  bool importance = false;         // an importance matrix is at hand: some mixes choose otherwise then
};

struct Choice {
  const FormatInfo* format;  // Candidate::format: the tensor stays as it is
  const FormatInfo* wanted;  // another one where the rows are no whole blocks of it
};

// One choice per tensor. Norms, routers, vectors and what holds no weights stay as they are. In a model whose
// architecture is not known a mix is its base format, on every tensor of two dimensions or more.
std::vector<Choice> choose_formats(const ModelFacts& model, std::span<const Candidate> tensors,
                                   const Wish& wish);

}  // namespace coterie::quantize
