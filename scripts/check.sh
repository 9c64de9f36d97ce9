#!/usr/bin/env bash
# Installs what is missing, builds everything with warnings as errors, and runs all tests.
#
#   scripts/check.sh                    the release build, every test
#   scripts/check.sh --sanitize         the same tests under the address and undefined-behaviour sanitizers
#   scripts/check.sh --thread-sanitize  the threaded parts under the thread sanitizer (clang and its own OpenMP runtime:
#                                       GCC's is not instrumented and reports races that are none)
source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh"

folder=build
options=(-DCMAKE_BUILD_TYPE=Release)
targets=()
tests=()
runner=()
packages=("${program_packages[@]}" "${test_packages[@]}")
case "${1:-}" in
  "") ;;
  --sanitize)
    folder=build-sanitize
    options=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCOTERIE_SANITIZE=address,undefined)
    ;;
  --thread-sanitize)
    folder=build-thread
    options=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCOTERIE_SANITIZE=thread -DCMAKE_CXX_COMPILER=clang++)
    packages+=("${clang_packages[@]}")
    targets=(--target test_device test_engine test_models test_convert test_quantize test_calibrate coterie)
    tests=(-L threads)
    # clang 14's runtime cannot place its shadow memory where newer kernels randomise addresses more widely.
    runner=(setarch "$(uname -m)" -R)
    # As LLVM's OpenMP runtime asks: it reports its own synchronisation (Archer) but is itself not instrumented.
    export TSAN_OPTIONS=ignore_noninstrumented_modules=1
    ;;
  *)
    echo "usage: scripts/check.sh [--sanitize | --thread-sanitize]" >&2
    exit 2
    ;;
esac
jobs=$(nproc)

phase "set-up" install_missing "${packages[@]}"
phase "configure" configure "$folder" "${options[@]}" -DCOTERIE_TESTS=ON -DCOTERIE_WERROR=ON
phase "build" cmake --build "$folder" --parallel "$jobs" "${targets[@]}"
phase "tests" "${runner[@]}" ctest --test-dir "$folder" --output-on-failure --no-tests=error --parallel "$jobs" "${tests[@]}"

# The same kernels on ARM, bit for bit: cross-built, run by qemu-user.
check_aarch64() {
  phase "aarch64: configure" configure build-aarch64 -DCMAKE_TOOLCHAIN_FILE=scripts/aarch64.cmake \
    -DCMAKE_BUILD_TYPE=Release -DCOTERIE_KERNELS_ONLY=ON -DCOTERIE_WERROR=ON
  phase "aarch64: build" cmake --build build-aarch64 --parallel "$jobs"
  phase "aarch64: tests" ctest --test-dir build-aarch64 --output-on-failure --no-tests=error --parallel "$jobs"
}
if [ -z "${1:-}" ] && [ "$(uname -m)" = x86_64 ]; then
  if install_missing "${aarch64_packages[@]}"; then
    check_aarch64
  else
    say "aarch64: skipped, ${aarch64_packages[*]} cannot be installed here"
  fi
fi
