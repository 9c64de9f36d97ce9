// coterie doctor [--json]: what this machine offers, what was built, and what stands in the way.
#include "bench/probe.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/line_editor.h"
#include "cli/machine.h"
#include "cli/model_args.h"
#include "cli/terminal.h"
#include "device/onednn/fast.h"
#include "kernels/kernels.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

Json instruction_sets() {
  Json sets = Json::array();
  for (const Kernels* k : all_kernels())
    sets.push_back({{"name", k->isa}, {"runs_here", k->runnable()}, {"chosen", k == &kernels()}});
  return sets;
}

Json advice(const Machine& m) {
  Json lines = Json::array();
  if (m.memory_limit && *m.memory_limit < m.memory)
    lines.push_back("the control group allows " + human_bytes(*m.memory_limit) +
                    " of memory: weights beyond it are read again and again");
  if (m.cpu_limit && *m.cpu_limit < m.physical_cores)
    lines.push_back("the control group allows " + std::to_string(*m.cpu_limit) +
                    " CPUs: more threads than that only wait");
  if (m.huge_pages == "never")
    lines.push_back(
        "transparent huge pages are off: 'madvise' in /sys/kernel/mm/transparent_hugepage/enabled is faster");
  if (m.nodes.size() > 1)
    lines.push_back("several memory nodes: --huge-pages transparent puts every weight where it is read");
  return lines;
}

Json nodes(const Machine& m) {
  Json list = Json::array();
  for (const MemoryNode& node : m.nodes) {
    Json cpus = Json::array();
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &node.cpus)) cpus.push_back(cpu);
    list.push_back({{"node", node.id}, {"cpus", cpus}});
  }
  return list;
}

Json examine() {
  const Machine m = describe_machine();
  Json bandwidth = Json::array();
  for (const bench::ReadRate& r : bench::measure_read_rates())
    if (r.node < 0) bandwidth.push_back({{"threads", r.threads}, {"gb_per_s", r.bytes_per_second / 1e9}});
  const std::string shipped = find_shipped_model();
  Json out{{"cpu", m.cpu},
           {"physical_cores", m.physical_cores},
           {"logical_cpus", m.logical_cpus},
           {"numa_nodes", m.nodes.size()},
           {"nodes", nodes(m)},
           {"memory", m.memory},
           {"memory_available", m.memory_free},
           {"memory_limit", m.memory_limit ? Json(*m.memory_limit) : Json()},
           {"cpu_limit", m.cpu_limit ? Json(*m.cpu_limit) : Json()},
           {"huge_pages", m.huge_pages},
           {"reserved_huge_pages", {{"all", m.reserved.all}, {"free", m.reserved.free}}},
           {"instruction_sets", instruction_sets()},
           {"read_bandwidth", bandwidth}};
  out["shipped_model"] = shipped.empty() ? Json() : Json(shipped);
  out["line_editing"] = line_editor_name();
  out["fast"] = fast_library();
  out["advice"] = advice(m);
  return out;
}

void print_text(const Json& d) {
  const auto text = [](const Json& j) { return printable(j.get<std::string>()); };
  const auto bytes = [](const Json& j) { return human_bytes(j.get<std::uint64_t>()); };
  std::printf("CPU            %s\n", text(d["cpu"]).c_str());
  std::printf("cores          %d physical, %d logical, %d memory node(s)\n", d["physical_cores"].get<int>(),
              d["logical_cpus"].get<int>(), d["numa_nodes"].get<int>());
  for (const Json& node : d["nodes"])
    std::printf("memory node %-2d CPUs %s\n", node["node"].get<int>(), node["cpus"].dump().c_str());
  std::string sets;
  for (const Json& k : d["instruction_sets"])
    sets += " " + text(k["name"]) + (k["chosen"] ? " (chosen)" : k["runs_here"] ? "" : " (not here)");
  std::printf("kernels       %s\n", sets.c_str());
  std::printf("memory         %s, %s available\n", bytes(d["memory"]).c_str(),
              bytes(d["memory_available"]).c_str());
  std::printf("limits         memory %s, CPUs %s\n",
              d["memory_limit"].is_null() ? "none" : bytes(d["memory_limit"]).c_str(),
              d["cpu_limit"].is_null() ? "none" : d["cpu_limit"].dump().c_str());
  std::printf("huge pages     transparent: %s; reserved: %s of 2 MiB, %s free\n",
              text(d["huge_pages"]).c_str(), d["reserved_huge_pages"]["all"].dump().c_str(),
              d["reserved_huge_pages"]["free"].dump().c_str());
  for (const Json& b : d["read_bandwidth"])
    std::printf("reads memory   %.1f GB/s with %d thread(s)\n", b["gb_per_s"].get<double>(),
                b["threads"].get<int>());
  std::printf("shipped model  %s\n",
              d["shipped_model"].is_null() ? "not found" : text(d["shipped_model"]).c_str());
  std::printf("line editing   %s\n", text(d["line_editing"]).c_str());
  std::printf("--fast         %s\n", text(d["fast"]).c_str());
  for (const Json& line : d["advice"]) std::printf("advice         %s\n", text(line).c_str());
}

int doctor(Args& args) {
  const bool json = args.flag("--json", "print one JSON object");
  args.finish();

  const Json found = examine();
  if (json)
    std::printf("%s\n", found.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  else
    print_text(found);
  return 0;
}

}  // namespace

const Command doctor_command{"doctor", "examine this machine: CPU, kernels, memory, bandwidth, limits",
                             doctor, "coterie doctor\ncoterie doctor --json"};

}  // namespace coterie::cli
