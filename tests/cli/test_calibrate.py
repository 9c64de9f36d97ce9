"""coterie calibrate: what it prints, what it refuses, and that an interrupted run goes on to the same bytes."""
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import support
from support import TINY


class Calibrate(support.Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.text = self.folder / "text.txt"
        self.text.write_text("".join(f"The price of {i} coats rises by {i * 7 % 30} %. " for i in range(120)))
        self.out = self.folder / "x.gguf"

    def calibrate(self, *args, **kwargs):
        return self.ok("calibrate", TINY, self.text, "-o", self.out, "--window", 64, *args, **kwargs)

    def test_result(self):
        found = self.calibrate("--chunks", 3, "--json").json()
        self.assertEqual((found["windows"], found["tokens"], found["resumed_at"]), (3, 192, 0))
        self.assertEqual(found["unseen"], [])
        self.assertEqual([layer["stack"] for layer in found["layers"]],
                         [f"blk.{i}.ffn_gate_exps.weight" for i in (1, 2, 3)])
        for layer in found["layers"]:
            self.assertLessEqual(layer["min"], layer["median"])
            self.assertGreater(layer["max"], 0)
        printed = self.calibrate("--chunks", 3).out
        self.assertIn("192 tokens in 3 windows", printed)
        self.assertIn("blk.3.ffn_gate_exps.weight", printed)
        keys = self.ok("inspect", self.out).out
        self.assertIn('"imatrix"', keys)
        self.assertIn("imatrix.chunk_size", keys)

    def test_the_whole_text_is_read(self):
        n = len(self.ok("dump", "tokens", TINY, stdin=json.dumps([self.text.read_text()])).json()[0])
        found = self.calibrate("--json").json()
        self.assertEqual(found["tokens"], n)  # this vocabulary puts no BOS in front

    def test_ctrl_c_and_the_same_command_again(self):
        self.calibrate("--min-tokens", 40)
        whole = self.out.read_bytes()
        self.out.unlink()
        command = [support.PROGRAM, "calibrate", TINY, self.text, "-o", self.out, "--window", "64", "--min-tokens", "40",
                   "--save-every", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=support.environment()) as process:
            state = pathlib.Path(f"{self.out}.state")
            deadline = time.monotonic() + 30
            while not state.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            process.send_signal(signal.SIGINT)
            message = process.stderr.read().decode()
        if process.returncode == 0:
            return  # it was faster than the signal
        self.assertEqual(process.returncode, 130)
        self.assertRegex(message, r"\Acoterie: interrupted after \d+ of \d+ windows; the same command continues there\n")
        self.assertFalse(self.out.exists())
        self.usage_error("calibrate", TINY, self.text, "-o", self.out, "--window", 32)  # another window
        found = self.calibrate("--min-tokens", 40, "--json").json()
        self.assertGreater(found["resumed_at"], 0)
        self.assertEqual(self.out.read_bytes(), whole)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["text.txt", "x.gguf"])

    def test_50_random_kills(self):
        """kill -9 at random moments, each run going on from the last: the same bytes in the end, and nothing else left."""
        words = ["calibrate", TINY, self.text, "-o", self.out, "--window", "64", "--chunks", "6", "--min-tokens", "40",
                 "--save-every", "0"]
        start = time.monotonic()
        self.ok(*words)
        seconds, whole = time.monotonic() - start, self.out.read_bytes()
        self.out.unlink()
        moments, hits, went_on = random.Random(6), 0, 0
        while hits < 50:
            state = pathlib.Path(f"{self.out}.state").exists()
            process = subprocess.Popen([support.PROGRAM, *words], env=support.environment(), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            try:
                process.wait(timeout=moments.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
            if process.wait() == -signal.SIGKILL:
                hits += 1
                went_on += state
            else:
                self.assertEqual(process.returncode, 0)
            if self.out.exists():  # a finished name has the finished file
                self.assertEqual(self.out.read_bytes(), whole)
                self.out.unlink()
        self.ok(*words)
        self.assertEqual(self.out.read_bytes(), whole)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["text.txt", "x.gguf"])
        print(f"{hits} random kills, {went_on} of them in runs that went on from another", file=sys.stderr)

    def test_refusals(self):
        self.usage_error("calibrate", TINY, self.text)
        self.usage_error("calibrate", TINY, self.text, "-o", self.folder)
        self.usage_error("calibrate", TINY, self.text, "-o", self.out, "--window", 1)
        self.fails(1, "calibrate", TINY, self.folder / "none.txt", "-o", self.out)
        self.text.write_text("")
        self.fails(1, "calibrate", TINY, self.text, "-o", self.out)
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    support.main()
