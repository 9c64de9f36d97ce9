// Where the time of a step goes: a tree of named spans with seconds and bytes, kept by the thread that walks
// through the step. Without a profile a span is one test of a pointer.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace coterie {

class Profile {
 public:
  struct Node {
    const char* name;  // lives as long as the program
    double seconds = 0;
    std::int64_t calls = 0;
    std::int64_t bytes = 0;  // of weights and cache rows read, those of the parts included
    Node* parent = nullptr;
    std::vector<std::unique_ptr<Node>> parts{};  // in the order of their first use
  };

  void enter(const char* name);
  void leave(double seconds);
  void read(std::int64_t bytes);  // within the innermost span
  const Node& root() const { return root_; }

 private:
  Node root_{.name = "all"};
  Node* current_ = &root_;
};

class Span {
 public:
  Span(Profile* profile, const char* name) : profile_(profile) {
    if (profile_ == nullptr) return;
    profile_->enter(name);
    start_ = std::chrono::steady_clock::now();
  }
  ~Span() {
    if (profile_ != nullptr)
      profile_->leave(std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  Profile* profile_;
  std::chrono::steady_clock::time_point start_{};
};

}  // namespace coterie
