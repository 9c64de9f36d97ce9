// The CPU device: the kernels of one instruction set x the threads of a team.
//
// Operations are called in order by the one thread that walks through a step (Team::step). Each splits its
// output into tasks that own whole rows; float sums are never split, so results depend neither on the number
// of threads nor on how many tokens a call brings. Buffers are the caller's, except worker scratch, which is
// reserved before the step.
#pragma once

#include "device/cpu/observer.h"
#include "device/cpu/profile.h"
#include "device/cpu/team.h"
#include "kernels/kernels.h"
#include "tensor/buffer.h"
#include "tensor/matrix.h"

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace coterie {

// Inputs of a product, in the form that its format is multiplied with.
struct ActivationRows {
  const std::byte* data;
  std::int64_t token_bytes;
  int n_tokens;
  const int* token_of = nullptr;  // input t is number token_of[t] of data; nullptr: number t

  ActivationRows some(int first, int n) const {
    if (token_of != nullptr) return {data, token_bytes, n, token_of + first};
    return {data + first * token_bytes, token_bytes, n};
  }
};

// Floats [tokens, n] that meet weights: quantised on demand, once per form, and kept until the floats change.
class Activations {
 public:
  Activations() = default;
  Activations(std::int64_t max_tokens, std::int64_t n, const char* what);

  float* floats() const { return floats_.data(); }
  float* floats(std::int64_t token) const { return floats_.data() + token * n_; }
  std::int64_t n() const { return n_; }
  void changed() { quantized_[0] = quantized_[1] = false; }  // to be called by whoever wrote the floats

  ActivationRows inputs(ActivationKind kind, std::int64_t n_tokens) const;  // valid after Cpu::quantize

 private:
  friend class Cpu;

  std::int64_t n_ = 0;
  Buffer<float> floats_;
  Buffer<std::byte> act32_, act256_;    // empty where n is no multiple of the block
  bool quantized_[2] = {false, false};  // act32, act256
};

// One product of a task list: y[token * y_stride + row] = w row . x[token].
struct Product {
  Matrix w;
  float* y;
  std::int64_t y_stride;
};

class Cpu {
 public:
  Cpu(const Kernels& kernels, Team& team);
  const Kernels& kernels() const { return kernels_; }
  Team& team() { return team_; }

  void set_profile(Profile* profile) { profile_ = profile; }  // null: none
  Profile* profile() const { return profile_; }
  // For the profile: so many bytes of weights or cache are read now.
  void reads(std::int64_t bytes) {
    if (profile_ != nullptr) profile_->read(bytes);
  }

  void set_observer(Observer* observer) { observer_ = observer; }  // null: none
  Observer* observer() const { return observer_; }
  // Shows the observer, if there is one, whole rows that meet w.
  void observe(const Matrix& w, const Inputs& rows);

  // Makes sure that every worker has that many floats of scratch; never inside a step.
  void reserve_scratch(std::int64_t floats);
  float* scratch(int worker) const { return scratch_[static_cast<std::size_t>(worker)].data(); }

  // x[token] = row ids[token] of the table, as floats.
  void embed(const Matrix& table, std::span<const std::int32_t> ids, float* x);
  // y[token] = rms_norm(x[token]) * weight; x [tokens, n], the width of y.
  void rms_norm(const float* x, const float* weight, float eps, std::int64_t n_tokens, Activations& y);
  // y[i] += x[i].
  void add(const float* x, std::int64_t n, float* y);
  // Several products of the same input, at most most_products, as one task list.
  static constexpr std::size_t most_products = 8;
  void matmul(std::initializer_list<Product> products, Activations& x, std::int64_t n_tokens);
  // Brings x into the form that a format is multiplied with.
  void quantize(Activations& x, ActivationKind kind, std::int64_t n_tokens);
  // Per head h: y[token][h] = rows [first_row, first_row + n_rows) of w[h] . x[token][h]; w is a stack, one
  // matrix per head. Observed where all rows take part: who uses some of them knows what the others meet.
  struct HeadsArgs {
    Matrix w;
    std::int64_t first_row, n_rows;
    const float* x;
    std::int64_t x_token_stride, x_head_stride;
    float* y;
    std::int64_t y_token_stride, y_head_stride;
  };
  void matmul_heads(const HeadsArgs& a, std::int64_t n_tokens);

  // y[t * y_stride + row] = w row . x[t] by the block kernel; for callers that make their own task lists.
  void rows(const Matrix& w, const ActivationRows& x, float* y, std::int64_t y_stride) const;
  // Quantises n floats at x to blocks at out (floats are copied for float formats).
  void quantize_row(ActivationKind kind, const float* x, std::int64_t n, std::byte* out) const;

 private:
  const Kernels& kernels_;
  Team& team_;
  Profile* profile_ = nullptr;
  Observer* observer_ = nullptr;
  std::vector<Buffer<float>> scratch_;
};

inline int blocks_of(std::int64_t n, std::int64_t block) { return static_cast<int>((n + block - 1) / block); }

// How a product is cut into tasks: pieces of rows x tokens, the last ones smaller; the tokens of the same rows
// one after another.
struct Pieces {
  Pieces(const Matrix& w, std::int64_t n_tokens);
  Pieces(std::int64_t n_rows, std::int64_t rows_each, std::int64_t n_tokens);

  int count() const { return blocks_of(n_rows, rows_each) * blocks_of(n_tokens, tokens_each); }
  struct Piece {
    std::int64_t row, n_rows;
    int token, n_tokens;
  };
  Piece piece(int task) const;

  std::int64_t n_rows, rows_each, n_tokens, tokens_each;
};

// Bytes of n values in an activation form.
std::int64_t activation_bytes(ActivationKind kind, std::int64_t n);

}  // namespace coterie
