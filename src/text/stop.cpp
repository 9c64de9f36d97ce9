#include "text/stop.h"

#include "base/errors.h"
#include "text/reasoning.h"

#include <algorithm>
#include <utility>

namespace coterie::text {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_)
    if (stop.empty()) throw UsageError("stop string: empty, expected at least one character");
}

// Of several the one that is complete first counts, and of those that end together the longest: so the result
// does not depend on where the stream is cut.
std::string StopStrings::next(std::string_view text) {
  if (stopped_) return {};
  pending_ += text;
  std::size_t begin = pending_.size(), end = std::string::npos, held = 0;
  for (const std::string& stop : stops_) {
    held = std::max(held, possible_beginning(pending_, stop));
    const std::size_t at = pending_.find(stop);
    if (at == std::string::npos || at + stop.size() > end || (at + stop.size() == end && at > begin))
      continue;
    begin = at;
    end = at + stop.size();
  }
  stopped_ = end != std::string::npos;
  if (stopped_) found_ = pending_.substr(begin, end - begin);
  std::string shown = pending_.substr(0, stopped_ ? begin : pending_.size() - held);
  pending_.erase(0, stopped_ ? pending_.size() : shown.size());
  return shown;
}

std::string StopStrings::finish() { return std::exchange(pending_, {}); }

}  // namespace coterie::text
