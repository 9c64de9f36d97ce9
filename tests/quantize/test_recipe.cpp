// quantize/recipe.h: globs, and lines of which the first that matches wins.
#include "quantize/recipe.h"

#include "base/errors.h"

#include <doctest/doctest.h>

#include <chrono>

namespace coterie::quantize {

namespace {

std::string refusal(const std::string& text) {
  try {
    parse_recipe(text, "x.txt");
  } catch (const UsageError& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a pattern matches whole names") {
  struct Case {
    const char *pattern, *name;
    bool match;
  };
  constexpr Case cases[] = {
      {"output.weight", "output.weight", true},
      {"output.weight", "output.weights", false},
      {"output.weight", "outputxweight", false},  // a dot is a dot
      {"output", "output.weight", false},
      {"*", "", true},
      {"*", "blk.0.attn_q.weight", true},
      {"blk.*.ffn_*", "blk.12.ffn_up_exps.weight", true},
      {"blk.*.ffn_*", "blk.12.attn_q.weight", false},
      {"*_exps.weight", "blk.3.ffn_down_exps.weight", true},
      {"*_exps.weight", "blk.3.ffn_down_shexp.weight", false},
      {"blk.?.attn_q.weight", "blk.3.attn_q.weight", true},
      {"blk.?.attn_q.weight", "blk.13.attn_q.weight", false},
      {"*a*a*b", "aaaaaaaaab", true},
      {"*a*a*b", "aaaaaaaaac", false},
      {"blk.{3-60}.*", "blk.3.x", true},
      {"blk.{3-60}.*", "blk.60.x", true},
      {"blk.{3-60}.*", "blk.2.x", false},
      {"blk.{3-60}.*", "blk.61.x", false},
      {"blk.{3-60}.*", "blk.600.x", false},
      {"blk.{0,2,5-7}.*", "blk.2.x", true},
      {"blk.{0,2,5-7}.*", "blk.6.x", true},
      {"blk.{0,2,5-7}.*", "blk.1.x", false},
      {"blk.*.ffn_{gate,up}{,_exps}.weight", "blk.0.ffn_up.weight", true},
      {"blk.*.ffn_{gate,up}{,_exps}.weight", "blk.0.ffn_gate_exps.weight", true},
      {"blk.*.ffn_{gate,up}{,_exps}.weight", "blk.0.ffn_down_exps.weight", false},
      {"{a,ab}c", "abc", true},  // the first word that fits need not be the right one
      {"", "", true},
      {"", "a", false},
  };
  for (const Case& c : cases) {
    INFO(std::string(c.pattern), " on ", std::string(c.name));
    CHECK(matches(c.pattern, c.name) == c.match);
  }
}

TEST_CASE("no pattern takes long") {
  std::string pattern;
  for (int i = 0; i < 60; ++i) pattern += "*{a,aa,aaa,}";
  const auto start = std::chrono::steady_clock::now();
  CHECK(!matches(pattern + "b", std::string(64, 'a')));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

TEST_CASE("the first line that matches wins, and a recipe written down is the same recipe") {
  const Recipe recipe = parse_recipe(
      "# what every token meets\n"
      "output.weight = q6_k   # any case\n"
      "\n"
      "blk.{0-2}.*=Q5_K\r\n"
      "  blk.*.ffn_down_exps.weight\t= IQ3_S\n"
      "blk.* = IQ2_XS",
      "x.txt");
  REQUIRE(recipe.lines.size() == 4);
  const auto type = [&](const Recipe& r, const char* name) {
    const FormatInfo* f = look_up(r, name);
    return std::string(f == nullptr ? "none" : f->name);
  };
  const Recipe again = parse_recipe(text_of(recipe), "again");
  for (const Recipe* r : {&recipe, &again}) {
    CHECK(type(*r, "output.weight") == "Q6_K");
    CHECK(type(*r, "blk.1.ffn_down_exps.weight") == "Q5_K");
    CHECK(type(*r, "blk.3.ffn_down_exps.weight") == "IQ3_S");
    CHECK(type(*r, "blk.3.attn_q.weight") == "IQ2_XS");
    CHECK(type(*r, "token_embd.weight") == "none");
  }
}

TEST_CASE("a recipe that is none is refused with its line") {
  CHECK(refusal("") == "x.txt: no line, expected PATTERN = TYPE");
  CHECK(refusal("# nothing\n") == "x.txt: no line, expected PATTERN = TYPE");
  CHECK(refusal("a = Q4_K\nblk.0 Q4_K\n") == "x.txt: line 2: found 'blk.0 Q4_K', expected PATTERN = TYPE");
  CHECK(refusal("a = Q4_K_M\n") == "x.txt: line 1: unknown type 'Q4_K_M'");  // a mix is no type
  CHECK(refusal("a = I32\n") == "x.txt: line 1: unknown type 'I32'");
  CHECK(refusal(" = Q4_K\n") == "x.txt: line 1: no pattern before the =");
  CHECK(refusal("a{b = Q4_K\n") == "x.txt: line 1: braces that do not pair");
  CHECK(refusal("a}b = Q4_K\n") == "x.txt: line 1: braces that do not pair");
  CHECK(refusal("a{b{c}} = Q4_K\n") == "x.txt: line 1: braces that do not pair");
  CHECK(refusal(std::string(2000, 'a') + " = Q4_K\n") ==
        "x.txt: line 1: a pattern of 2000 bytes, at most 1024");
}

}  // namespace coterie::quantize
