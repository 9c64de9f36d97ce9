"""coterie bench and bench kernels, as a user runs them."""
import json
import os
import pathlib
import tempfile

import support
from support import golden


class Bench(support.Case):
    SMALL = ["--depth", "0,50", "--prompt", "16", "--steps", "2", "--repetitions", "1", "--batch", "1,2"]

    def test_json_names_machine_and_command_and_every_test(self):
        report = self.ok("bench", *self.SMALL, "--json").json()
        self.assertEqual([(t["test"], t["depth"], t["tokens"]) for t in report["tests"]],
                         [("prompt", 0, 16), ("decode", 0, 1), ("decode", 0, 2), ("prompt", 50, 16), ("decode", 50, 1)])
        self.assertIn("bench --depth 0,50", report["command"])
        self.assertTrue(report["cpu"] and report["program"].startswith("coterie "))
        self.assertGreater(report["int8_ops_per_s"], 0)
        self.assertTrue(all(t["tokens_per_s"] > 0 for t in report["tests"]))

    def test_limits_are_measured_around_every_test_and_a_neighbour_is_kept_busy(self):
        report = self.ok("bench", "--depth", "0", "--prompt", "16", "--steps", "2", "--repetitions", "2", "--batch", "1",
                         "--busy", "1", "--json").json()
        self.assertEqual([t["test"] for t in report["tests"]], ["prompt", "decode", "busy"])
        self.assertTrue(all(len(t["limits"]) == 2 and min(t["limits"]) >= 0 for t in report["tests"]))
        self.assertGreater(report["tests"][2]["keeps"], 0)
        self.assertNotIn("keeps", report["tests"][1])
        self.assertGreater(report["clock_hz"], 2e8)

    def test_files_are_written(self):
        with tempfile.TemporaryDirectory() as folder:
            csv, svg = pathlib.Path(folder, "a.csv"), pathlib.Path(folder, "a.svg")
            out = self.ok("bench", *self.SMALL, "--csv", str(csv), "--svg", str(svg)).out
            self.assertIn("share of limit", out)
            self.assertEqual(len(csv.read_text().splitlines()), 6)
            self.assertTrue(svg.read_text().startswith("<svg"))

    def test_a_shape_is_made_and_removed(self):
        before = set(os.listdir(tempfile.gettempdir()))
        report = self.ok("bench", "--shape", golden("models/v3-yarn/config.json"), "--type", "Q8_0", *self.SMALL, "--json").json()
        self.assertEqual(len(report["tests"]), 5)
        left = {name for name in set(os.listdir(tempfile.gettempdir())) - before if name.startswith("coterie-bench")}
        self.assertEqual(left, set())
        self.assertFalse([name for name in os.listdir("/dev/shm") if name.startswith("coterie-bench")] if os.path.isdir("/dev/shm") else [])

    def test_other_programs_take_turns(self):
        one = json.dumps([{"n_prompt": 16, "n_gen": 0, "avg_ts": 4.0}, {"n_prompt": 0, "n_gen": 16, "avg_ts": 2.0},
                          {"n_prompt": 0, "n_gen": 16, "n_depth": 50, "avg_ts": 8.0}, {"n_prompt": 512, "n_gen": 0, "avg_ts": 1.0}])
        two = json.dumps([{"n_prompt": 50, "n_gen": 16, "test": "tg16@pp50", "avg_ts": 5.0}])
        tests = ["bench", "--depth", "0,50", "--prompt", "8,16", "--steps", "2", "--repetitions", "2", "--batch", "1",
                 "--vs", f"echo noise; echo '{one}'", "--vs", f"echo '{two}'"]
        report = self.ok(*tests, "--json").json()
        found = {(t["test"], t["depth"], t["tokens"]): [(r["rival"], r["tokens_per_s"]) for r in t.get("rivals", [])]
                 for t in report["tests"]}
        self.assertEqual(found, {("prompt", 0, 8): [], ("prompt", 0, 16): [(0, 4.0)], ("decode", 0, 1): [(0, 2.0)],
                                 ("prompt", 50, 8): [], ("prompt", 50, 16): [], ("decode", 50, 1): [(0, 8.0), (1, 5.0)]})
        self.assertEqual(len(report["rivals"]), 2)
        self.assertRegex(self.ok(*tests).out, r"decode +0 +1 .*\[1\] 2\.00, [\d.]+\n")

    def test_mistakes_end_in_one_line(self):
        self.fails(1, "bench", *self.SMALL, "--vs", "echo nothing")
        self.fails(1, "bench", *self.SMALL, "--vs", "exit 3")
        self.fails(2, "bench", "--depth", "4x")
        self.fails(2, "bench", "--depth", "-1")
        self.fails(2, "bench", "--batch", "0")
        self.fails(2, "bench", "--shape", "no-such")
        self.fails(2, "bench", "model.gguf", "--shape", "deepseek-r1")
        self.fails(2, "bench", "--prompt", "0", "--steps", "0")
        self.fails(2, "bench", "kernels", "--format", "Q9_Z")
        self.fails(2, "bench", "kernels", "--isa", "mmx")

    def test_kernels(self):
        found = self.ok("bench", "kernels", "--format", "Q8_0", "--isa", "generic", "--json", timeout=120).json()
        self.assertEqual({(r["row"], r["tokens"], r["from"]) for r in found},
                         {(n, t, "cache") for n in (2048, 7168) for t in (1, 8, 64)} | {(n, 1, "memory") for n in (2048, 7168)})


if __name__ == "__main__":
    support.main()
