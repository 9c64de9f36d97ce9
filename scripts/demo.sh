#!/usr/bin/env bash
# From a fresh Debian 12 to a first answer: installs what is missing, builds the program, asks the model that ships with it.
#
#   scripts/demo.sh "What is 25 + 38?"
source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh"

question=${1:-What is 25 + 38?}
{
  phase "set-up" install_missing "${program_packages[@]}"
  # No tests here: they need packages of their own.
  phase "configure" configure build -DCMAKE_BUILD_TYPE=Release -DCOTERIE_TESTS=OFF
  phase "build" cmake --build build --target coterie
} >&2
exec build/coterie run -- "$question"
