"""Help, usage errors, suggestions, environment, exit codes, pipes: what holds for every command."""
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import support
from support import ENDLESS, PROGRAM, TINY, environment, run

COMMANDS = ["run", "chat", "inspect", "verify", "eval", "convert", "quantize", "calibrate", "bench", "bench kernels",
            "bench encoders", "synth", "doctor", "version", "dump logits", "dump routes", "dump tokens", "dump text",
            "dump prompt", "dump tensor"]


class Help(support.Case):
    def test_every_command_has_help_with_examples_first(self):
        for command in COMMANDS:
            result = self.ok(*command.split(), "--help")
            lines = result.out.splitlines()
            self.assertTrue(lines[0].startswith(f"coterie {command}: "), lines[0])
            self.assertEqual(lines[2], "Examples:", command)
            self.assertIn(f"coterie {command}", lines[3])
            self.assertIn(f"Usage: coterie {command}", result.out)
            self.assertEqual(result.err, "")

    def test_the_list_names_every_command_and_no_other(self):
        listed = [line[10:25].strip() for line in self.ok("--help").out.splitlines() if line.startswith("  coterie ")]
        self.assertEqual(sorted(listed), sorted(COMMANDS))
        self.assertEqual(self.ok("help", "run").out, self.ok("run", "--help").out)
        self.assertIn("coterie dump tensor", self.ok("dump", "--help").out)

    def test_models_take_the_global_options(self):
        for command in ["run", "chat", "eval", "dump logits", "dump routes"]:
            text = self.ok(*command.split(), "--help").out
            for option in ["--threads", "--chunk", "--ctx", "--kv"]:
                self.assertIn(option, text, command)

    def test_version(self):
        self.assertRegex(self.ok("version").out, r"\Acoterie \d+\.\d+\.\d+ ")
        self.assertEqual(self.ok("--version").out, self.ok("version").out)
        self.assertEqual(self.ok("version", "--json").json()["name"], "coterie")


class UsageErrors(support.Case):
    def test_nothing_asked(self):
        self.assertEqual(run().code, 2)

    def test_a_misspelt_command_gets_the_nearest(self):
        self.assertIn("did you mean inspect?", self.usage_error("inspct"))
        self.assertIn("did you mean tokens?", self.usage_error("dump", "tokns"))
        self.assertNotIn("did you mean", self.usage_error("xylophone"))
        self.usage_error("dump")

    def test_a_misspelt_option_gets_the_nearest(self):
        self.assertIn("did you mean --tensors?", self.usage_error("inspect", "--tesnors", "x"))
        self.assertIn("did you mean --temp?", self.usage_error("run", "--tmep", "0", "x"))
        self.assertNotIn("did you mean", self.usage_error("run", "--xylophone", "x"))

    def test_arguments_missing_or_left_over(self):
        self.assertIn("PATH is missing", self.usage_error("inspect"))
        self.assertIn("'b'", self.usage_error("inspect", "a", "b"))
        self.assertIn("--out", self.usage_error("dump", "tensor", "a", "b"))
        self.usage_error("eval", TINY)
        self.usage_error("eval", TINY, "--text", "a", "--problems", "b")
        self.usage_error("dump", "prompt", TINY)

    def test_values_out_of_range_name_the_option(self):
        for args in [("--temp", "hot"), ("--temp", "-1"), ("--top-p", "1.5"), ("--seed", "-1"), ("--seed", "1.5"),
                     ("--threads", "x"), ("--kv", "F64"), ("--ctx", "99999999999"), ("--chunk", "0"),
                     ("--logit-bias", "5"), ("--stop", ""), ("-n", "1e99")]:
            message = self.usage_error("run", TINY, "hi", *args)
            self.assertIn(args[0] if args[0] != "-n" else "--max-tokens", message)
        self.assertIn("--threads: its value is missing", self.usage_error("run", TINY, "hi", "--threads"))

    def test_an_empty_prompt_is_no_prompt_unless_it_is_raw(self):
        for args in [("",), (" \n",), ("-",), ()]:
            self.assertIn("prompt is empty", self.usage_error("run", TINY, *args))
        self.ok("run", TINY, "--raw", " ", "-n", "1")

    def test_options_may_stand_anywhere_and_take_an_equals_sign(self):
        self.assertEqual(self.ok("version", "--json").out, self.ok("--json", "version").out)
        a = self.ok("--threads", "1", "--temp=0", "run", TINY, "-n3", "hi")
        b = self.ok("run", "--max-tokens=3", TINY, "--temp", "0", "hi", "--threads=2")
        self.assertEqual(a.out, b.out)

    def test_a_prompt_may_begin_with_a_dash_after_two_dashes(self):
        self.ok("run", "-n", "1", "--", TINY, "-5 + 3?")


