// What the runtime knows of a model: sizes, a state per timeline, and one forward step.
//
// A Model is immutable: views of the mapped file. Whatever changes (caches, activations) is in the State that
// it makes.
#pragma once

#include "device/cpu/cache.h"
#include "device/cpu/cpu.h"
#include "models/vocabulary.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace coterie {

namespace gguf {
class Reader;
}

enum class Role { prompt, decode };  // which arithmetic a token gets: given, or produced

// One expert choice of one layer: what `dump routes` prints.
struct RouteRecord {
  int layer;
  std::vector<std::vector<int>> ids;        // [token][rank]
  std::vector<std::vector<float>> weights;  // [token][rank]
};

struct ModelSizes {
  std::int64_t n_vocab, context_length;
};

struct StateOptions {
  std::int64_t positions;   // cache rows
  std::int64_t max_tokens;  // per step
  CacheType cache;
};

struct Step {
  std::span<const Token> tokens;  // at most StateOptions::max_tokens
  std::int64_t position;          // of the first token
  Role role;
  std::int64_t n_logits;             // logits are wanted for the last n_logits tokens
  float* logits;                     // [n_logits, n_vocab]
  std::vector<RouteRecord>* routes;  // null: not recorded; tokens are appended to each layer's record
};

class ModelState {
 public:
  virtual ~ModelState() = default;
  virtual std::vector<CacheRows*> caches() = 0;  // every layer's
};

// What one decode step reads and multiplies.
struct TokenCost {
  std::int64_t bytes = 0;    // of weights and cache
  std::int64_t weights = 0;  // each one product; without the head's, which few tokens of a prompt meet

  void add(const Matrix& m) { add_part(m, 1, 1); }
  void add_head(const Matrix& m) { bytes += m.bytes(); }
  void add_part(const Matrix& m, std::int64_t used, std::int64_t of) {  // some matrices of a stack
    if (!m) return;
    bytes += m.bytes() / of * used;
    weights += m.count * m.rows * m.n / of * used;
  }
};

class Model {
 public:
  virtual ~Model() = default;
  const ModelSizes& sizes() const { return sizes_; }
  // Throws MemoryError. The Cpu must be the one that forward() gets later: its scratch is sized here.
  virtual std::unique_ptr<ModelState> new_state(Cpu& cpu, const StateOptions& options) const = 0;
  // Inside Team::step. Writes cache rows [position, position + tokens), reads all before.
  virtual void forward(Cpu& cpu, ModelState& state, const Step& step) const = 0;
  virtual TokenCost token_cost(std::int64_t position, CacheType cache) const = 0;
  virtual std::int64_t cache_bytes_per_position(CacheType cache) const = 0;

 protected:
  ModelSizes sizes_{};
};

// The architecture that general.architecture names. Throws ModelError: unknown, or keys and tensors that do
// not fit.
std::unique_ptr<Model> load_model(const gguf::Reader& file);

}  // namespace coterie
