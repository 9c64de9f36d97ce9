// MXFP4: the levels of e2m1.
#include "formats/mxfp4.h"

namespace coterie {

// Twice the e2m1 values 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives; there is one zero only, since codes
// are integers.
const std::int8_t e2m1_levels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace coterie
