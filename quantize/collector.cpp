#include "quantize/collector.h"

#include "base/memory.h"

#include <algorithm>
#include <limits>

namespace coterie::quantize {

namespace {

using Candidate = RoutedSums::Candidate;

// Liked more; of equals the earlier token. A heap with this order has the least liked on top.
bool better(const Candidate& a, const Candidate& b) {
  return a.affinity != b.affinity ? a.affinity > b.affinity : a.token < b.token;
}

std::int64_t matrices_of(const gguf::TensorInfo& t) { return t.shape[2] * t.shape[3]; }

// The table of embeddings is looked up, not multiplied with, unless it is the head as well.
bool meets_products(const gguf::Reader& file, const gguf::TensorInfo& t) {
  return t.rows() > 1 && (t.name != "token_embd.weight" || file.find_tensor("output.weight") == nullptr);
}

}  // namespace

bool TensorSums::seen() const {
  return std::any_of(counts.begin(), counts.end(), [](std::int64_t n) { return n > 0; });
}

Collector::Collector(const gguf::Reader& file, std::int64_t min_tokens) : min_tokens_(min_tokens) {
  std::uint64_t bytes = 0;
  for (const gguf::TensorInfo& t : file.tensors())
    if (meets_products(file, t)) {
      tensors_.push_back({&t, {}, std::vector<std::int64_t>(static_cast<std::size_t>(matrices_of(t)))});
      bytes += static_cast<std::uint64_t>(matrices_of(t) * t.shape[0]) * sizeof(double);
    }
  require_memory(bytes, "sums of an importance matrix");
  for (TensorSums& t : tensors_)
    t.sums = Buffer<double>(matrices_of(*t.tensor) * t.tensor->shape[0], "sums of an importance matrix");
  std::sort(tensors_.begin(), tensors_.end(),
            [](const TensorSums& a, const TensorSums& b) { return a.tensor->data < b.tensor->data; });
}

TensorSums* Collector::find(const std::byte* weights) {
  const auto after =
      std::upper_bound(tensors_.begin(), tensors_.end(), weights,
                       [](const std::byte* w, const TensorSums& t) { return w < t.tensor->data; });
  if (after == tensors_.begin()) return nullptr;
  TensorSums& t = *std::prev(after);
  return weights < t.tensor->data + t.tensor->bytes ? &t : nullptr;
}

void Collector::saw(const Matrix& w, const Inputs& in) {
  TensorSums* t = summing_ ? find(w.data) : nullptr;
  if (t == nullptr) return;
  const std::int64_t matrix = (w.data - t->tensor->data) / (t->tensor->row_bytes() * t->tensor->shape[1]);
  double* sums = t->sums.data() + matrix * t->tensor->shape[0] + in.first_column;
  for (std::int64_t i = 0; i < in.n_tokens; ++i) {
    const float* x = in.row(i);
    for (std::int64_t c = 0; c < in.n_columns; ++c) sums[c] += double{x[c]} * double{x[c]};
  }
  if (in.first_column == 0) t->counts[static_cast<std::size_t>(matrix)] += in.n_tokens;
}

std::size_t Collector::layer_of(const FeedForward& experts, std::int64_t n_experts) {
  TensorSums* const gate = find(experts.gate.data);
  const auto found = std::find_if(layers_.begin(), layers_.end(),
                                  [&](const RoutedSums& l) { return l.stacks[0] == gate; });
  if (found != layers_.end()) return static_cast<std::size_t>(found - layers_.begin());
  layers_.push_back({{gate, find(experts.up.data), find(experts.down.data)},
                     std::vector<RoutedSums::Expert>(static_cast<std::size_t>(n_experts))});
  for (TensorSums* stack : layers_.back().stacks) stack->by_expert = true;
  return layers_.size() - 1;
}

void Collector::routed(Cpu& cpu, const Routed& r) {
  const std::size_t layer = layer_of(r.experts, r.experts.gate.count);
  if (plan_.empty()) {
    note_candidates(layers_[layer], r);
    return;
  }
  const std::span<const Forced> here = planned(layer, first_token_, r.n_tokens);
  std::vector<std::vector<int>> tokens(static_cast<std::size_t>(r.experts.gate.count));
  for (const Forced& f : here)
    tokens[static_cast<std::size_t>(f.expert)].push_back(static_cast<int>(f.token - first_token_));
  for (std::size_t e = 0; e < tokens.size(); ++e) {
    if (tokens[e].empty()) continue;
    run_expert(cpu, r.experts, static_cast<int>(e), r.h, tokens[e]);
    layers_[layer].experts[e].forced += static_cast<std::int64_t>(tokens[e].size());
  }
}

void Collector::note_candidates(RoutedSums& layer, const Routed& r) const {
  const auto n_experts = static_cast<std::int64_t>(layer.experts.size());
  std::vector<bool> chosen(layer.experts.size());
  for (std::int64_t token = 0; token < r.n_tokens; ++token) {
    chosen.assign(chosen.size(), false);
    for (int rank = 0; rank < r.routes.per_token; ++rank)
      chosen[static_cast<std::size_t>(
          r.routes.ids[static_cast<std::size_t>(token * r.routes.per_token + rank)])] = true;
    for (std::size_t e = 0; e < layer.experts.size(); ++e) {
      if (chosen[e]) continue;
      const float affinity =
          r.routes.affinities == nullptr ? 0 : r.routes.affinities[token * n_experts + static_cast<std::int64_t>(e)];
      std::vector<Candidate>& heap = layer.experts[e].candidates;
      const Candidate c{affinity == affinity ? affinity : -std::numeric_limits<float>::infinity(),
                        first_token_ + token};
      const bool full = static_cast<std::int64_t>(heap.size()) >= min_tokens_;
      if (full && (heap.empty() || !better(c, heap.front()))) continue;
      if (full) {
        std::pop_heap(heap.begin(), heap.end(), better);
        heap.pop_back();
      }
      heap.push_back(c);
      std::push_heap(heap.begin(), heap.end(), better);
    }
  }
}

void Collector::plan_second_reading() {
  plan_.assign(layers_.size(), {});
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    for (std::size_t e = 0; e < layers_[l].experts.size(); ++e) {
      std::vector<Candidate> best = layers_[l].experts[e].candidates;
      std::sort(best.begin(), best.end(), better);
      const std::int64_t missing = std::max<std::int64_t>(0, min_tokens_ - layers_[l].routed(e));
      best.resize(std::min(best.size(), static_cast<std::size_t>(missing)));
      for (const Candidate& c : best) plan_[l].push_back({c.token, static_cast<int>(e)});
    }
    std::sort(plan_[l].begin(), plan_[l].end());
  }
  summing_ = false;
}

