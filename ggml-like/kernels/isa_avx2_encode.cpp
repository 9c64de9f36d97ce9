// The encoders of avx2: built with its flags; its only export is this table.
#include "kernels/make_encoders.h"

namespace coterie {

constinit const Encoders encoders_avx2 = make_encoders<Avx2>(Formats{});

}  // namespace coterie
