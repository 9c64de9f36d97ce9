#!/usr/bin/env python3
"""Writes the seeds of fuzz_gguf: one small sound GGUF file per value type, array type and tensor type, and a few more.

Usage: make_gguf_corpus.py FOLDER (tests/fuzz/corpus/gguf). Standard library only; the same files every time.
"""
import pathlib
import struct
import sys

VALUES = {  # type number: (name, one encoded value)
    0: ("uint8", struct.pack("<B", 200)), 1: ("int8", struct.pack("<b", -3)), 2: ("uint16", struct.pack("<H", 60000)),
    3: ("int16", struct.pack("<h", -3)), 4: ("uint32", struct.pack("<I", 7)), 5: ("int32", struct.pack("<i", -7)),
    6: ("float32", struct.pack("<f", 0.5)), 7: ("bool", b"\1"), 8: ("string", struct.pack("<Q", 4) + b"text"),
    10: ("uint64", struct.pack("<Q", 1 << 63)), 11: ("int64", struct.pack("<q", -9)), 12: ("float64", struct.pack("<d", 0.25))}

TENSORS = {  # type number: (name, weights per block, bytes per block); ggml.h
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36)}


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def key(name, kind, value):
    return text(name) + struct.pack("<I", kind) + value


def tensor(name, shape, kind, offset):
    return text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", kind, offset)


def gguf(keys=(), tensors=(), data=b"", version=3, alignment=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data + bytes(-len(data) % alignment)


def seeds():
    for kind, (name, value) in VALUES.items():
        yield f"value-{name}", gguf([key("k", kind, value)])
        yield f"array-{name}", gguf([key("k", 9, struct.pack("<IQ", kind, 3) + 3 * value)])
    for kind, (name, weights, size) in TENSORS.items():
        n = 4 if weights == 1 else weights
        data = bytes((37 * i + 11) % 256 for i in range(2 * n // weights * size))
        yield f"tensor-{name}", gguf((), [tensor("t", (n, 2), kind, 0)], data)
    f32 = bytes(64)
    two = [tensor("a", (8,), 0, 0), tensor("b", (2, 2, 1, 2), 0, 64)]
    yield "two-tensors", gguf([key("general.alignment", 4, struct.pack("<I", 64))], two, f32 + f32, alignment=64)
    yield "version-2", gguf([key("general.architecture", 8, text("x"))], [tensor("a", (8,), 0, 0)], f32, version=2)
    split = [key("split.no", 2, struct.pack("<H", 0)), key("split.count", 2, struct.pack("<H", 2)),
             key("split.tensors.count", 5, struct.pack("<i", 1))]
    yield "split", gguf(split, [tensor("a", (8,), 0, 0)], f32)


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, content in seeds():
    (folder / name).write_bytes(content)
