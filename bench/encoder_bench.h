// The encoders: how much error they leave beside the reference's, and how fast they are on every instruction set.
#pragma once

#include "formats/formats.h"
#include "kernels/kernels.h"

#include <functional>
#include <string>
#include <vector>

namespace coterie::bench {

// Root mean squared errors on the same rows; weighted ones where importance is given.
struct EncoderQuality {
  const FormatInfo* format;
  std::string rows;  // as the reference calls them
  bool weighted;
  double ours;
  double reference;
};

struct EncoderSpeed {
  const FormatInfo* format;
  const char* isa;
  bool weighted;
  double weights_per_second;  // of one thread, rows in the cache
};

struct EncoderPlan {
  std::vector<const FormatInfo*> formats;
  std::vector<const Kernels*> isas;
  double seconds = 0.1;  // of every measurement, at least
};

// Every weight format with an encoder, every table that runs here.
EncoderPlan whole_encoder_plan();

// folder holds quantize.safetensors (rows x_NAME, imatrix) and quantize.json (TYPE.NAME.plain and .im: the errors of
// ggml's quantizer). Formats that the reference lacks are left out.
void compare_encoders(const EncoderPlan& plan, const std::string& folder,
                      const std::function<void(const EncoderQuality&)>& sink);
void time_encoders(const EncoderPlan& plan, const std::function<void(const EncoderSpeed&)>& sink);

}  // namespace coterie::bench
