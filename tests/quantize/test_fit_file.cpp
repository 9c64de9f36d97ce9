// Effects measured with the model itself, on the shipped model: its predictions move, and nothing stays changed.
#include "quantize/divergence.h"
#include "quantize/fit_file.h"

#include <doctest/doctest.h>

#include <cmath>

namespace coterie::quantize {

namespace {

const std::string shipped = COTERIE_SOURCE_DIR "/models/demo/coterie-demo.gguf";

// "<BOS><User>...": ids that the model knows, in no meaningful order.
std::vector<std::vector<Token>> windows() {
  std::vector<std::vector<Token>> all;
  for (int w = 0; w < 3; ++w) {
    std::vector<Token>& window = all.emplace_back(std::vector<Token>{0});
    for (int i = 1; i < 24; ++i) window.push_back(static_cast<Token>((i * 131 + w * 17) % 900 + 20));
  }
  return all;
}

}  // namespace

TEST_CASE("an unchanged model diverges by nothing, a changed one by something, for any number of threads") {
  gguf::Reader file(shipped);
  Divergence one(file, windows(), 1), two(file, windows(), 2);
  CHECK(one.measure() == 0.0);
  const gguf::TensorInfo was = *file.find_tensor("blk.1.attn_output.weight");
  std::vector<std::byte> zeros(was.bytes);
  file.substitute(was.name, *was.format, zeros.data());
  CHECK(one.measure() > 0.01);
  CHECK(one.measure() == two.measure());
  file.substitute(was.name, *was.format, was.data);
  CHECK(one.measure() == 0.0);
}

TEST_CASE("few kept positions give about the divergence of all") {
  gguf::Reader file(shipped);
  const gguf::TensorInfo was = *file.find_tensor("blk.1.attn_output.weight");
  std::vector<std::byte> zeros(was.bytes);
  Divergence all(file, windows(), 1), some(file, windows(), 1, 20 * 1024 * 4);
  file.substitute(was.name, *was.format, zeros.data());
  CHECK(some.measure() != all.measure());
  CHECK(std::abs(some.measure() - all.measure()) < all.measure());
}

TEST_CASE("measured effects are those of the changed tensors, and the file is as before") {
  gguf::Reader file(shipped);
  std::vector<FitTensor> tensors = fit_tensors(file);
  int free = 0;
  for (FitTensor& t : tensors) {  // three are enough
    t.fixed = t.fixed || (t.name != "token_embd.weight" && t.name != "blk.1.attn_q_b.weight" &&
                          t.name != "blk.3.ffn_up_exps.weight");
    free += t.fixed ? 0 : 1;
  }
  REQUIRE(free == 3);
  const FitOptions options{.budget = 0, .overhead = 0, .alignment = 32, .threads = 2, .progress = {}};
  const Noise noise = measure_all(tensors, options);
  const std::vector<double> effects = measured_effects(file, tensors, noise, windows(), options);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    INFO(tensors[i].name);
    CHECK((effects[i] > 0) == !tensors[i].fixed);
    CHECK(file.tensors()[i].format == tensors[i].now);
  }
  CHECK(Divergence(file, windows(), 1).measure() == 0.0);
}

TEST_CASE("norms, routers and vectors are fixed") {
  const gguf::Reader file(shipped);
  for (const FitTensor& t : fit_tensors(file)) {
    INFO(t.name);
    CHECK(t.fixed ==
          (t.name.find("norm") != std::string::npos || t.name.find("ffn_gate_inp") != std::string::npos ||
           t.name.find("exp_probs_b") != std::string::npos));
  }
}

}  // namespace coterie::quantize
