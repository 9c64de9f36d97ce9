#include "quantize/knapsack.h"

#include <queue>

namespace coterie::quantize {

namespace {

struct StepUp {
  double per_byte;  // loss saved
  std::size_t item, to;
  // Ties go to the earlier item, so that the order of equal steps is no accident.
  bool operator<(const StepUp& o) const {
    return per_byte != o.per_byte ? per_byte < o.per_byte : item > o.item;
  }
};

bool is_smaller(const Option& a, const Option& b) {
  return a.bytes != b.bytes ? a.bytes < b.bytes : a.loss < b.loss;
}

// The change from one option that saves most per byte, among those of at most `room` more bytes.
std::optional<StepUp> best_step(const std::vector<Option>& options, std::size_t item, std::size_t from,
                                std::uint64_t room) {
  std::optional<StepUp> best;
  for (std::size_t to = 0; to < options.size(); ++to) {
    if (options[to].bytes <= options[from].bytes || options[to].loss >= options[from].loss) continue;
    const std::uint64_t bytes = options[to].bytes - options[from].bytes;
    const StepUp step{(options[from].loss - options[to].loss) / static_cast<double>(bytes), item, to};
    const bool larger =
        best && step.per_byte == best->per_byte && options[to].bytes > options[best->to].bytes;
    if (bytes <= room && (!best || step.per_byte > best->per_byte || larger)) best = step;
  }
  return best;
}

}  // namespace

std::optional<std::vector<std::size_t>> fill_knapsack(std::span<const std::vector<Option>> items,
                                                      std::uint64_t budget) {
  constexpr std::uint64_t no_limit = ~std::uint64_t{0};
  std::vector<std::size_t> chosen(items.size(), 0);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::size_t k = 1; k < items[i].size(); ++k)
      if (is_smaller(items[i][k], items[i][chosen[i]])) chosen[i] = k;
    bytes += items[i][chosen[i]].bytes;
  }
  if (bytes > budget) return std::nullopt;

  // The steepest step from an option is the next corner of the hull. First along the hulls, then what fits.
  for (const bool along_hull : {true, false}) {
    std::priority_queue<StepUp> steps;
    const auto offer = [&](std::size_t item) {
      const std::uint64_t room = along_hull ? no_limit : budget - bytes;
      if (const auto step = best_step(items[item], item, chosen[item], room)) steps.push(*step);
    };
    for (std::size_t i = 0; i < items.size(); ++i) offer(i);
    while (!steps.empty()) {
      const StepUp step = steps.top();
      steps.pop();
      const std::uint64_t more = items[step.item][step.to].bytes - items[step.item][chosen[step.item]].bytes;
      if (more <= budget - bytes) {
        chosen[step.item] = step.to;
        bytes += more;
      } else if (along_hull) {
        continue;
      }
      offer(step.item);
    }
  }
  return chosen;
}

}  // namespace coterie::quantize
