#include "base/cpu.h"

#include "base/control_group.h"
#include "base/nodes.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <utility>

namespace coterie {

#if defined(__x86_64__)
// clang 14's __builtin_cpu_supports does not know the name.
static bool has_f16c() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

// The processor has the tiles and their products of bytes, the system saves both parts of their state, and grants this
// process the larger one: a request, without which their first use is an illegal instruction (Linux 5.16 and later).
// For processors whose AVX is in use, so that xgetbv may be asked.
static bool may_use_amx() {
  constexpr unsigned tile = 1U << 24;  // edx of leaf 7
  constexpr unsigned int8 = 1U << 25;
  constexpr unsigned tile_state = 3U << 17;  // of XCR0: configuration, data
  constexpr long request_permission = 0x1023;
  constexpr long tile_data = 18;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & tile) == 0 || (d & int8) == 0) return false;
  asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (a & tile_state) == tile_state && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#endif

const CpuFeatures& cpu_features() {
  static const CpuFeatures found = [] {
    CpuFeatures f;
#if defined(__x86_64__)
    __builtin_cpu_init();
    f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    f.avx512vnni = f.avx512 && __builtin_cpu_supports("avx512vnni");
    f.avx512vbmi = f.avx512vnni && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni");
    f.avx512amx = f.avx512vbmi && may_use_amx();
#elif defined(__aarch64__)
    f.neon_dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    f.neon_i8mm = f.neon_dot && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#endif
    return f;
  }();
  return found;
}

// The number in a one-line file of /sys, or -1.
static int number_in(const std::string& path) {
  std::ifstream in(path);
  int value = -1;
  return in >> value ? value : -1;
}

int physical_cores() {
  const cpu_set_t allowed = allowed_cpus();
  std::set<std::pair<int, int>> cores;  // (package, core)
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const int core = number_in(topology + "core_id");
    cores.insert({number_in(topology + "physical_package_id"), core < 0 ? -2 - cpu : core});
  }
  const double granted = group_cpu_limit().value_or(static_cast<double>(cores.size()));
  return std::max(1, static_cast<int>(std::min(static_cast<double>(cores.size()), granted + 0.5)));
}

}  // namespace coterie
