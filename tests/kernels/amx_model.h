// The tile registers of AMX in plain C++, a state of the thread as in the processor: each operation does what the manual
// says, or counts a fault where the processor would raise an exception.
#pragma once

#include "kernels/x86/amx.h"
#include "tests/kernels/amx_table.h"

#include <cstdint>
#include <cstring>

namespace coterie::test {

struct AmxModel {
  struct Tile {
    int rows = 0;
    int row_bytes = 0;
    std::uint8_t bytes[16][64] = {};
  };
  struct State {
    bool configured = false;
    Tile tiles[8];
  };
  static State& state() {
    thread_local State s;
    return s;
  }

  static void configure(const TileShapes& shapes) {
    State& s = state();
    s.configured = true;
    for (int t = 0; t < 8; ++t) {
      s.tiles[t] = {shapes.n_rows[t], shapes.row_bytes[t], {}};
      fault_if(shapes.n_rows[t] > 16 || shapes.row_bytes[t] > 64);
      fault_if((shapes.n_rows[t] == 0) != (shapes.row_bytes[t] == 0));
    }
    fault_if(shapes.palette != 1 || shapes.start_row != 0);
  }
  static void release() {
    State& s = state();
    s.configured = false;
    for (Tile& t : s.tiles) t = {};
  }

  template <int tile>
  static void zero() {
    std::memset(usable<tile>().bytes, 0, sizeof(Tile::bytes));
  }
  template <int tile>
  static void load(const void* rows, std::int64_t stride) {
    Tile& t = usable<tile>();
    std::memset(t.bytes, 0, sizeof t.bytes);
    for (int i = 0; i < t.rows; ++i)
      std::memcpy(t.bytes[i], static_cast<const char*>(rows) + i * stride,
                  static_cast<std::size_t>(t.row_bytes));
  }
  template <int tile>
  static void store(void* rows, std::int64_t stride) {
    const Tile& t = usable<tile>();
    for (int i = 0; i < t.rows; ++i)
      std::memcpy(static_cast<char*>(rows) + i * stride, t.bytes[i], static_cast<std::size_t>(t.row_bytes));
  }
  template <int c, int a, int b>
  static void add_signed() {
    add(usable<c>(), usable<a>(), usable<b>(), true);
  }
  template <int c, int a, int b>
  static void add_unsigned() {
    add(usable<c>(), usable<a>(), usable<b>(), amx_trace().planted_error);
  }

 private:
  static void fault_if(bool wrong) { amx_trace().faults += wrong ? 1 : 0; }

  template <int tile>
  static Tile& usable() {
    static_assert(0 <= tile && tile < 8);
    fault_if(!state().configured || state().tiles[tile].rows == 0);
    return state().tiles[tile];
  }

  static void add(Tile& c, const Tile& a, const Tile& b, bool is_signed) {
    ++amx_trace().products;
    fault_if(&c == &a || &c == &b || &a == &b);
    fault_if(a.rows != c.rows || b.row_bytes != c.row_bytes || b.rows * 4 != a.row_bytes ||
             c.row_bytes % 4 != 0);
    for (int i = 0; i < c.rows; ++i)
      for (int j = 0; j < c.row_bytes / 4; ++j) {
        std::int32_t sum = 0;
        std::memcpy(&sum, c.bytes[i] + 4 * j, 4);
        for (int k = 0; k < a.row_bytes; ++k) {
          const std::uint8_t byte = b.bytes[k / 4][4 * j + k % 4];
          sum +=
              static_cast<std::int8_t>(a.bytes[i][k]) * (is_signed ? static_cast<std::int8_t>(byte) : byte);
        }
        std::memcpy(c.bytes[i] + 4 * j, &sum, 4);
      }
    for (int i = c.rows; i < 16; ++i) std::memset(c.bytes[i], 0, 64);
  }
};

}  // namespace coterie::test
