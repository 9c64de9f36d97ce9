// What a subcommand reads its command line with: it declares an argument and receives its value in the same
// line.
//
// The function of a command runs twice. The first time every declaration notes its name and returns a
// placeholder, until finish() ends that pass; then the words are parsed (or the help is printed), and in the
// second pass the same declarations return what the user gave. So: before finish() only declare.
//
// A value comes from the command line, else from the environment (--max-tokens is COTERIE_MAX_TOKENS), else
// it is the fallback. A value that does not fit is a UsageError naming where it came from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace coterie::cli {

struct Command;

template <class T>
struct Bounds {
  T low, high;  // both allowed
};

class Args {
 public:
  explicit Args(const Command& command);
  ~Args();

  // Positional arguments, in the order of their declarations.
  std::string positional(const std::string& name, const std::string& help);
  std::optional<std::string> maybe_positional(const std::string& name, const std::string& help);

  // Options are declared as "--long", "--long NAME_OF_VALUE" or "-s,--long NAME_OF_VALUE".
  bool flag(const std::string& names, const std::string& help);
  std::string option(const std::string& names, const std::string& fallback, const std::string& help);
  std::optional<std::string> maybe(const std::string& names, const std::string& help);
  std::vector<std::string> list(const std::string& names, const std::string& help);  // may be given again
  std::string choice(const std::string& names,
                     const std::vector<std::string>& allowed,  // the first is the fallback
                     const std::string& help);
  std::int64_t integer(const std::string& names, std::int64_t fallback, Bounds<std::int64_t> allowed,
                       const std::string& help);
  double number(const std::string& names, double fallback, Bounds<double> allowed, const std::string& help);
  std::optional<std::int64_t> maybe_integer(const std::string& names, Bounds<std::int64_t> allowed,
                                            const std::string& help);
  std::optional<double> maybe_number(const std::string& names, Bounds<double> allowed,
                                     const std::string& help);

  // Ends the declarations. Throws UsageError for anything unknown, missing or left over.
  void finish();

 private:
  friend int execute(const Command& command, const std::vector<std::string>& words);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Parses the words after the command's name and runs it; --help prints instead. Returns the exit code.
int execute(const Command& command, const std::vector<std::string>& words);

}  // namespace coterie::cli
