// Attention over floats and over bytes: close to the same thing in double, and the same bits on every ISA and however the
// tokens are brought.
#include "device/cpu/attention.h"

#include "formats/list.h"
#include "tests/kernels/support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace coterie {

namespace {

constexpr std::int64_t key_width = 96, value_width = 64;
constexpr float scale = 0.125F;
constexpr std::int64_t n_positions = 150;  // two blocks and a piece

// Keys and values as attention reads them, in floats and in bytes: the same numbers.
struct Rows {
  Rows() : keys(n_positions * 34 * key_width / 32), values(n_positions * 34 * value_width / 32) {
    store(test::gaussian(n_positions * key_width, 1), keys, k);
    store(test::gaussian(n_positions * value_width, 2), values, v);
  }
  static void store(const std::vector<float>& x, std::vector<std::byte>& bytes, std::vector<float>& floats) {
    const auto n = static_cast<std::int64_t>(x.size());
    kernels().encode[index_of<Q8_0>](x.data(), nullptr, n, bytes.data());
    floats.resize(x.size());
    kernels().q8_0_to_float(bytes.data(), n, floats.data());
  }
  std::vector<std::byte> keys, values;
  std::vector<float> k, v;
};

struct Setting {
  bool bytes;
  int n_heads;
  std::int64_t first_position, n_tokens;
  std::int64_t at_once = 1000;       // tokens of a call
  std::int64_t part = n_positions;   // positions of a part; all: not in parts
  const Kernels* kernels = nullptr;  // null: the usual ones
};

std::vector<float> queries(const Setting& s) {
  return test::gaussian(n_positions * s.n_heads * key_width, 3);
}

// [token][head][value_width]
std::vector<float> run(const Rows& rows, const Setting& s) {
  const Kernels& k = s.kernels != nullptr ? *s.kernels : kernels();
  Team team(1);
  const Cpu cpu(k, team);
  const std::vector<float> q = queries(s);
  const std::int64_t width = s.n_heads * value_width;
  std::vector<float> out(static_cast<std::size_t>(s.n_tokens * width), NAN);
  std::vector<float> scratch(
      static_cast<std::size_t>(attention_scratch(s.n_tokens * s.n_heads, key_width, value_width)), NAN);
  const auto floats = [&](std::int64_t first, int) -> KeyValues {
    return {rows.k.data() + first * key_width, key_width, rows.v.data() + first * value_width, value_width};
  };
  const auto bytes = [&](std::int64_t first, int) -> ByteKeyValues {
    constexpr std::int64_t k_bytes = key_width / 32 * 34, v_bytes = value_width / 32 * 34;
    return {rows.keys.data() + first * k_bytes, k_bytes, rows.values.data() + first * v_bytes, v_bytes};
  };
  for (std::int64_t token = 0; token < s.n_tokens; token += s.at_once) {
    const std::int64_t n = std::min(s.at_once, s.n_tokens - token);
    const std::int64_t end = s.first_position + token + n;
    const auto n_parts = static_cast<std::size_t>(blocks_of(end, s.part));
    AttentionGroup g{.first_position = s.first_position + token,
                     .n_tokens = static_cast<int>(n),
                     .n_heads = s.n_heads,
                     .key_width = key_width,
                     .value_width = value_width,
                     .scale = scale,
                     .q = q.data() + (s.first_position + token) * s.n_heads * key_width,
                     .q_token_stride = s.n_heads * key_width,
                     .q_head_stride = key_width,
                     .out = out.data() + token * width,
                     .out_token_stride = width,
                     .out_head_stride = value_width};
    const auto over = [&](Positions positions) {
      if (s.bytes)
        attend_bytes(cpu, g, positions, bytes, scratch.data());
      else
        attend(cpu, g, positions, floats, scratch.data());
    };
    if (n_parts == 1) {
      over({0, end});
      continue;
    }
    REQUIRE(n == 1);
    std::vector<SoftmaxState> states(n_parts * static_cast<std::size_t>(s.n_heads));
    std::vector<float> parts(n_parts * static_cast<std::size_t>(width));
    for (std::size_t i = 0; i < n_parts; ++i) {
      g.out = parts.data() + i * static_cast<std::size_t>(width);
      g.part = states.data() + i * static_cast<std::size_t>(s.n_heads);
      over({static_cast<std::int64_t>(i) * s.part, static_cast<std::int64_t>(i + 1) * s.part});
    }
    for (std::int64_t h = 0; h < s.n_heads; ++h)
      merge_parts(k, {.n = static_cast<int>(n_parts),
                      .states = states.data() + h,
                      .state_stride = s.n_heads,
                      .values = parts.data() + h * value_width,
                      .value_stride = width,
                      .value_width = value_width,
                      .out = out.data() + token * width + h * value_width});
  }
  return out;
}

enum class Planted { nothing, one_position_more, scale_off, values_swapped, newest_left_out };

std::vector<double> exact(const Rows& rows, const Setting& s, Planted planted = Planted::nothing) {
  const std::vector<float> q = queries(s);
  std::vector<double> out;
  for (std::int64_t i = s.first_position * s.n_heads; i < (s.first_position + s.n_tokens) * s.n_heads; ++i) {
    std::int64_t seen = i / s.n_heads + 1;
    if (planted == Planted::one_position_more) ++seen;
    if (planted == Planted::newest_left_out) --seen;
    std::vector<double> w;
    double sum = 0;
    for (std::int64_t p = 0; p < seen; ++p) {
      double score = 0;
      for (std::int64_t c = 0; c < key_width; ++c)
        score += static_cast<double>(q[static_cast<std::size_t>(i * key_width + c)]) *
                 static_cast<double>(rows.k[static_cast<std::size_t>(p * key_width + c)]);
      w.push_back(std::exp(score * static_cast<double>(scale) * (planted == Planted::scale_off ? 1.1 : 1.0)));
      sum += w.back();
    }
    for (std::int64_t c = 0; c < value_width; ++c) {
      double value = 0;
      for (std::int64_t p = 0; p < seen; ++p) {
        const std::int64_t from = planted == Planted::values_swapped ? (p ^ 1) : p;
        value += w[static_cast<std::size_t>(p)] *
                 static_cast<double>(rows.v[static_cast<std::size_t>(from * value_width + c)]);
      }
      out.push_back(value / sum);
    }
  }
  return out;
}

// Root mean square of the difference; values themselves are around 0.3.
double distance(const std::vector<float>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// A prompt of one head, tokens of several heads, one produced token of many.
const Setting settings[] = {{false, 1, 0, 149}, {false, 1, 70, 79}, {false, 3, 60, 40}, {false, 20, 140, 1},
                            {true, 1, 0, 149},  {true, 1, 70, 79},  {true, 20, 140, 1}, {true, 5, 63, 1}};

}  // namespace

TEST_CASE("floats and bytes give what doubles give, and the bound notices planted errors") {
  const Rows rows;
  for (const Setting& s : settings) {
    INFO(std::string(s.bytes ? "bytes, " : "floats, "), s.n_heads, " heads, from ", s.first_position, ", ",
         s.n_tokens, " tokens");
    const double bound = s.bytes ? 6e-3 : 5e-7;
    const std::vector<float> found = run(rows, s);
    CHECK(distance(found, exact(rows, s)) <= bound);
    for (const Planted p : {Planted::one_position_more, Planted::scale_off, Planted::values_swapped})
      CHECK(distance(found, exact(rows, s, p)) > bound);
    if (s.first_position > 0) CHECK(distance(found, exact(rows, s, Planted::newest_left_out)) > bound);
  }
}

TEST_CASE("every ISA and every way to bring the tokens gives the same bits") {
  const Rows rows;
  for (const Setting& s : settings) {
    INFO(std::string(s.bytes ? "bytes, " : "floats, "), s.n_heads, " heads, from ", s.first_position, ", ",
         s.n_tokens, " tokens");
    const std::vector<float> expected = run(rows, s);
    for (const std::int64_t at_once : {1, 7, 64}) {
      if (s.bytes && s.n_heads > 1 && at_once > 1) continue;
      Setting t = s;
      t.at_once = at_once;
      CHECK(same_bits(run(rows, t), expected));
    }
    for (const Kernels* k : all_kernels()) {
      if (!k->runnable()) continue;
      Setting t = s;
      t.kernels = k;
      INFO(std::string(k->isa));
      CHECK(same_bits(run(rows, t), expected));
    }
    std::vector<float> flipped = expected;
    flipped.back() = -flipped.back();
    CHECK_FALSE(same_bits(flipped, expected));
  }
}

TEST_CASE("parts of the positions, merged, are the whole") {
  const Rows rows;
  for (const bool bytes : {false, true}) {
    Setting s{bytes, 20, 140, 1};
    const std::vector<double> whole = exact(rows, s);
    s.part = attention_block;
    const std::vector<float> merged = run(rows, s);
    CHECK(distance(merged, whole) <= (bytes ? 6e-3 : 5e-7));
    for (const Kernels* k : all_kernels()) {
      if (!k->runnable()) continue;
      s.kernels = k;
      CHECK(same_bits(run(rows, s), merged));
    }
  }
}

TEST_CASE("a position behind the last that is no number changes nothing") {
  Rows rows;
  for (const bool bytes : {false, true}) {
    const Setting s{bytes, 1, 70, 40};
    const std::vector<float> expected = run(rows, s);
    Rows spoilt;
    std::fill(spoilt.v.begin() + 111 * value_width, spoilt.v.end(), NAN);
    std::fill(spoilt.k.begin() + 111 * key_width, spoilt.k.end(), NAN);
    std::fill(spoilt.values.begin() + 111 * value_width / 32 * 34, spoilt.values.end(), std::byte{0x7e});
    CHECK(same_bits(run(spoilt, s), expected));
    // Nor does one that only later tokens see.
    std::fill(spoilt.v.begin() + 105 * value_width, spoilt.v.end(), NAN);
    const std::vector<float> found = run(spoilt, s);
    CHECK(std::memcmp(found.data(), expected.data(), 35 * value_width * sizeof(float)) == 0);
  }
}

}  // namespace coterie
