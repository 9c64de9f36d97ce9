// coterie version [--json]
#include "cli/version.h"

#include "cli/command.h"

#include <cstdio>

namespace coterie::cli {

std::string version_line() {
  std::string line = "coterie " COTERIE_VERSION " (" COTERIE_BUILD ", " COTERIE_COMPILER;
  if (*COTERIE_COMMIT != '\0') line += ", commit " COTERIE_COMMIT;
  return line + ")";
}

static int version(Args& args) {
  const bool json = args.flag("--json", "print one JSON object");
  args.finish();

  if (json)
    std::printf(
        "{\"name\": \"coterie\", \"version\": \"%s\", \"build\": \"%s\", \"compiler\": \"%s\", \"commit\": "
        "\"%s\"}\n",
        COTERIE_VERSION, COTERIE_BUILD, COTERIE_COMPILER, COTERIE_COMMIT);
  else
    std::printf("%s\n", version_line().c_str());
  return 0;
}

const Command version_command{"version", "print the version and how it was built", version,
                              "coterie version\ncoterie version --json"};

}  // namespace coterie::cli
