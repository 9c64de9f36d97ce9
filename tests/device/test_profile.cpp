// The profile of a step: a tree of spans whose bytes and seconds add up.
#include "device/cpu/profile.h"

#include <doctest/doctest.h>

#include <string>

namespace coterie {

TEST_CASE("spans nest, are counted, and their bytes reach every span around them") {
  Profile profile;
  for (int step = 0; step < 3; ++step) {
    const Span decode(&profile, "decode");
    {
      const Span attention(&profile, "attention");
      profile.read(100);
    }
    const Span head(&profile, "head");
    profile.read(11);
  }
  REQUIRE(profile.root().parts.size() == 1);
  const Profile::Node& decode = *profile.root().parts[0];
  CHECK(std::string(decode.name) == "decode");
  CHECK(decode.calls == 3);
  CHECK(decode.bytes == 333);
  REQUIRE(decode.parts.size() == 2);
  CHECK(decode.parts[0]->bytes == 300);
  CHECK(decode.parts[1]->bytes == 33);
  CHECK(decode.seconds >= decode.parts[0]->seconds + decode.parts[1]->seconds);
  CHECK(profile.root().seconds == decode.seconds);
}

TEST_CASE("without a profile a span does nothing") { const Span span(nullptr, "x"); }

}  // namespace coterie
