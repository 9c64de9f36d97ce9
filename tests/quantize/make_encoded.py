#!/usr/bin/env python3
"""Writes encoded.json: what `coterie quantize` makes of the golden rows in every format, and what the gguf package reads
from it. Run it when an encoder's bytes change on purpose, with the number in quantize/encode.h raised.

  make_encoded.py build/coterie        # needs numpy, safetensors and gguf from PyPI
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import gguf
import numpy
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SETS = ["gauss", "heavy", "edge"]
FORMATS = """F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S
IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4""".split()


def write(path, tensors, keys=()):
    writer = gguf.GGUFWriter(path, "none")
    for key, value in keys:
        writer.add_array(key, value) if isinstance(value, list) else writer.add_uint32(key, value) if isinstance(
            value, int) else writer.add_string(key, value)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    rows = load_file(ROOT / "tests/golden/quants/quantize.safetensors")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        source, matrix, out = (f"{folder}/{name}.gguf" for name in ("rows", "matrix", "out"))
        write(source, {name: rows["x_" + name] for name in SETS})
        importance = {name + ".in_sum2": rows["imatrix"].reshape(1, -1) for name in SETS}
        importance |= {name + ".counts": numpy.ones((1, 1), numpy.float32) for name in SETS}
        write(matrix, importance, [("general.type", "imatrix"), ("imatrix.datasets", ["golden rows"]),
                                   ("imatrix.chunk_count", 1), ("imatrix.chunk_size", 1)])
        for kind in FORMATS:
            blocks, weights = hashlib.sha256(), hashlib.sha256()
            for more in ([], ["--imatrix", matrix]):
                subprocess.run([sys.argv[1], "quantize", source, out, "--type", kind, "--pure", *more], check=True,
                               stderr=subprocess.DEVNULL)
                read = {t.name: t for t in gguf.GGUFReader(out).tensors}
                for name in SETS:
                    assert read[name].tensor_type.name == kind, (kind, read[name].tensor_type)
                    blocks.update(read[name].data.tobytes())
                    weights.update(gguf.dequantize(read[name].data, read[name].tensor_type).astype("<f4").tobytes())
            found[kind] = {"blocks": blocks.hexdigest(), "weights_read_by_gguf": weights.hexdigest()}
    version = re.search(r"encoder_version = (\d+)", (ROOT / "quantize/encode.h").read_text())[1]
    (HERE / "encoded.json").write_text(json.dumps({"version": int(version), "formats": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
