// How much memory a piece of code has from operator new: allocations.cpp replaces it for this test program.
#pragma once

#include <cstddef>

namespace coterie::test {

class AllocationPeak {
 public:
  AllocationPeak();           // starts at what is allocated now
  std::size_t bytes() const;  // the most that was allocated since, above that

 private:
  std::size_t base_;
};

}  // namespace coterie::test
