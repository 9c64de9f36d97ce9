// Any bytes as blocks of any format: decode, legal and accumulate must neither trap nor read beyond the
// block, and what legal accepts must decode to numbers.
//
// Input: one byte chooses the format; the rest are activations (as floats) and blocks, repeated until they
// suffice.
#include "formats/formats.h"
#include "formats/list.h"

#include <cstdlib>
#include <cstring>

namespace {

using namespace coterie;

// An endless supply from the input.
struct Bytes {
  const std::uint8_t* data;
  std::size_t size;
  std::size_t at = 0;

  void fill(void* out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i, at = (at + 1) % size) static_cast<std::uint8_t*>(out)[i] = data[at];
  }
};

void check(bool holds) {
  if (!holds) std::abort();
}

// What is encoded is legal where all weights are numbers that the format can hold, and decodes to numbers of
// their size.
template <class F>
void encode_and_check(const FormatInfo& info, const float* x, Bytes& bytes) {
  if (info.encode == nullptr) return;
  float importance[256];
  bytes.fill(importance, sizeof importance);
  std::byte row[1 + sizeof(typename F::Block)];
  bool moderate = true;
  for (int i = 0; i < F::block_size; ++i) moderate = moderate && x[i] > -2000.0F && x[i] < 2000.0F;
  for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(importance)}) {
    info.encode(x, weights, F::block_size, row + 1);
    if (!moderate) continue;
    check(info.legal(row + 1, F::block_size));
    float w[F::block_size];
    info.decode(row + 1, F::block_size, w);
    for (const float v : w) check(v > -1e5F && v < 1e5F);
  }
}

template <class F>
void exercise(Bytes bytes) {
  using A = typename F::Activation;
  typename F::Block block;
  bytes.fill(&block, sizeof block);
  float w[F::block_size];
  F::decode(block, w);
  if (F::legal(block))
    for (const float v : w) check(is_finite(v));

  float x[256];
  A a[F::block_size / A::block_size];
  bool numbers = F::legal(block);
  for (A& activation : a) {
    bytes.fill(x, sizeof x);
    if constexpr (A::block_size == 1)
      activation.value = x[0];
    else
      quantize_block(x, activation);
    // Sums of numbers of moderate size are numbers.
    for (int i = 0; i < A::block_size; ++i) numbers = numbers && x[i] > -1e20F && x[i] < 1e20F;
  }
  for (const float v : w) numbers = numbers && v > -1e15F && v < 1e15F;
  const float sum = F::accumulate(block, a, 0.0F);
  if (numbers) check(is_finite(sum));

  // Through the run-time table: the same bits, from bytes at an odd address.
  const FormatInfo& info = all_formats()[static_cast<std::size_t>(index_of<F>)];
  std::byte row[1 + sizeof block];
  std::memcpy(row + 1, &block, sizeof block);
  float again[F::block_size];
  info.decode(row + 1, F::block_size, again);
  check(std::memcmp(w, again, sizeof w) == 0);
  check(info.legal(row + 1, F::block_size) == F::legal(block));
  encode_and_check<F>(info, x, bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const int chosen = data[0] % Formats::size;
  Formats::for_each([&](auto type, int index) {
    if (index == chosen) exercise<typename decltype(type)::type>({data + 1, size - 1});
  });
  return 0;
}