std::span<const Collector::Forced> Collector::planned(std::size_t layer, std::int64_t first,
                                                      std::int64_t n) const {
  const auto from = std::lower_bound(plan_[layer].begin(), plan_[layer].end(), Forced{first, -1});
  const auto to = std::lower_bound(from, plan_[layer].end(), Forced{first + n, -1});
  return {from, to};
}

bool Collector::needs(std::int64_t first_token, std::int64_t n) const {
  for (std::size_t l = 0; l < plan_.size(); ++l)
    if (!planned(l, first_token, n).empty()) return true;
  return false;
}

// What the feed-forward runner would do with these tokens, but for the output, which nobody wants.
void Collector::run_expert(Cpu& cpu, const FeedForward& experts, int expert, const Activations& h,
                           std::span<const int> tokens) {
  const auto n = static_cast<std::int64_t>(tokens.size());
  const Matrix gate = experts.gate.at(expert);
  const Matrix up = experts.up.at(expert);
  Activations x(n, h.n(), "activations of a forced expert");
  Buffer<float> inner(2 * n * gate.rows, "activations of a forced expert");
  for (std::int64_t i = 0; i < n; ++i)
    std::copy_n(h.floats(tokens[static_cast<std::size_t>(i)]), h.n(), x.floats(i));
  float* const gates = inner.data();
  float* const ups = gates + n * gate.rows;
  summing_ = true;
  cpu.matmul({{gate, gates, gate.rows}, {up, ups, up.rows}}, x, n);
  cpu.kernels().swiglu(gates, ups, n * gate.rows, gates);
  cpu.observe(experts.down.at(expert), {gates, gate.rows, n});
  summing_ = false;
}

}  // namespace coterie::quantize
