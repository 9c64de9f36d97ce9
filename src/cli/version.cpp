// coterie version [--json]
#include "cli/command.h"

#include <cstdio>

namespace coterie::cli {

static int version(Args& args) {
  const bool json = args.flag("--json", "print one JSON object");
  args.finish();

  const char* form =
      json ? "{\"name\": \"coterie\", \"version\": \"%s\", \"build\": \"%s\", \"compiler\": \"%s\"}\n"
           : "coterie %s (%s, %s)\n";
  std::printf(form, COTERIE_VERSION, COTERIE_BUILD, COTERIE_COMPILER);
  return 0;
}

const Command version_command{"version", "print the version and how it was built", version,
                              "coterie version\ncoterie version --json"};

}  // namespace coterie::cli
