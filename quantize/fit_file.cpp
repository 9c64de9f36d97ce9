#include "quantize/fit_file.h"

#include "kernels/kernels.h"
#include "quantize/choose.h"
#include "quantize/divergence.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace coterie::quantize {

namespace {

// The noise that a probe should have: about that of a format of four bits.
constexpr double probe_noise = 0.01;

// A tensor's weights in another format, in memory.
std::vector<std::byte> encoded(const FitTensor& t, const FormatInfo& format, const FitOptions& o) {
  const std::int64_t row_bytes = format.row_bytes(t.columns);
  std::vector<std::byte> bytes(static_cast<std::size_t>(t.rows * row_bytes));
  std::vector<std::vector<float>> weights;
  if (o.importance != nullptr)
    for (std::int64_t m = 0; m < t.rows / t.rows_per_matrix; ++m)
      weights.push_back(o.importance->weights(t.name, t.columns, m));
#pragma omp parallel for schedule(dynamic, 16) num_threads(o.threads)
  for (std::int64_t row = 0; row < t.rows; ++row) {
    std::vector<float> x(static_cast<std::size_t>(t.columns));
    t.read(row, x.data());
    const std::vector<float>* w =
        weights.empty() ? nullptr : &weights[static_cast<std::size_t>(row / t.rows_per_matrix)];
    kernels().encode[format.index](x.data(), w == nullptr || w->empty() ? nullptr : w->data(), t.columns,
                                   bytes.data() + row * row_bytes);
  }
  return bytes;
}

const FitFormat& probe_of(const std::vector<FitFormat>& formats) {
  return *std::ranges::min_element(formats, {}, [](const FitFormat& f) {
    return f.noise > 0 ? std::abs(std::log(f.noise / probe_noise)) : 1e9;
  });
}

}  // namespace

std::vector<FitTensor> fit_tensors(const gguf::Reader& file) {
  const ModelFacts model = model_facts(file);
  std::vector<FitTensor> tensors;
  for (const gguf::TensorInfo& t : file.tensors())
    tensors.push_back({.name = std::string(t.name),
                       .columns = t.shape[0],
                       .rows = t.rows(),
                       .rows_per_matrix = t.shape[1],
                       .now = t.format,
                       .fixed = !may_change({t.name, t.shape, t.n_dims, t.format}, model.known()),
                       .read = [source = t](std::int64_t row, float* out) {
                         source.format->decode(source.data + row * source.row_bytes(), source.shape[0], out);
                       }});
  return tensors;
}

std::vector<double> measured_effects(gguf::Reader& file, std::span<const FitTensor> tensors,
                                     const Noise& noise, const std::vector<std::vector<Token>>& windows,
                                     const FitOptions& o) {
  Divergence divergence(file, windows, o.threads);
  std::vector<double> effects;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const FitFormat& probe = probe_of(noise[i]);
    double effect = 0;
    if (!tensors[i].fixed && probe.noise > 0) {
      const std::vector<std::byte> bytes = encoded(tensors[i], *probe.format, o);
      const gguf::TensorInfo was = file.substitute(tensors[i].name, *probe.format, bytes.data());
      effect = divergence.measure() / probe.noise;
      file.substitute(was.name, *was.format, was.data);
    }
    effects.push_back(effect);
    if (o.progress) o.progress(i + 1, tensors.size());
  }
  return effects;
}

}  // namespace coterie::quantize
