#include "base/nodes.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace coterie {

namespace fs = std::filesystem;

namespace {

constexpr const char* node_folder = "/sys/devices/system/node";

std::vector<int> node_numbers() {
  std::vector<int> found;
  std::error_code failed;
  for (const fs::directory_entry& e : fs::directory_iterator(node_folder, failed)) {
    const std::string name = e.path().filename();
    int number = 0;
    int length = 0;
    if (std::sscanf(name.c_str(), "node%d%n", &number, &length) == 1 &&
        static_cast<std::size_t>(length) == name.size())
      found.push_back(number);
  }
  std::ranges::sort(found);
  return found;
}

// "0-3,8": what the system says of a node's CPUs.
cpu_set_t cpus_of_node(int node) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::ifstream in(std::string(node_folder) + "/node" + std::to_string(node) + "/cpulist");
  for (std::string range; std::getline(in, range, ',');) {
    int first = 0;
    int last = 0;
    const int read = std::sscanf(range.c_str(), "%d-%d", &first, &last);
    if (read == 1) last = first;
    for (int cpu = first; read >= 1 && cpu <= last && cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &set);
  }
  return set;
}

// The allowed CPUs in equal runs; where there are fewer than nodes, some are in several.
std::vector<MemoryNode> faked(int n, const cpu_set_t& allowed) {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  const std::size_t each = std::max<std::size_t>(1, cpus.size() / static_cast<std::size_t>(n));
  std::vector<MemoryNode> nodes(static_cast<std::size_t>(n), MemoryNode{0, {}});
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    CPU_ZERO(&nodes[i].cpus);
    for (std::size_t k = 0; k < each; ++k) CPU_SET(cpus[(i * each + k) % cpus.size()], &nodes[i].cpus);
  }
  for (std::size_t k = each * nodes.size(); k < cpus.size(); ++k) CPU_SET(cpus[k], &nodes.back().cpus);
  return nodes;
}

}  // namespace

cpu_set_t allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) == 0) CPU_SET(0, &set);
  return set;
}

void run_on(const cpu_set_t& cpus) { sched_setaffinity(0, sizeof cpus, &cpus); }

std::vector<MemoryNode> memory_nodes() {
  const cpu_set_t allowed = allowed_cpus();
  if (const char* text = std::getenv("COTERIE_NODES"); text != nullptr) {
    constexpr int most = 64;
    const int n = std::atoi(text);
    if (n >= 1 && n <= most) return faked(n, allowed);
  }
  std::vector<MemoryNode> nodes;
  for (const int number : node_numbers()) {
    MemoryNode node{number, cpus_of_node(number)};
    CPU_AND(&node.cpus, &node.cpus, &allowed);
    if (CPU_COUNT(&node.cpus) > 0) nodes.push_back(node);
  }
  if (nodes.empty()) nodes.push_back({0, allowed});
  return nodes;
}

}  // namespace coterie
