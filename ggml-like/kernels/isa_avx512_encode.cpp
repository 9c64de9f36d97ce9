// The encoders of avx512: built with its flags; its only export is this table.
#include "kernels/make_encoders.h"

namespace coterie {

constinit const Encoders encoders_avx512 = make_encoders<Avx512>(Formats{});

}  // namespace coterie
