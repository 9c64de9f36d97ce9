// The grids in the forms in which kernels look points up: spread to bytes of levels, one load for a point,
// and as planes of bytes, for instructions that permute whole tables of bytes.
#pragma once

#include "formats/grid.h"

namespace coterie {

template <class Point, int n>
struct GridPoints {
  Point at[n];
};

// Four or eight bytes: the magnitudes of a point's weights. IQ1: eight times (level + 1).
extern const GridPoints<std::uint64_t, 2048> iq1_points;
extern const GridPoints<std::uint64_t, 256> iq2_xxs_points;
extern const GridPoints<std::uint64_t, 512> iq2_xs_points;
extern const GridPoints<std::uint64_t, 1024> iq2_s_points;
extern const GridPoints<std::uint32_t, 256> iq3_xxs_points;
extern const GridPoints<std::uint32_t, 512> iq3_s_points;

// IQ2: bit j of `low` is set where weight j has at least the second level, of `high` where it has the third.
// IQ3: the lower and the upper byte of a grid entry, a weight in every nibble.
template <int n>
struct GridPlanes {
  alignas(64) std::uint8_t low[n];
  alignas(64) std::uint8_t high[n];
};

extern const GridPlanes<256> iq2_xxs_planes;
extern const GridPlanes<512> iq2_xs_planes;
extern const GridPlanes<256> iq3_xxs_planes;
extern const GridPlanes<512> iq3_s_planes;

// For the files that hold the grids.
template <class Point, int n, class Spread>
consteval GridPoints<Point, n> grid_points(const std::uint16_t (&grid)[n], Spread spread) {
  GridPoints<Point, n> p = {};
  for (int i = 0; i < n; ++i) p.at[i] = spread(grid[i]);
  return p;
}

template <int n>
consteval GridPlanes<n> iq2_planes(const std::uint16_t (&grid)[n]) {
  GridPlanes<n> p = {};
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < 8; ++j) {
      const int level = grid[i] >> (2 * j) & 3;
      p.low[i] = static_cast<std::uint8_t>(p.low[i] | (level >= 1) << j);
      p.high[i] = static_cast<std::uint8_t>(p.high[i] | (level == 2) << j);
    }
  return p;
}

template <int n>
consteval GridPlanes<n> iq3_planes(const std::uint16_t (&grid)[n]) {
  GridPlanes<n> p = {};
  for (int i = 0; i < n; ++i) {
    p.low[i] = static_cast<std::uint8_t>(grid[i] & 255);
    p.high[i] = static_cast<std::uint8_t>(grid[i] >> 8);
  }
  return p;
}

}  // namespace coterie
