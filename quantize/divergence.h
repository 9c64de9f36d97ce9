// How far a model's predictions move when some of its weights change: the mean KL divergence of its next-token
// distribution, over a text, from that of the unchanged model.
#pragma once

#include "gguf/reader.h"
#include "models/model.h"

#include <cstdint>
#include <vector>

namespace coterie::quantize {

class Divergence {
 public:
  // Reads the windows, each a context of its own, with the file as it is now. Logits of evenly spread
  // positions are kept, as many as fit max_bytes.
  Divergence(const gguf::Reader& file, std::vector<std::vector<Token>> windows, int threads,
             std::int64_t max_bytes = std::int64_t{256} << 20);

  // Of the file as it is now, in nats per token.
  double measure();

 private:
  // Every stride_-th position of the text.
  void read(std::vector<float>* logits);

  const gguf::Reader& file_;
  std::vector<std::vector<Token>> windows_;
  Team team_;
  Cpu cpu_;
  std::int64_t longest_ = 1, stride_ = 1, n_vocab_ = 0;
  std::vector<float> reference_;  // [positions, n_vocab]
};

}  // namespace coterie::quantize
