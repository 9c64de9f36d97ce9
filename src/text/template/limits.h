// What a chat template may cost, and how it fails.
//
// A template comes with the model file, so it is as hostile as the file: every loop, recursion and allocation
// of the engine is counted against these limits, and every failure is one TemplateError.
#pragma once

#include "base/errors.h"

#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

namespace coterie::text {

struct TemplateLimits {
  std::int64_t steps = 1'000'000;     // expressions and statements evaluated
  std::int64_t output = 16ll << 20;   // bytes of the result, and of any string on the way
  std::int64_t memory = 128ll << 20;  // bytes of all values alive at once, the variables included
  int depth = 64;                     // macro calls, or data inside data
  std::chrono::milliseconds time{2000};
  std::optional<std::time_t> now;  // what strftime_now() sees; not set: the clock
};

// Syntax, an undefined operation, raise_exception() or a limit. Always one line.
class TemplateError : public Error {
 public:
  TemplateError(int line, const std::string& what);
  int line() const { return line_; }  // in the template's source, from 1

 private:
  int line_;
};

}  // namespace coterie::text
