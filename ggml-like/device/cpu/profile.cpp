#include "device/cpu/profile.h"

#include <algorithm>
#include <string_view>

namespace coterie {

void Profile::enter(const char* name) {
  auto& parts = current_->parts;
  const auto found =
      std::ranges::find_if(parts, [&](const auto& part) { return std::string_view(part->name) == name; });
  if (found != parts.end()) {
    current_ = found->get();
    return;
  }
  parts.push_back(std::make_unique<Node>(Node{.name = name, .parent = current_}));
  current_ = parts.back().get();
}

void Profile::leave(double seconds) {
  current_->seconds += seconds;
  ++current_->calls;
  current_ = current_->parent;
  if (current_ == &root_) root_.seconds += seconds;
}

void Profile::read(std::int64_t bytes) {
  for (Node* node = current_; node != nullptr; node = node->parent) node->bytes += bytes;
}

}  // namespace coterie
