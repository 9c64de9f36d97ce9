#!/usr/bin/env bash
# Fuzzes every target (or the named ones) from its stored corpus: 10^6 runs or 10 minutes each, address and
# undefined-behaviour sanitizers. Prints one line a target; the exit code says whether anything was found.
#
#   scripts/fuzz.sh [NAME...]       COTERIE_FUZZ_SECONDS and COTERIE_FUZZ_RUNS change the limits
source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh"

folder=build-fuzz
phase "set-up" install_missing "${program_packages[@]}" "${test_packages[@]}" "${clang_packages[@]}"
phase "configure" configure "$folder" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DCOTERIE_FUZZ=ON \
  -DCOTERIE_SANITIZE=address,undefined -DCOTERIE_TESTS=ON

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(basename -a tests/fuzz/fuzz_*.cpp | sed 's/^fuzz_\(.*\)\.cpp$/\1/')
phase "build" cmake --build "$folder" --parallel "$(nproc)" --target "${names[@]/#/fuzz_}"

failed=0
for name in "${names[@]}"; do
  work=$folder/corpus-$name
  log=$folder/fuzz-$name.log
  mkdir -p "$work"
  start=$SECONDS
  if "$folder/fuzz_$name" -runs="${COTERIE_FUZZ_RUNS:-1000000}" -max_total_time="${COTERIE_FUZZ_SECONDS:-600}" \
      -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$folder/finding-$name-" \
      "$work" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
    findings=0
  else
    findings=1
    failed=1
    tail -n 30 "$log"
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)
  printf '%-12s %9s runs  %4d s  %-10s  %d findings\n' "$name" "${runs:-?}" $((SECONDS - start)) "$coverage" "$findings"
done
exit $failed
