// Memory for activations and caches: reserved once, touched page by page as it is used, never grown inside a
// step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace coterie {

enum class HugePages {
  transparent,  // where the kernel finds some, for all that is large
  reserved,     // out of those set aside with vm.nr_hugepages, or not at all
};

// Huge pages of 2 MiB that were set aside.
struct ReservedHugePages {
  std::uint64_t all, free;
};
ReservedHugePages reserved_huge_pages();

// Zeroed pages straight from the kernel. Throws MemoryError naming what was asked for.
class Pages {
 public:
  Pages() = default;
  Pages(std::uint64_t bytes, const char* what, HugePages kind = HugePages::transparent);
  ~Pages();
  Pages(Pages&& other) noexcept { swap(other); }
  Pages& operator=(Pages&& other) noexcept {
    swap(other);
    return *this;
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* data() const { return data_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void swap(Pages& other) {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::int64_t count, const char* what)
      : pages_(static_cast<std::uint64_t>(count) * sizeof(T), what), count_(count) {}
  T* data() const { return reinterpret_cast<T*>(pages_.data()); }
  std::int64_t size() const { return count_; }
  std::span<T> span() const { return {data(), static_cast<std::size_t>(count_)}; }
  T& operator[](std::int64_t i) const { return data()[i]; }

 private:
  Pages pages_;
  std::int64_t count_ = 0;
};

}  // namespace coterie
