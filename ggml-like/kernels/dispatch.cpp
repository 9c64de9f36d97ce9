// Which table: the widest that this CPU can run, unless COTERIE_ISA names another.
#include "base/cpu.h"
#include "base/errors.h"
#include "kernels/isa.h"

#include <cstdlib>
#include <string>

namespace coterie {

bool runs_generic() { return true; }
bool runs_avx2() { return cpu_features().avx2; }
bool runs_avx512() { return cpu_features().avx512; }
bool runs_avx512vnni() { return cpu_features().avx512vnni; }

static const Kernels* const table[] = {
#if defined(__x86_64__)
    &kernels_avx512vnni,
    &kernels_avx512,
    &kernels_avx2,
#endif
    &kernels_generic,
};

std::span<const Kernels* const> all_kernels() { return table; }

const Kernels& select_kernels(const char* wanted) {
  std::string available;
  for (const Kernels* k : table) {
    if (!k->runnable()) continue;
    if (wanted == nullptr || *wanted == '\0' || std::string(wanted) == k->isa) return *k;
    available += std::string(available.empty() ? "" : ", ") + k->isa;
  }
  throw UsageError("COTERIE_ISA: found " + std::string(wanted) +
                   ", expected one this CPU can run: " + available);
}

const Kernels& kernels() {
  static const Kernels& chosen = select_kernels(std::getenv("COTERIE_ISA"));
  return chosen;
}

}  // namespace coterie
