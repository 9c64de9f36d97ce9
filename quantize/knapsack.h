// One option for each item, so that the sum of their losses is small and the sum of their bytes stays below a
// budget: the multiple-choice knapsack, along the convex hull of each item's options.
//
// Every item starts with its smallest option. Steps up the hulls are taken in the order of loss saved per byte, as a
// Lagrangian multiplier falling from infinity would; a step that no longer fits is left out with what follows it
// there. Whatever room is left goes to the single changes that save most per byte and still fit. So the result is
// within one step of the optimum, deterministic, and what it lacks of the budget is less than any step that is left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace coterie::quantize {

struct Option {
  std::uint64_t bytes;
  double loss;
};

// Index of the chosen option of each item; nothing where not even the smallest ones fit. An item has at least one
// option.
std::optional<std::vector<std::size_t>> fill_knapsack(std::span<const std::vector<Option>> items,
                                                      std::uint64_t budget);

}  // namespace coterie::quantize
