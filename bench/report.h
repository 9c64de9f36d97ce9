// What a benchmark prints: a table, CSV, JSON, and a picture.
#pragma once

#include "bench/model_bench.h"
#include "bench/probe.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace coterie::bench {

// Where and how it was measured.
struct BenchHeader {
  std::string program, command, cpu, isa, model;
  int threads;
  std::vector<ReadRate> reads;
  double byte_peak, float_peak;       // operations per second of all threads
  double bandwidth;                   // bytes per second of all threads
  double clock = 0;                   // of one core, per second
  std::vector<std::string> rivals{};  // the commands that took turns
};

// Decode steps of one token are a share of the bandwidth, prompts of the byte peak; 0: neither.
double share_of_limit(const Measurement& m);

std::string table_of(const BenchHeader& header, const std::vector<Measurement>& tests);
std::string csv_of(const BenchHeader& header, const std::vector<Measurement>& tests);
nlohmann::ordered_json json_of(const BenchHeader& header, const std::vector<Measurement>& tests);
std::string svg_of(const BenchHeader& header, const std::vector<Measurement>& tests);

}  // namespace coterie::bench
