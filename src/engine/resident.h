// Weights in memory of our own instead of the mapped file.
//
// The mapping costs nothing to set up, shares its pages with every other process and lets the system drop what nobody
// reads; but its pages are small and lie on the memory node of whoever read them first. A copy lies in huge pages, and
// every row is written, hence placed, by a worker of the node that will read it (Team::slice).
#pragma once

#include "device/cpu/team.h"
#include "gguf/reader.h"
#include "tensor/buffer.h"

namespace coterie {

class Resident {
 public:
  // Copies every tensor of the file, which from then on has its data here. Throws MemoryError: no room. progress gets
  // the share that is done, and may throw to end early.
  Resident(gguf::Reader& file, Team& team, HugePages kind, FunctionRef<void(double share)> progress);

 private:
  Pages pages_;
};

}  // namespace coterie
