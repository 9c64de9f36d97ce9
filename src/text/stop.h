// Stop strings in a stream of decoded text: the output ends before the first one, and nothing that might be
// the beginning of one is shown before it is decided.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coterie::text {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);  // throws UsageError: an empty one

  std::string next(std::string_view text);  // what can be shown now
  std::string finish();                     // the rest: what was held back for nothing
  bool stopped() const { return stopped_; }
  const std::string& found() const { return found_; }  // the stop string, once stopped

 private:
  std::vector<std::string> stops_;
  std::string pending_;
  std::string found_;
  bool stopped_ = false;
};

}  // namespace coterie::text
