#!/usr/bin/env python3
"""Writes the seeds of fuzz_imatrix: small sound importance matrices in both forms.

Usage: make_imatrix_corpus.py FOLDER (tests/fuzz/corpus/imatrix). Standard library only; the same files every time.
"""
import pathlib
import struct
import sys


def entry(name, calls, values):
    return struct.pack(f"<i{len(name)}sii{len(values)}f", len(name), name.encode(), calls, len(values), *values)


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def gguf(tensors):
    """One key, and F32 tensors (name, shape, values)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1) + text("general.type") + struct.pack("<I", 8) + text("imatrix")
    data = b""
    for name, shape, values in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += struct.pack(f"<{len(values)}f", *values) + b"\0" * (-4 * len(values) % 32)
    return head + b"\0" * (-len(head) % 32) + data


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    entries = struct.pack("<i", 2) + entry("blk.0.attn_q.weight", 5, [10, 20]) + entry("up", 2, [2, 4, 6, 8])
    (folder / "dat").write_bytes(entries + struct.pack("<ii8s", 5, 8, b"book.txt"))
    (folder / "dat-early").write_bytes(entries)
    (folder / "gguf").write_bytes(gguf([("a.in_sum2", [2], [1, 2]), ("a.counts", [1], [4])]))
    (folder / "gguf-experts").write_bytes(gguf([("up.in_sum2", [2, 3], [1, 2, 0, 0, 5, 6]), ("up.counts", [1, 3], [4, 0, 2])]))


if __name__ == "__main__":
    main()
