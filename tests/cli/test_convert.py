"""coterie convert: the dry run, refusals, and work that is stopped and goes on."""
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time

import resume
import support
from support import golden, has_golden


def model():
    return golden("models/v3-fp8-mtp" if has_golden("models/v3-fp8-mtp") else "models/v3-yarn")


def command(out):
    return ["convert", model(), out, "--type", "Q8_0", "--split", "3M", "--sync-every", "100K", "--threads", "1"]


class DryRun(support.Case):
    def test_it_says_what_will_be_written_and_writes_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            out = folder + "/m.gguf"
            words = ["convert", model(), out, "--type", "Q6_K", "--split", "3M"]
            plan = self.ok(*words, "--dry-run", "--json").json()
            table = self.ok(*words, "--dry-run").out
            self.assertEqual(os.listdir(folder), [])
            self.ok(*words)
            written = sorted(os.path.join(folder, name) for name in os.listdir(folder))
            self.assertEqual(sorted(path for file in plan["files"] for path in file["paths"]), written)
            self.assertEqual(plan["bytes"], sum(map(os.path.getsize, written)))
            for file in plan["files"]:
                found = self.ok("inspect", file["paths"][0], "--tensors", "--json").json()["tensors"]
                self.assertEqual([[t["name"], t["format"], t["bytes"]] for t in found],
                                 [[t["name"], t["type"], t["bytes"]] for t in file["tensors"]])
                for t in found:
                    self.assertRegex(table, rf"(?m)^{t['name']} .* {t['format']} +{t['bytes']}$")

    def test_rows_that_do_not_fit_are_warned_of(self):
        with tempfile.TemporaryDirectory() as folder:
            result = self.ok("convert", golden("models/v3-yarn"), folder + "/m.gguf", "--type", "Q4_K", "--dry-run")
            self.assertRegex(result.err, r"(?m)^warning: \d+ tensors, as blk\S+: rows of \d+ are no whole Q4_K blocks")


class Budgets(support.Case):
    def on_a_terminal(self, size, code):
        with tempfile.TemporaryDirectory() as folder:
            screen, terminal = pty.openpty()
            process = subprocess.Popen([support.PROGRAM, "convert", golden("models/v3-yarn"), folder + "/m.gguf", "--fit", size],
                                       env=support.environment(), stdout=subprocess.DEVNULL, stderr=terminal)
            os.close(terminal)
            seen = b""
            try:
                while piece := os.read(screen, 65536):
                    seen += piece
            except OSError:  # the other end is closed
                pass
            os.close(screen)
            self.assertEqual(process.wait(), code, seen)
            return seen.decode()

    def test_a_terminal_sees_tensors_counted_while_types_are_measured(self):
        seen = self.on_a_terminal("0.9x", 0)
        self.assertRegex(seen, r"measuring types: \d+ of \d+ tensors")
        self.assertNotRegex(seen, r"measuring types: \d+ B")

    def test_nothing_is_measured_for_a_size_that_no_type_reaches(self):
        self.assertNotIn("measuring", self.on_a_terminal("0.01x", 2))

    def test_the_model_has_the_size_that_was_asked_for_and_the_choice_can_be_used_again(self):
        with tempfile.TemporaryDirectory() as folder:
            out, again, recipe = folder + "/m.gguf", folder + "/again.gguf", folder + "/recipe.txt"
            # Every type is tried on every tensor: under the sanitizers minutes, beside another test more of them.
            self.ok("convert", model(), out, "--fit", "2.2MB", "--explain", "--save-recipe", recipe, timeout=300)
            self.assertLessEqual(os.path.getsize(out), 2.2e6)
            self.assertGreater(os.path.getsize(out), 2.1e6)
            self.assertTrue(os.path.exists(out + ".svg"))
            self.assertIn("sound, a model", self.ok("verify", "--model", out).out)
            self.ok("convert", model(), again, "--recipe", recipe)
            with open(out, "rb") as one, open(again, "rb") as two:
                self.assertEqual(one.read(), two.read())
            self.assertIn("a checkpoint does not run",
                          self.usage_error("convert", model(), out, "--fit", "2MB", "--text", recipe))
            self.assertIn("expected at least", self.usage_error("convert", model(), out, "--fit", "90kB"))


class Refusals(support.Case):
    def test_wrong_options(self):
        with tempfile.TemporaryDirectory() as folder:
            out = folder + "/m.gguf"
            self.assertIn("expected one of", self.usage_error("convert", model(), out, "--type", "Q9_K"))
            self.assertIn("expected bytes", self.usage_error("convert", model(), out, "--split", "48X"))
            self.assertEqual(os.listdir(folder), [])


class Stopped(support.Case):
    def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as whole:
            out = folder + "/out.gguf"
            self.ok(*command(whole + "/out.gguf"))
            for delay in (0.02, 0.04, 0.06, 0.1, 0.2):
                process = subprocess.Popen([support.PROGRAM, *command(out)], env=support.environment(),
                                           stderr=subprocess.PIPE)
                support.wait_until_handled(process, signal.SIGINT)
                time.sleep(delay)
                process.send_signal(signal.SIGINT)
                err = process.communicate()[1].decode()
                if process.returncode == 0:
                    break
                self.assertEqual(process.returncode, 130, err)
                if os.path.exists(out + ".journal"):
                    self.assertIn("the same command goes on from there", err)
                else:
                    self.assertEqual(os.listdir(folder), [])
            self.ok(*command(out))
            self.assertEqual(resume.contents(folder), resume.contents(whole))

    def test_other_options_are_refused_until_it_begins_anew(self):
        if not resume.FAULTS:
            self.skipTest("no library of faults")
        with tempfile.TemporaryDirectory() as folder:
            work = resume.Work(self, command)
            work.run(folder, f"kill:{work.calls // 2}")
            other = [word if word != "Q8_0" else "BF16" for word in work.command(folder)]  # fits every row: no warning
            self.assertIn("begun with --type Q8_0, found BF16", self.usage_error(*other))
            self.ok(*other, "--restart")
            self.assertFalse(any(name.endswith((".partial", ".journal")) for name in os.listdir(folder)))


class Faults(resume.Stops, support.Case):
    command = staticmethod(command)
    seed = 4

    def test_a_disk_that_is_too_small(self):
        with tempfile.TemporaryDirectory() as folder:
            mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
            if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode != 0:
                print("no small disk here: mounting is not allowed", file=sys.stderr)
                return
            try:
                self.assertRegex(self.fails(5, *self.work.command(folder)), r"needs \d+ bytes on disk, \d+ are free")
                self.assertEqual(os.listdir(folder), [])
                subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)
                self.work.finish(folder)
            finally:
                subprocess.run(["umount", folder], check=True)


if __name__ == "__main__":
    support.main()
