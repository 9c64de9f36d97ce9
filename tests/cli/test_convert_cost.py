"""What converting 3 GB costs: memory, reads and writes. The files are made here and deleted afterwards; slow."""
import os
import pathlib
import subprocess
import sys
import tempfile

import make_checkpoint
import support

GIB = 1 << 30
EXPERTS = 64


def cost_of(words):
    """Runs the program and returns (exit code, peak bytes of memory, bytes read from disk, bytes written to files)."""
    process = subprocess.Popen([support.PROGRAM, *words], env=support.environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024, usage.ru_inblock * 512, usage.ru_oublock * 512


def forget(paths):
    """Out of the page cache, so that reads are seen."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def once(moved, size):
    return moved < 1.05 * size + (64 << 20)  # what the disk reads ahead included


class Cost(support.Case):
    def test_3_gb_of_fp8(self):
        # Beside the program, which is on a disk; the system's folder for temporary files may be memory.
        with tempfile.TemporaryDirectory(dir=os.path.dirname(support.PROGRAM)) as folder:
            source, out = pathlib.Path(folder, "hf"), pathlib.Path(folder, "out.gguf")
            source.mkdir()
            make_checkpoint.make(source, EXPERTS)
            shards = sorted(source.glob("*.safetensors"))
            size = sum(path.stat().st_size for path in shards)
            self.assertGreater(size, 2.8e9)
            # Where memory is short, the system drops what it has read ahead and reads it again: not the program's doing,
            # which would read twice every time.
            for _ in range(3):
                forget(shards)
                out.unlink(missing_ok=True)
                code, memory, read, written = cost_of(["convert", str(source), str(out), "--type", "Q4_0"])
                self.assertEqual(code, 0)
                if once(read, size):
                    break
            found = self.ok("inspect", out, "--tensors", "--json").json()["tensors"]
            largest = max(t["bytes"] for t in found)
            print(f"{size / 1e9:.2f} GB in, {out.stat().st_size / 1e9:.2f} GB out: {memory / GIB:.2f} GiB of memory, "
                  f"{read / 1e9:.2f} GB read, {written / 1e9:.2f} GB written", file=sys.stderr)
            self.assertLess(memory, 2 * GIB)  # the bound is 2 GiB and the largest tensor
            self.assertLess(memory, largest + GIB)  # and a stack of experts is not held whole
            self.assertTrue(once(read, size), read)
            self.assertTrue(once(written, out.stat().st_size), written)


if __name__ == "__main__":
    support.main()
