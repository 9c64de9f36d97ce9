"""Commands that write files under a journal: stopped in every way, they go on and end in the same bytes.

A command is a function of the output path that returns the words after `coterie`. It should sync often (--sync-every), so
that a small model has many moments to be stopped at.
"""
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import support

# In memory where there is such a folder: a kill loses nothing there either, and thousands of syncs cost nothing.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 256 << 20 else None
FAULTS = os.environ.get("COTERIE_FAULTS", "")  # the library of faults.cpp


def contents(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in pathlib.Path(folder).iterdir()}


def clear(folder):
    for path in pathlib.Path(folder).iterdir():
        path.unlink()


class Work:
    """A command, and what it writes when nothing happens."""

    def __init__(self, case, command):
        self.case = case
        self.words = command
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            start = time.monotonic()
            case.ok(*self.command(folder))
            self.seconds = time.monotonic() - start
            self.expected = contents(folder)
            clear(folder)
            count = folder + "/count"
            self.run(folder, f"count:{count}")
            self.calls = int(pathlib.Path(count).read_text()) if FAULTS else 0

    def command(self, folder):
        return self.words(folder + "/out.gguf")

    def run(self, folder, fault):
        preload = {"LD_PRELOAD": FAULTS, "COTERIE_FAULT": fault} if FAULTS else {}
        # The address sanitizer wants to be the first library.
        return support.run(*self.command(folder), env={**preload, "ASAN_OPTIONS": "verify_asan_link_order=0"})

    def check_unfinished(self, folder):
        """A finished name has the finished file, and nothing strange lies around."""
        for name, hash in contents(folder).items():
            if name in self.expected:
                self.case.assertEqual(hash, self.expected[name], name)
            else:
                self.case.assertIn(name, [*(n + ".partial" for n in self.expected), "out.gguf.journal"])

    def finish(self, folder):
        """Goes on to the end without a fault."""
        self.case.ok(*self.command(folder))
        self.case.assertEqual(contents(folder), self.expected)
        clear(folder)

    def kill_at_random(self, kills, seed):
        """kill -9 at random moments, each run going on from the last, until so many have hit."""
        moments, hits, went_on = random.Random(seed), 0, 0
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            while hits < kills:
                journal = pathlib.Path(folder, "out.gguf.journal")
                before = journal.stat().st_size if journal.exists() else 0
                process = subprocess.Popen([support.PROGRAM, *map(str, self.command(folder))], env=support.environment(),
                                           stderr=subprocess.DEVNULL)
                try:
                    process.wait(timeout=moments.uniform(0, self.seconds))
                except subprocess.TimeoutExpired:
                    process.kill()
                if process.wait() == -signal.SIGKILL:
                    hits += 1
                    went_on += 0 < before
                    self.check_unfinished(folder)
                else:
                    self.case.assertEqual(process.returncode, 0)
                    self.case.assertEqual(contents(folder), self.expected)
                    clear(folder)
            self.finish(folder)
        print(f"{hits} random kills, {went_on} of them in runs that went on from another", file=sys.stderr)

    def calls_to_try(self, runs):
        """About so many of the calls, the first and last among them; another choice would do as well."""
        if not FAULTS:
            self.case.skipTest("COTERIE_FAULTS does not name the library of faults.cpp")
        step = max(1, self.calls / runs)
        return sorted({int(i * step) + 1 for i in range(runs)} & set(range(1, self.calls)) | {self.calls})

    def kill_at_calls(self, runs):
        """Killed in the middle of a call that changes a file."""
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            for call in self.calls_to_try(runs):
                result = self.run(folder, f"kill:{call}")
                self.case.assertEqual(result.code, -signal.SIGKILL, f"call {call}: {result.err}")
                self.check_unfinished(folder)
                self.finish(folder)

    def fail_at_calls(self, kind, exit_code, message, runs):
        """From (or at) that call on the disk fails: one clear line, the right exit code, and nothing lost."""
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            for call in self.calls_to_try(runs):
                result = self.run(folder, f"{kind}:{call}")
                if result.code != 0:  # a call whose failure does no harm, or that needs no room
                    self.case.assertEqual(result.code, exit_code, f"call {call}: {result.err}")
                    self.case.assertRegex(result.err, r"(?m)\Acoterie: [^\n]+" + message + r"[^\n]*\n\Z")
                    kept = any(name.endswith(".partial") for name in contents(folder))
                    self.case.assertEqual("the same command goes on" in result.err, kept, f"call {call}: {result.err}")
                self.check_unfinished(folder)
                self.finish(folder)


class Stops:
    """What every such command has to stand, for a support.Case that says which (`command`) and how to draw moments (`seed`).
    Slow: many runs."""

    @classmethod
    def setUpClass(cls):
        cls.work = Work(cls("test_50_random_kills"), cls.command)

    def test_50_random_kills(self):
        self.work.kill_at_random(50, self.seed)

    def test_kills_in_the_middle_of_a_call(self):
        self.work.kill_at_calls(20)

    def test_a_full_disk(self):
        self.work.fail_at_calls("enospc", 5, "No space left on device", 20)

    def test_a_failing_disk(self):
        self.work.fail_at_calls("eio", 1, "Input/output error", 20)
