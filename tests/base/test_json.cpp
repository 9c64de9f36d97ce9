// base/json.h: what it builds is what nlohmann's own parser builds; what it refuses, it names.
#include "base/json.h"

#include "base/errors.h"

#include <doctest/doctest.h>

#include <chrono>

namespace coterie {

namespace {

constexpr JsonLimits small{1000, 4};

std::string reason(const std::string& text, JsonLimits limits = small) {
  try {
    parse_json(text, limits, "x.json");
  } catch (const FileError& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a parsed value equals the one of nlohmann's own parser, members in file order") {
  const std::string text =
      R"({"b": [1, -2, 3.5, 18446744073709551615, "x\u00e9\n"], "a": {"t": true, "n": null}, "e": [], "o": {}})";
  const nlohmann::ordered_json got = parse_json(text, small, "x.json");
  CHECK((got == nlohmann::ordered_json::parse(text)));
  CHECK(got.dump() == nlohmann::ordered_json::parse(text).dump());
  CHECK(got.begin().key() == "b");
  CHECK((parse_json("7", small, "x.json") == 7));
}

TEST_CASE("faults name the subject, the byte and the reason") {
  CHECK(reason("{\"a\": 1, \"a\": 2}") == "x.json: byte 12: duplicate key \"a\"");
  CHECK(reason("[1, 2") ==
        "x.json: byte 5: syntax error while parsing array - unexpected end of input; expected ']'");
  CHECK(reason("[1] 2").substr(0, 15) == "x.json: byte 4:");
  CHECK(reason("").substr(0, 15) == "x.json: byte 0:");
  CHECK(reason("\"\xff\"").find("ill-formed UTF-8") != std::string::npos);
  CHECK(reason("[1e999]").find("number overflow") != std::string::npos);
  CHECK(reason("[NaN]").substr(0, 15) == "x.json: byte 1:");
}

TEST_CASE("equal keys in different objects are no duplicates") {
  CHECK(reason(R"([{"a": {"a": 1}}, {"a": 2}])") == "accepted");
}

TEST_CASE("the limits hold at their edge") {
  CHECK(reason("[[[[]]]]") == "accepted");
  CHECK(reason("[[[[[]]]]]") == "x.json: byte 5: nested deeper than 4 levels");
  CHECK(reason(std::string(1000, ' ').replace(0, 1, "1")) == "accepted");
  CHECK(reason(std::string(1001, ' ').replace(0, 1, "1")) ==
        "x.json: byte 1000: 1001 bytes of JSON, at most 1000");
  CHECK(reason(std::string(100'000, '['), {1'000'000, 32}) ==
        "x.json: byte 33: nested deeper than 32 levels");
}

TEST_CASE("an object of 130,000 members is read in linear time") {
  std::string text = "{";
  for (int i = 0; i < 130'000; ++i)
    text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":" + std::to_string(i);
  text += "}";
  const auto start = std::chrono::steady_clock::now();
  CHECK(parse_json(text, {64 << 20, 4}, "x.json").size() == 130'000);
  // Quadratic look-up takes some ten seconds.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(3));
}

TEST_CASE("a NUL is a fault and no end, and a long number is not quoted in full") {
  CHECK_THROWS_WITH_AS(parse_json(std::string_view("[1]\0]", 5), {100, 4}, "x.json"),
                       "x.json: byte 3: NUL in JSON", FileError);
  const std::string long_number = "[1" + std::string(5000, '0') + "]";
  try {
    parse_json(long_number, {1 << 20, 4}, "x.json");
    CHECK(false);
  } catch (const FileError& e) {
    CHECK(std::string(e.what()).size() < 300);
  }
}

}  // namespace coterie
