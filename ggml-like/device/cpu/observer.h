// Sees the floats that weights are multiplied with: how the importance of columns is measured. A Cpu without an
// observer pays one test per product.
#pragma once

#include "tensor/matrix.h"

#include <cstdint>

namespace coterie {

class Activations;
class Cpu;
struct FeedForward;
struct Routes;

// Rows of floats that meet a matrix, or some columns of them.
struct Inputs {
  const float* x;                 // of row 0, at the first of the columns
  std::int64_t stride;            // floats from one row to the next
  std::int64_t n_tokens;          // in the order of their positions
  const int* tokens = nullptr;    // which rows; null: the first n_tokens
  std::int64_t first_column = 0;  // of the matrix
  std::int64_t n_columns = 0;
  const float* row(std::int64_t i) const { return x + (tokens == nullptr ? i : tokens[i]) * stride; }
};

// What a router chose, before its experts run.
struct Routed {
  const FeedForward& experts;
  const Routes& routes;
  const Activations& h;
  std::int64_t n_tokens;
};

class Observer {
 public:
  virtual ~Observer() = default;
  // w: one matrix, perhaps of a stack. Tasks call this at once, for other matrices or other columns; must not
  // throw.
  virtual void saw(const Matrix& w, const Inputs& inputs) = 0;
  // On the thread that walks through the step, which may make products of its own.
  virtual void routed(Cpu& cpu, const Routed& layer) = 0;
};

}  // namespace coterie
