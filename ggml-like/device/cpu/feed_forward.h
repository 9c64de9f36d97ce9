// Feed-forward networks, dense or chosen by a router:
//
//   y[token] = sum over its experts of gate_e * down_e(silu(gate_e h) * up_e h)  (+ shared(h)),   y added to
//   x
//
// All networks that some token meets form one task list: (network, block of rows). A network's weights are
// read once, whatever the number of tokens. Gate and up rows are computed together and re-quantised in the
// same task. Then, for a few tokens, a task takes some rows of every network's down and sums what they give: two
// lists a layer, hence two barriers. Many tokens have a third: a network's tokens are scattered over the batch.
#pragma once

#include "device/cpu/cpu.h"

#include <cstdint>
#include <vector>

namespace coterie {

struct FeedForward {
  Matrix gate, up;  // [dim -> inner], stacked by expert where routed
  Matrix down;      // [inner -> dim]
};

// The router's choice: for each token, experts in rank order and their final weights.
struct Routes {
  int per_token = 0;
  std::vector<int> ids;               // [token * per_token + rank]
  std::vector<float> weights;         // the same
  const float* affinities = nullptr;  // [tokens, experts]: how much the router likes each; null: not told
};

class FeedForwardRunner {
 public:
  FeedForwardRunner() = default;
  // Room for max_tokens tokens that meet per_token routed networks of width inner and a shared one of width
  // shared_inner (0: none); dim wide outside.
  struct Sizes {
    std::int64_t max_tokens, dim, per_token, n_experts, inner, shared_inner;
  };
  FeedForwardRunner(Cpu& cpu, const Sizes& sizes);

  // x[token] += network(h[token]), for a plain network.
  void dense(Cpu& cpu, const FeedForward& network, Activations& h, std::int64_t n_tokens, float* x);
  // x[token] += shared(h[token]) + sum in rank order of weight * expert(h[token]); shared may be absent.
  struct Moe {
    const FeedForward& experts;
    const FeedForward* shared;
    const Routes& routes;
  };
  void moe(Cpu& cpu, const Moe& moe, Activations& h, std::int64_t n_tokens, float* x);

 private:
  // One network and the slots of the tokens that meet it: [first, first + count).
  struct Job {
    Matrix gate, up, down;
    std::int64_t first;
    int count;
    std::byte* inner;  // silu(gate) * up of its slots, in the form that down is multiplied with
    bool gathered;     // its tokens are scattered over the batch: slot_token_ names them
  };
  void sort_by_expert(const Routes& routes, std::int64_t n_tokens);
  void add_routed(const FeedForward& experts);
  void run_jobs(Cpu& cpu, Activations& h, std::int64_t n_tokens, float* x);
  void up_list(Cpu& cpu, Activations& h, std::int64_t n_tokens);
  void up_task(Cpu& cpu, const Activations& h, const Job& job, const Pieces::Piece& piece, float* scratch);
  void down_list(Cpu& cpu);
  void sum_list(Cpu& cpu, std::int64_t n_tokens, float* x);
  void down_and_sum_list(Cpu& cpu, std::int64_t n_tokens, float* x);
  // Results of down for some rows, [slots, stride].
  struct Results {
    const float* data;
    std::int64_t stride;
  };
  // x[0, n) += what the token's networks gave for these rows, in rank order.
  void sum(const Kernels& kernels, Results results, std::int64_t token, std::int64_t n, float* x) const;
  ActivationRows inputs(const Activations& h, const Job& job, ActivationKind kind) const;

  Sizes sizes_{};
  std::vector<Job> jobs_;
  std::vector<int> counts_;         // tasks of each job
  const Routes* routes_ = nullptr;  // of this call; null: none
  std::int64_t plain_slot_ = -1;    // first slot of the network that all tokens meet; -1: none
  std::vector<int> slot_token_;     // [slots]: which token
  std::vector<int> slot_of_;        // [token * per_token + rank]: which slot
  std::vector<int> expert_begin_;   // [experts + 1]: first slot of each
  Buffer<std::byte> inner_;
  Buffer<float> out_;  // [slots, dim]
};

}  // namespace coterie
