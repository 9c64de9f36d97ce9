// The byte products of AMX: tiles of 16 x 16 sums of 64 products.
#pragma once

#include "kernels/burst.h"
#include "kernels/x86/amx.h"

namespace coterie {

template <>
struct BurstBytes<Avx512Amx> {
  static std::int64_t run(std::int64_t rounds) {
    TileShapes shapes;
    for (int i = 0; i < 8; ++i) shapes.set(i, 16, 64);
    AmxTiles::configure(shapes);  // which zeroes them
    for (std::int64_t i = 0; i < rounds; ++i) {
      AmxTiles::add_signed<0, 6, 7>();
      AmxTiles::add_signed<1, 6, 7>();
      AmxTiles::add_signed<2, 6, 7>();
      AmxTiles::add_signed<3, 6, 7>();
    }
    AmxTiles::release();
    return rounds * 4 * 2 * 16 * 16 * 64;
  }
};

}  // namespace coterie
