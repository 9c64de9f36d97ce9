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

// Floats [tokens, n] that meet weights: quantised on demand, once per form, and kept until the floats change.
class Activations {
 public:
  Activations() = default;
  Activations(std::int64_t max_tokens, std::int64_t n, const char* what);

  float* floats() const { return floats_.data(); }
  float* floats(std::int64_t token) const { return floats_.data() + token * n_; }
  std::int64_t n() const { return n_; }
  void changed() { quantized_[0] = quantized_[1] = false; }  // to be called by whoever wrote the floats

  struct Form {
    const std::byte* data;
    std::int64_t token_bytes;
  };
  Form form(ActivationKind kind) const;  // valid after Cpu::quantize

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
  // Several products of the same input as one task list.
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

  // The block kernel for rows of w against activations in their form; for callers that make their own task
  // lists.
  void rows(const Matrix& w, std::int64_t first_row, int n_rows, const std::byte* x, std::int64_t x_bytes,
            int n_tokens, float* y, std::int64_t y_stride) const;
  // Quantises n floats at x to blocks at out (floats are copied for float formats).
  void quantize_row(ActivationKind kind, const float* x, std::int64_t n, std::byte* out) const;

 private:
  const Kernels& kernels_;
  Team& team_;
  Profile* profile_ = nullptr;
  Observer* observer_ = nullptr;
  std::vector<Buffer<float>> scratch_;
};

// Rows of a matrix are handed out in pieces of so many (the last may be shorter), in so many tasks.
std::int64_t rows_per_task(const Matrix& w);
int row_tasks(const Matrix& w);
inline int blocks_of(std::int64_t n, std::int64_t block) { return static_cast<int>((n + block - 1) / block); }

// Bytes of n values in an activation form.
std::int64_t activation_bytes(ActivationKind kind, std::int64_t n);

}  // namespace coterie
