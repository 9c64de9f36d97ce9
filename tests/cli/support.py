"""What the command line tests share: running the program, golden data, and small readers of .npy and .safetensors."""
import array
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else str(SOURCE / "build/coterie")


def golden_dir():
    """The same rule as tests/support/golden.cpp."""
    beside = SOURCE.parent / "shared/golden"
    path = beside if (beside / "README.md").exists() else SOURCE / "tests/golden"
    return pathlib.Path(os.environ.get("COTERIE_GOLDEN", path))


GOLDEN = golden_dir()
FULL = not (GOLDEN / "COMPACT").exists()
TINY = str(GOLDEN / "gguf/v3-yarn.gguf")

# Options under which that model never ends a reply: no special token can win.
ENDLESS = [word for id in [0, 1, 2, *range(960, 1024)] for word in ("--logit-bias", f"{id}=-1000")] + ["--ctx", "100000"]


def has_golden(name):
    """Whether a golden file is there. Only the compact set may lack one, which is printed."""
    if (GOLDEN / name).exists() or (GOLDEN / (name + ".gz")).exists() or FULL:
        return True
    print(f"skipped: the compact golden set has no {name}", file=sys.stderr)
    return False


def golden(name):
    """The path of a golden file, unpacked where the compact set has it as NAME.gz; without it the test is skipped."""
    if not has_golden(name):
        raise unittest.SkipTest(name)
    if (GOLDEN / name).exists():
        return str(GOLDEN / name)
    unpacked = pathlib.Path(STATE) / name.replace("/", "-")
    if not unpacked.exists():
        unpacked.write_bytes(gzip.decompress((GOLDEN / (name + ".gz")).read_bytes()))
    return str(unpacked)


def golden_json(name):
    with open(golden(name), encoding="utf-8") as file:
        return json.load(file)


def environment(**more):
    """The caller's environment without options of this program, and with a state folder of its own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("COTERIE_") and k != "NO_COLOR"}
    env.setdefault("XDG_STATE_HOME", STATE)
    env.update(more)
    env["XDG_STATE_HOME"] = more.get("XDG_STATE_HOME", STATE)
    return env


STATE_FOLDER = tempfile.TemporaryDirectory()
STATE = STATE_FOLDER.name


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.out)


# Sanitized programs are many times slower.
PATIENCE = int(os.environ.get("COTERIE_TEST_PATIENCE", "1"))


def run(*args, stdin="", env=None, timeout=60, limits=None):
    """limits: called in the child before the program begins."""
    done = subprocess.run([PROGRAM, *map(str, args)], input=stdin.encode(), capture_output=True, timeout=timeout * PATIENCE,
                          env=environment(**(env or {})), preexec_fn=limits)
    return Result(done)


def wait_until_handled(process, number):
    """A signal that comes before the program has set its handlers kills it, as it would any other."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with open(f"/proc/{process.pid}/status") as status:
            caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt:"))
        if caught >> (number - 1) & 1:
            return
        time.sleep(0.001)


class Case(unittest.TestCase):
    def ok(self, *args, **kwargs):
        result = run(*args, **kwargs)
        self.assertEqual(result.code, 0, f"{args}: {result.err}")
        return result

    def fails(self, code, *args, **kwargs):
        """Ends with this exit code and exactly one line on stderr, which is returned."""
        result = run(*args, **kwargs)
        self.assertEqual(result.code, code, f"{args}: {result.out}{result.err}")
        self.assertRegex(result.err, r"\Acoterie: [^\n]+\n\Z", str(args))
        return result.err

    def usage_error(self, *args, **kwargs):
        return self.fails(2, *args, **kwargs)


def read_npy(path):
    """(shape, array of float32)."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    (length,) = struct.unpack_from("<H", data, 8)
    assert (10 + length) % 64 == 0
    header = eval(data[10:10 + length].decode(), {"__builtins__": {}}, {})
    assert header["descr"] == "<f4" and header["fortran_order"] is False
    values = array.array("f")
    values.frombytes(data[10 + length:])
    return header["shape"], values


class Safetensors:
    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        (length,) = struct.unpack_from("<Q", self.data)
        self.header = json.loads(self.data[8:8 + length])
        self.start = 8 + length

    def get(self, name):
        """(shape, array) of an F32 or I32 tensor."""
        entry = self.header[name]
        begin, end = entry["data_offsets"]
        values = array.array({"F32": "f", "I32": "i"}[entry["dtype"]])
        values.frombytes(self.data[self.start + begin:self.start + end])
        return tuple(entry["shape"]), values


def largest_difference(a, b):
    assert len(a) == len(b), (len(a), len(b))
    return max((abs(x - y) for x, y in zip(a, b)), default=0.0)


def main():
    print(f"golden set: {GOLDEN} ({'full' if FULL else 'compact, committed'})", file=sys.stderr)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
