// The encoders of generic: built with its flags; its only export is this table.
#include "kernels/make_encoders.h"

namespace coterie {

constinit const Encoders encoders_generic = make_encoders<Generic>(Formats{});

}  // namespace coterie
