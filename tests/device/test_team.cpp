// The team: every task once, whatever the number of threads; errors of the step pass through.
#include "device/cpu/team.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace coterie {

// Nodes that share this machine's CPUs.
static std::vector<MemoryNode> nodes(int n) {
  return std::vector<MemoryNode>(static_cast<std::size_t>(n), {0, allowed_cpus()});
}

TEST_CASE("every task of every list runs exactly once, and a list is finished when run returns") {
  for (const int threads : {1, 2, 3, 8}) {
    Team team(threads, nodes(threads % 4 + 1));
    team.step([&] {
      for (int n_tasks = 0; n_tasks < 200; ++n_tasks) {
        std::vector<std::atomic<int>> done(200);
        team.run(n_tasks, [&](int task, int) { done[static_cast<std::size_t>(task)].fetch_add(1); });
        int wrong = 0;
        for (int i = 0; i < 200; ++i)
          wrong += done[static_cast<std::size_t>(i)].load() != (i < n_tasks ? 1 : 0);
        CHECK(wrong == 0);
      }
    });
  }
}

TEST_CASE("what a task wrote is seen after run, and workers have numbers of their own") {
  Team team(3);
  std::vector<int> values(5000);
  std::vector<std::atomic<int>> busy(3);
  std::atomic<int> clashes{0};
  team.step([&] {
    team.run(5000, [&](int task, int worker) {
      if (busy[static_cast<std::size_t>(worker)].fetch_add(1) != 0) clashes.fetch_add(1);
      values[static_cast<std::size_t>(task)] = task;
      busy[static_cast<std::size_t>(worker)].fetch_sub(1);
    });
    long sum = 0;
    for (const int v : values) sum += v;
    CHECK(sum == 5000L * 4999 / 2);
  });
  CHECK(clashes.load() == 0);
}

TEST_CASE("an exception of the step reaches the caller and the team goes on working") {
  Team team(2);
  CHECK_THROWS_AS(team.step([&] { throw std::runtime_error("stop"); }), std::runtime_error);
  std::atomic<int> count{0};
  team.step([&] { team.run(10, [&](int, int) { count.fetch_add(1); }); });
  CHECK(count.load() == 10);
}

TEST_CASE("outside a step tasks run in order on the calling thread") {
  Team team(4);
  std::vector<int> order;
  team.run(4, [&](int task, int worker) {
    CHECK(worker == 0);
    order.push_back(task);
  });
  CHECK(order == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("several lists run as one, every task once, inside a step and outside") {
  const std::vector<int> counts{5, 0, 1, 64, 3};
  for (const int n_nodes : {1, 2, 4})
    for (const bool inside : {true, false}) {
      Team team(3, nodes(n_nodes));
      std::vector<std::vector<std::atomic<int>>> done;
      for (const int n : counts) done.emplace_back(static_cast<std::size_t>(n));
      const auto run = [&] {
        team.run_lists(counts, [&](int list, int task, int) {
          done[static_cast<std::size_t>(list)][static_cast<std::size_t>(task)].fetch_add(1);
        });
      };
      inside ? team.step(run) : run();
      for (const auto& list : done)
        for (const auto& n : list) CHECK(n.load() == 1);
      CHECK(team.barriers() == (inside ? 1 : 0));
    }
}

TEST_CASE("a worker takes its own slice in order, then helps on its node, then the others") {
  constexpr int n_tasks = 1000;
  constexpr int slice = 250;  // of each of four workers
  for (const int n_nodes : {1, 2, 4}) {
    Team team(4, nodes(n_nodes));
    CHECK(team.node_of(0) == 0);
    CHECK(team.node_of(3) == n_nodes - 1);
    CHECK(team.slice(n_tasks, 1) == n_tasks / n_nodes);
    CHECK(team.slice(n_tasks, n_nodes) == n_tasks);
    std::vector<std::vector<int>> tasks(4);  // of each worker, in order
    team.step([&] {
      team.run(n_tasks, [&](int task, int worker) {
        if (worker == 3)
          std::this_thread::sleep_for(std::chrono::microseconds(100));  // the others come to help
        tasks[static_cast<std::size_t>(worker)].push_back(task);
      });
    });
    std::size_t n = 0;
    for (int worker = 0; worker < 4; ++worker) {
      const std::vector<int>& own = tasks[static_cast<std::size_t>(worker)];
      n += own.size();
      std::vector<int> distance;
      for (const int task : own)
        distance.push_back(task / slice == worker                               ? 0
                           : team.node_of(task / slice) == team.node_of(worker) ? 1
                                                                                : 2);
      CHECK(std::ranges::is_sorted(distance));
      const auto helping = std::ranges::find_if(distance, [](int d) { return d > 0; }) - distance.begin();
      CHECK(std::is_sorted(own.begin(), own.begin() + helping));
    }
    CHECK(n == n_tasks);
  }
}

TEST_CASE("faked nodes share out the CPUs of this process, each at least one") {
  for (const int n : {1, 2, 4, 64}) {
    setenv("COTERIE_NODES", std::to_string(n).c_str(), 1);
    const std::vector<MemoryNode> found = memory_nodes();
    REQUIRE(found.size() == static_cast<std::size_t>(n));
    cpu_set_t all;
    CPU_ZERO(&all);
    for (const MemoryNode& node : found) {
      CHECK(CPU_COUNT(&node.cpus) >= 1);
      CPU_OR(&all, &all, &node.cpus);
    }
    const cpu_set_t allowed = allowed_cpus();
    CHECK(CPU_EQUAL(&all, &allowed));
  }
  unsetenv("COTERIE_NODES");
  CHECK(!memory_nodes().empty());
}

TEST_CASE("a step leaves the calling thread on the CPUs where it was") {
  const cpu_set_t before = allowed_cpus();
  setenv("COTERIE_NODES", "2", 1);
  Team team(2);
  unsetenv("COTERIE_NODES");
  cpu_set_t inside;
  team.step([&] { inside = allowed_cpus(); });
  const cpu_set_t after = allowed_cpus();
  CHECK(CPU_EQUAL(&before, &after));
  if (CPU_COUNT(&before) > 1) CHECK(CPU_COUNT(&inside) < CPU_COUNT(&before));
}

}  // namespace coterie
