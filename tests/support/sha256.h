// SHA-256 (FIPS 180-4), for comparing bytes with the golden manifests.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace coterie::test {

std::string sha256(std::span<const std::byte> bytes);  // 64 hexadecimal digits

}  // namespace coterie::test
