// The best file for a byte budget: which format every tensor gets.
//
// A format's noise in a tensor is what its rounding adds to the tensor's products, relative to them: the sum of
// w_j (x_j - q_j)^2 over that of w_j x_j^2, w the importance of column j. It is measured on a sample of rows. A
// tensor's effect says how much the model's output suffers from noise there, so that loss = effect * noise, and
// losses add up. What remains is a knapsack (knapsack.h).
//
// Small and sensitive tensors (attention, shared experts, dense layers, embedding, head) need no rule of their
// own: their effect per byte is a hundred times that of the routed experts, and they lose bits last.
#pragma once

#include "formats/formats.h"
#include "quantize/imatrix.h"
#include "quantize/recipe.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace coterie::quantize {

struct FitTensor {
  std::string name;
  std::int64_t columns, rows;    // rows of the whole stack
  std::int64_t rows_per_matrix;  // of one expert
  const FormatInfo* now;
  bool fixed;  // it keeps its format and only counts
  // Fills out [columns] with a row as floats. Called by several threads at once; must not throw.
  std::function<void(std::int64_t row, float* out)> read;
};

struct FitFormat {
  const FormatInfo* format;
  std::uint64_t bytes;  // of the tensor, padding included
  double noise;
};

struct FitOptions {
  std::uint64_t budget;    // bytes of the whole file
  std::uint64_t overhead;  // of its metadata
  std::uint64_t alignment;
  const ImportanceMatrix* importance = nullptr;
  int threads = 1;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // tensors measured; may be empty
};

struct FittedTensor {
  std::string name;
  std::int64_t elements;
  bool fixed;
  FitFormat chosen;
  double effect;
  double loss() const { return effect * chosen.noise; }
};

struct Fit {
  std::vector<FittedTensor> tensors;  // in the order given
  std::uint64_t bytes;                // of the whole file, at most the budget
  double loss;
};

// Throws UsageError where the smallest formats exceed the budget: known from shapes, before anything is measured.
void check_budget(std::span<const FitTensor> tensors, const FitOptions& options);

// The formats that a tensor may get, smallest first: all that its rows fit, and its own format, which adds no noise.
std::vector<FitFormat> measure_noise(const FitTensor& t, const FitOptions& options);

// Effects where nothing is known but names: of the part a tensor plays and of its layer.
std::vector<double> default_effects(std::span<const FitTensor> tensors);

// noise: measure_noise() of every tensor. fit() throws like check_budget().
using Noise = std::vector<std::vector<FitFormat>>;
Noise measure_all(std::span<const FitTensor> tensors, const FitOptions& options);
Fit fit(std::span<const FitTensor> tensors, const Noise& noise, std::span<const double> effects,
        const FitOptions& options);

// One line per tensor, which `--recipe` reads.
Recipe recipe_of(const Fit& fit);

}  // namespace coterie::quantize
