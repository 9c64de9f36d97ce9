// The kernels of AMX over a model of its tiles. That their bits are those of the other tables, for every shape that the
// other tables are tested with, is in test_rows.cpp, of whose tables this is one.
#include "tests/kernels/support.h"

#include <doctest/doctest.h>

namespace coterie::test {

namespace {

bool is_block_format(const FormatInfo& f) { return f.index >= 0 && f.block_size > 1 && f.block_size != 64; }

Product make_product(const FormatInfo& f, std::int64_t n_blocks, int n_rows, int n_tokens) {
  const std::int64_t n = n_blocks * f.block_size;
  return {f,
          n,
          n_rows,
          n_tokens,
          random_blocks(f, n_blocks * n_rows, 5, Bytes::legal),
          activations(f, generic_kernels(), gaussian(n * n_tokens, 6))};
}

// Whether all results are those of the generic table.
bool agrees(const FormatInfo& f, std::int64_t n_blocks, int n_rows, int n_tokens) {
  const Product p = make_product(f, n_blocks, n_rows, n_tokens);
  return first_difference(p.run(*amx_model_kernels()), p.run(generic_kernels())) == -1;
}

}  // namespace

TEST_CASE("tiles of every number of tokens give the bits of the generic kernels" *
          doctest::skip(amx_model_kernels() == nullptr)) {
  for (const FormatInfo& f : all_formats())
    if (is_block_format(f)) {
      const std::int64_t n_blocks = f.block_size == 32 ? 13 : 2;
      for (int n_tokens = 1; n_tokens <= 34; ++n_tokens) {
        INFO(std::string(f.name), ", ", n_tokens, " tokens");
        CHECK(agrees(f, n_blocks, 1 + n_tokens % 19, n_tokens));
      }
    }
  CHECK(amx_trace().faults == 0);
}

TEST_CASE("eight tokens and more go over the tiles, and nothing is left configured" *
          doctest::skip(amx_model_kernels() == nullptr)) {
  for (const FormatInfo& f : all_formats())
    if (is_block_format(f))
      for (const int n_tokens : {7, 8, 40}) {
        const Product p = make_product(f, 8, 16, n_tokens);
        amx_trace() = {};
        p.run(*amx_model_kernels());
        INFO(std::string(f.name), ", ", n_tokens, " tokens");
        CHECK((amx_trace().products > 0) == (n_tokens >= 8));
        CHECK(amx_trace().faults == 0);
      }
}

TEST_CASE("low bytes taken as signed change the bits" * doctest::skip(amx_model_kernels() == nullptr)) {
  amx_trace() = {.planted_error = true};
  for (const char* name : {"Q2_K", "Q4_K", "Q6_K", "IQ2_XXS"}) {
    INFO(std::string(name));
    // The codes of Q2_K are below 128 whatever the scale.
    CHECK(agrees(*find_format(std::string_view(name)), 2, 16, 16) == (std::string_view(name) == "Q2_K"));
  }
  amx_trace() = {};
}

}  // namespace coterie::test
