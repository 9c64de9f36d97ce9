// Which table to use: the widest that this CPU can run, unless COTERIE_ISA names another.
#include "base/errors.h"
#include "kernels/kernels.h"

#include <cstdlib>
#include <string>

namespace coterie {

const Kernels& select_kernels(const char* wanted) {
  const bool any = wanted == nullptr || *wanted == '\0';
  std::string available;
  for (const Kernels* k : all_kernels()) {
    if (!k->runnable()) continue;
    if (any || std::string(wanted) == k->isa) return *k;
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
