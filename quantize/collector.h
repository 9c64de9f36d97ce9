// Sums the squares of the activations that meet each weight matrix, in double and in the order of the tokens: the
// sums depend neither on threads nor on how a text is cut into steps.
//
// Routers starve experts. A second reading closes the hole: for every expert with fewer tokens than asked, the
// tokens that its router liked best without choosing it are run through it on the side, so that its activations are
// real ones; the forward pass itself is left as it is. What was forced is counted apart.
#pragma once

#include "device/cpu/feed_forward.h"
#include "gguf/reader.h"
#include "tensor/buffer.h"

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

namespace coterie::quantize {

// The sums of one tensor: a row per matrix of its stack.
struct TensorSums {
  const gguf::TensorInfo* tensor;
  Buffer<double> sums;               // [matrices, columns]
  std::vector<std::int64_t> counts;  // [matrices]: tokens
  bool by_expert = false;            // a router chooses among its matrices
  bool seen() const;                 // some token met it
};

// One routed layer.
struct RoutedSums {
  struct Candidate {
    float affinity;
    std::int64_t token;
  };
  struct Expert {
    std::vector<Candidate> candidates;  // tokens sent elsewhere: a heap, the least liked on top, at most min_tokens
    std::int64_t forced = 0;            // tokens of the second reading
  };
  TensorSums* stacks[3];  // gate, up, down
  std::vector<Expert> experts;
  std::int64_t routed(std::size_t expert) const { return stacks[0]->counts[expert] - experts[expert].forced; }
};

class Collector final : public Observer {
 public:
  // Throws MemoryError where the sums do not fit. The file must outlive this.
  Collector(const gguf::Reader& file, std::int64_t min_tokens);

  void saw(const Matrix& w, const Inputs& inputs) override;
  void routed(Cpu& cpu, const Routed& layer) override;
  // The number of the next step's first token, counted through the whole text.
  void at_token(std::int64_t token) { first_token_ = token; }

  // Ends the first reading. The second one is of those steps only that some expert needs.
  void plan_second_reading();
  bool needs(std::int64_t first_token, std::int64_t n) const;

  std::vector<TensorSums>& tensors() { return tensors_; }  // every matrix that a product may meet, by address
  std::vector<RoutedSums>& layers() { return layers_; }    // in the order of the forward pass

 private:
  struct Forced {
    std::int64_t token;
    int expert;
    auto operator<=>(const Forced&) const = default;
  };
  TensorSums* find(const std::byte* weights);
  std::size_t layer_of(const FeedForward& experts, std::int64_t n_experts);
  void note_candidates(RoutedSums& layer, const Routed& routed) const;
  void run_expert(Cpu& cpu, const FeedForward& experts, int expert, const Activations& h,
                  std::span<const int> tokens);
  std::span<const Forced> planned(std::size_t layer, std::int64_t first_token, std::int64_t n) const;

  std::int64_t min_tokens_;
  std::vector<TensorSums> tensors_;
  std::vector<RoutedSums> layers_;
  std::vector<std::vector<Forced>> plan_;  // by layer, in the order of the tokens
  std::int64_t first_token_ = 0;
  bool summing_ = true;  // in the second reading only while an expert is forced
};

}  // namespace coterie::quantize
