// The team: every task once, whatever the number of threads; errors of the step pass through.
#include "device/cpu/team.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace coterie {

TEST_CASE("every task of every list runs exactly once, and a list is finished when run returns") {
  for (const int threads : {1, 2, 3, 8}) {
    Team team(threads);
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

}  // namespace coterie