class Environment(support.Case):
    def test_every_option_comes_from_the_environment_too(self):
        self.assertEqual(self.ok("version", env={"COTERIE_JSON": "1"}).json()["name"], "coterie")
        from_env = self.ok("run", TINY, "hi", env={"COTERIE_MAX_TOKENS": "4", "COTERIE_SEED": "9"})
        self.assertEqual(from_env.out, self.ok("run", TINY, "hi", "-n", "4", "--seed", "9").out)

    def test_the_command_line_wins(self):
        given = self.ok("run", TINY, "hi", "--seed", "9", "-n", "4", env={"COTERIE_SEED": "1"})
        self.assertEqual(given.out, self.ok("run", TINY, "hi", "--seed", "9", "-n", "4").out)

    def test_a_bad_value_names_the_variable(self):
        self.assertIn("COTERIE_TEMP", self.usage_error("run", TINY, "hi", env={"COTERIE_TEMP": "hot"}))
        self.assertIn("COTERIE_JSON", self.usage_error("version", env={"COTERIE_JSON": "perhaps"}))

    def test_an_empty_variable_counts_as_not_set(self):
        empty = {"COTERIE_" + name: "" for name in ["TEMP", "KV", "SYSTEM", "FILE", "STOP", "LOGIT_BIAS", "RAW", "ISA"]}
        self.assertEqual(self.ok("run", TINY, "hi", "-n", "4", env=empty).out, self.ok("run", TINY, "hi", "-n", "4").out)

    def test_instruction_sets_are_forceable_and_checked(self):
        for command in ["version", "doctor"]:
            self.assertIn("COTERIE_ISA", self.usage_error(command, env={"COTERIE_ISA": "m68k"}))
        found = self.ok("doctor", "--json").json()["instruction_sets"]
        self.assertEqual(sum(k["chosen"] for k in found), 1)
        outputs = set()
        for k in found:
            if k["runs_here"]:
                outputs.add(self.ok("run", TINY, "hi", "-n", "8", env={"COTERIE_ISA": k["name"]}).out)
            else:
                self.usage_error("version", env={"COTERIE_ISA": k["name"]})
        self.assertEqual(len(outputs), 1, "every instruction set gives the same text")


class Doctor(support.Case):
    def test_it_says_what_the_machine_has(self):
        d = self.ok("doctor", "--json").json()
        self.assertGreaterEqual(d["physical_cores"], 1)
        self.assertGreaterEqual(d["logical_cpus"], d["physical_cores"])
        self.assertGreater(d["memory"], d["memory_available"])
        self.assertEqual(d["read_bandwidth"][-1]["threads"], d["logical_cpus"])
        self.assertIn("kernels", self.ok("doctor").out)


class Ends(support.Case):
    def test_a_full_disk_is_exit_code_5(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "version"], stdout=full, stderr=subprocess.PIPE, env=environment())
        self.assertEqual(done.returncode, 5)
        self.assertIn(b"No space left", done.stderr)

    def test_a_file_that_may_not_grow_is_an_error_and_no_signal(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "x.npy")
            limited = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
            self.fails(1, "dump", "tensor", TINY, "output.weight", "--out", out, limits=limited)
            self.assertEqual(os.listdir(folder), [])

    def test_a_closed_pipe_ends_quietly(self):
        child = subprocess.Popen([PROGRAM, "run", TINY, "hi", *ENDLESS],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment())
        child.stdout.read(10)
        child.stdout.close()
        self.assertEqual(child.stderr.read(), b"")
        child.stderr.close()
        self.assertEqual(child.wait(20), 141)

    def interrupt(self, *args):
        child = subprocess.Popen([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL, env=environment())
        child.stdout.read(20)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
        return child.returncode, err.decode()

    def test_ctrl_c_stops_a_run_with_130_and_its_figures(self):
        code, err = self.interrupt("run", TINY, "hi", *ENDLESS)
        self.assertEqual(code, 130)
        self.assertRegex(err, r"\Aprompt \d+ tokens")

    def test_ctrl_c_leaves_no_half_of_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            ids, out = os.path.join(folder, "ids.json"), os.path.join(folder, "x.npy")
            pathlib.Path(ids).write_text(json.dumps([5] * 20000))
            child = subprocess.Popen([PROGRAM, "dump", "logits", TINY, "--ids", ids, "--out", out, "--chunk", "16"],
                                     stderr=subprocess.PIPE, env=environment())
            while not os.path.exists(out + ".partial"):
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            self.assertIn(b"interrupted", child.communicate(timeout=30)[1])
            self.assertEqual((child.returncode, os.listdir(folder)), (130, ["ids.json"]))

    def test_ctrl_c_while_waiting_for_input_is_130(self):
        child = subprocess.Popen([PROGRAM, "dump", "tokens", TINY], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=environment())
        support.wait_until_handled(child, signal.SIGINT)
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(20), 130)
        child.stdin.close()
        child.stdout.close()

    def test_too_little_memory_is_exit_code_4(self):
        self.fails(4, "run", TINY, "hi", "--ctx", "1000000000")

    def test_too_little_address_space_for_a_file_is_exit_code_4(self):
        limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 38, 1 << 38))
        if run("version", limits=limited).code != 0:
            self.skipTest("the address sanitizer takes more than that for itself")
        with tempfile.TemporaryDirectory() as folder:
            path = shutil.copy(TINY, folder)
            os.truncate(path, 1 << 40)
            self.assertIn("address space", self.fails(4, "inspect", path, limits=limited))

    def test_a_full_context_is_said(self):
        self.assertIn("--ctx", self.ok("run", TINY, "hi", "--ctx", "16", *ENDLESS[:-2]).err)

    def test_no_colour_in_a_pipe(self):
        result = self.ok("run", TINY, "hi", "-n", "5")
        self.assertNotIn("\x1b", result.out + result.err)
        self.assertTrue(result.out.startswith("<think>\n"))

    def test_without_a_model_the_shipped_one_is_named(self):
        message = self.usage_error("run", "hi", env={"COTERIE_DEMO": ""}) if not SHIPPED else ""
        self.assertTrue(SHIPPED or "coterie-demo.gguf" in message)
        self.assertEqual(self.ok("run", "hi", "-n", "2", "--json", env={"COTERIE_DEMO": TINY}).json()["model"], TINY)
        self.fails(3, "run", "hi", env={"COTERIE_DEMO": "/nonexistent.gguf"})


SHIPPED = (pathlib.Path(PROGRAM).parent / "../models/demo/coterie-demo.gguf").exists()

if __name__ == "__main__":
    support.main()
