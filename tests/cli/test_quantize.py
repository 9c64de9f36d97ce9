"""coterie quantize: files that other programs read, choices, refusals, and work that is stopped and goes on."""
import os
import pathlib
import struct
import sys
import tempfile

import resume
import support
from support import TINY, golden, golden_json, has_golden

try:
    import gguf
    import numpy
except ImportError:  # the decoders are compared with its values in any case: test_files.py
    gguf = None
    print("skipped: the Python packages gguf and numpy are not here, nothing is read by them", file=sys.stderr)


def tensors(path):
    return {t["name"]: t for t in support.run("inspect", path, "--tensors", "--json").json()["tensors"]}


def write_gguf(path, weights, name="x", shape=None):
    """A file of one F32 tensor and no key."""
    shape = shape or [len(weights)]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 0)
    head += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape))
    head += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", 0, 0)
    head += b"\0" * (-len(head) % 32)
    data = struct.pack(f"<{len(weights)}f", *weights)
    pathlib.Path(path).write_bytes(head + data + b"\0" * (-len(data) % 32))


class Output(support.Case):
    def test_it_is_a_sound_model(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "q.gguf")
            for kind in ["Q8_0", "Q4_K_M", "Q2_K"]:
                self.ok("quantize", TINY, out, "--type", kind)
                self.assertIn("sound, a model", self.ok("verify", "--model", out).out)
                self.ok("run", out, "Hello", "-n", "4", "--temp", "0")
            self.assertEqual(os.listdir(folder), ["q.gguf"])

    def test_every_type_is_read_alike_by_the_gguf_package(self):
        if gguf is None:
            return
        types = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ1_S",
                 "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4"]
        with tempfile.TemporaryDirectory() as folder:
            source, out, npy = (os.path.join(folder, name) for name in ["s.gguf", "q.gguf", "t.npy"])
            rows = numpy.random.default_rng(1).normal(size=(24, 512)).astype(numpy.float32)
            write_gguf(source, rows.ravel().tolist(), shape=[512, 24])
            for kind in types:
                if "cannot be written yet" in support.run("quantize", source, out, "--type", kind, "--pure").err:
                    print(f"skipped: {kind} has no encoder", file=sys.stderr)
                    continue
                tensor = gguf.GGUFReader(out).tensors[0]
                self.assertEqual(tensor.tensor_type.name, kind)
                theirs = gguf.dequantize(tensor.data, tensor.tensor_type).astype("<f4")
                self.ok("dump", "tensor", out, "x", "--out", npy)
                self.assertEqual(support.read_npy(npy)[1].tobytes(), theirs.tobytes(), kind)
                self.assertLess(numpy.square(theirs - rows).mean(), 0.6, kind)  # of a variance of 1


class Choices(support.Case):
    def test_the_file_of_the_prediction_layer_is_a_file_like_others(self):
        if not has_golden("models/v3-fp8-mtp"):
            return
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "q.gguf")
            self.ok("convert", golden("models/v3-fp8-mtp"), os.path.join(folder, "m.gguf"), "--type", "BF16")
            self.ok("quantize", os.path.join(folder, "m.mtp.gguf"), out, "--type", "Q4_K_M")
            found = {name: t["format"] for name, t in tensors(out).items()}
            self.assertEqual(found["blk.2.nextn.eh_proj.weight"], "Q4_K")
            self.assertEqual(found["blk.2.ffn_down_exps.weight"], "Q6_K")
            self.assertEqual(found["blk.2.nextn.enorm.weight"], "F32")
            self.assertEqual(found["blk.2.ffn_gate_inp.weight"], "F32")

    def test_the_dry_run_says_what_will_be_written(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "q.gguf")
            words = ["quantize", TINY, out, "--type", "Q4_K_M", "--split", "400K"]
            table = self.ok(*words, "--dry-run").out
            plan = self.ok(*words, "--dry-run", "--json").json()
            self.assertEqual(os.listdir(folder), [])
            self.ok(*words)
            written = sorted(os.path.join(folder, name) for name in os.listdir(folder))
            self.assertEqual(plan["paths"], written)
            self.assertGreater(len(written), 2)
            self.assertEqual(plan["bytes"], sum(map(os.path.getsize, written)))
            found = tensors(written[0])
            self.assertEqual({t["name"]: [t["type"], t["bytes"]] for t in plan["tensors"]},
                             {name: [t["format"], t["bytes"]] for name, t in found.items()})
            for name, t in found.items():
                self.assertRegex(table, rf"(?m)^{name} .* {t['format']} +{t['bytes']}$")
            self.assertIn(f"{len(found)} tensors, {plan['bytes']} bytes", table)

    def test_types_are_those_of_the_reference(self):
        if not has_golden("gguf/quantized-manifests"):
            return
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "q.gguf")
            for kind in ["Q4_K_M", "Q3_K_M", "Q2_K", "Q8_0"]:
                self.ok("quantize", TINY, out, "--type", kind)
                expected = golden_json(f"gguf/quantized-manifests/v3-yarn.{kind}.json")["tensors"]
                self.assertEqual({name: t["format"] for name, t in tensors(out).items()},
                                 {t["name"]: t["type"] for t in expected})

    def test_a_recipe_goes_first(self):
        with tempfile.TemporaryDirectory() as folder:
            out, recipe = os.path.join(folder, "q.gguf"), os.path.join(folder, "recipe.txt")
            pathlib.Path(recipe).write_text("# own\nblk.{0-1}.ffn_* = Q8_0\noutput.weight = Q5_1\n")
            self.ok("quantize", TINY, out, "--type", "Q4_0", "--recipe", recipe)
            found = {name: t["format"] for name, t in tensors(out).items()}
            self.assertEqual(found["output.weight"], "Q5_1")
            self.assertEqual(found["blk.1.ffn_up_exps.weight"], "Q8_0")
            self.assertEqual(found["blk.2.ffn_up_exps.weight"], "Q4_0")
            self.assertEqual(found["blk.1.ffn_gate_inp.weight"], "F32")
            self.ok("quantize", TINY, out, "--recipe", recipe)
            self.assertEqual(tensors(out)["blk.2.ffn_up_exps.weight"]["format"], "BF16")
            pathlib.Path(recipe).write_text("blk.0.* Q8_0\n")
            self.assertIn("recipe.txt: line 1: ", self.usage_error("quantize", TINY, out, "--recipe", recipe))

    def test_one_tensor_and_no_keys(self):
        with tempfile.TemporaryDirectory() as folder:
            source, out = os.path.join(folder, "x.gguf"), os.path.join(folder, "q.gguf")
            write_gguf(source, [i % 17 - 8 for i in range(1024)], shape=[256, 4])
            self.ok("quantize", source, out, "--type", "Q4_K", "--pure")
            self.assertEqual(tensors(out)["x"]["format"], "Q4_K")
            self.assertIn("architecture not given", self.ok("quantize", source, out, "--type", "Q4_K_M").err)
            self.assertEqual(tensors(out)["x"]["format"], "Q4_K")


class Budgets(support.Case):
    def test_the_file_has_the_size_that_was_asked_for(self):
        with tempfile.TemporaryDirectory() as folder:
            out, whole = os.path.join(folder, "q.gguf"), os.path.getsize(TINY)
            for arguments, budget in [(["--fit", "0.45x"], 0.45 * whole), (["--fit", f"{whole // 3}"], whole // 3),
                                      (["--fit", "1.7MB"], 1.7e6)]:
                self.ok("quantize", TINY, out, *arguments)
                size = os.path.getsize(out)
                self.assertLessEqual(size, budget)
                self.assertGreater(size, 0.98 * budget)
                self.assertIn("sound, a model", self.ok("verify", "--model", out).out)

    def test_it_loses_less_than_the_mix_of_that_size(self):
        sys.path.insert(0, str(support.SOURCE / "bench"))
        from quality import worked_problems
        with tempfile.TemporaryDirectory() as folder:
            original, mix, fit, text = (os.path.join(folder, name) for name in ["o.gguf", "m.gguf", "f.gguf", "t.txt"])
            pathlib.Path(text).write_text(worked_problems(5, 3000, True), encoding="utf-8")
            self.ok("convert", support.SOURCE / "models/demo/checkpoint", original, "--mtp", "none")
            self.ok("quantize", original, mix, "--type", "Q3_K_M")
            self.ok("quantize", original, fit, "--fit", str(os.path.getsize(mix)))
            self.assertLessEqual(os.path.getsize(fit), os.path.getsize(mix))
            loss = [self.ok("eval", path, "--special", "--text", text, "--reference", original, "--json").json()["kl_mean"]
                    for path in (mix, fit)]
            self.assertLess(loss[1], 0.75 * loss[0])

    def test_the_choice_can_be_saved_explained_and_used_again(self):
        with tempfile.TemporaryDirectory() as folder:
            out, again, recipe = (os.path.join(folder, name) for name in ["q.gguf", "r.gguf", "recipe.txt"])
            table = self.ok("quantize", TINY, out, "--fit", "0.4x", "--explain", "--save-recipe", recipe).out
            self.assertIn("blk.1.ffn_down_exps.weight", table)
            self.assertIn("predicted loss", table)
            picture = pathlib.Path(out + ".svg").read_text()
            self.assertIn(">ffn_down_exps<", picture)
            self.ok("quantize", TINY, again, "--recipe", recipe)
            self.assertEqual(pathlib.Path(out).read_bytes(), pathlib.Path(again).read_bytes())

    def test_effects_are_measured_with_a_text(self):
        with tempfile.TemporaryDirectory() as folder:
            out, text = os.path.join(folder, "q.gguf"), os.path.join(folder, "text.txt")
            pathlib.Path(text).write_text("The quick brown fox, and so on. " * 4)
            first = self.ok("quantize", TINY, out, "--fit", "0.4x", "--text", text, "--explain", "--threads", "1").out
            second = self.ok("quantize", TINY, out, "--fit", "0.4x", "--text", text, "--explain", "--threads", "3").out
            self.assertEqual(first, second)
            effects = os.path.join(folder, "effects.txt")
            self.ok("quantize", TINY, out, "--fit", "0.4x", "--text", text, "--effects", effects)
            measured = pathlib.Path(out).read_bytes()
            self.ok("quantize", TINY, out, "--fit", "0.4x", "--effects", effects)
            self.assertEqual(measured, pathlib.Path(out).read_bytes())

    def test_a_budget_that_cannot_be_kept_or_is_none(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "q.gguf")
            self.assertIn("expected at least", self.usage_error("quantize", TINY, out, "--fit", "100kB"))
            self.assertIn("expected a size like 192GB", self.usage_error("quantize", TINY, out, "--fit", "much"))
            self.assertIn("expected one of the two", self.usage_error("quantize", TINY, out, "--fit", "1MB", "--bits", "3"))
            self.assertIn("without --fit", self.usage_error("quantize", TINY, out, "--type", "Q8_0", "--explain"))
            self.assertIn("--fit chooses every type", self.usage_error("quantize", TINY, out, "--fit", "1MB", "--type", "Q8_0"))
            self.assertEqual(os.listdir(folder), [])


class Report(support.Case):
    def test_the_page_is_that_of_eval(self):
        with tempfile.TemporaryDirectory() as folder:
            out, text, page, again, problems = (os.path.join(folder, n) for n in ("q.gguf", "t.txt", "a.md", "b.md", "p.jsonl"))
            pathlib.Path(text).write_text("Once upon a time there was a small model. " * 4)
            pathlib.Path(problems).write_text('{"id": 1, "family": "a", "language": "en", "prompt": "Hi", "answer": "7"}')
            ask = ["quantize", TINY, out, "--type", "Q4_0", "--split", "600K", "--report", page]
            printed = self.ok(*ask, "--report-text", text, "--report-problems", problems).out
            self.assertEqual(printed, pathlib.Path(page).read_text())
            part = sorted(pathlib.Path(folder).glob("q-*.gguf"))[0]
            self.ok("eval", part, "--reference", TINY, "--special", "--text", text, "--problems", problems, "--report", again)
            self.assertEqual(printed, pathlib.Path(again).read_text())
            found = support.json.loads(pathlib.Path(folder, "a.json").read_text())
            self.assertGreater(found["text"]["kl_mean"], 0)
            self.assertGreaterEqual(found["text"]["kl_max"], found["text"]["kl_p99"])
            self.assertEqual(found["problems"]["model"]["problems"], 1)
            for word in ("size", "bits per weight", "perplexity", "exact match", "KL divergence, 99th", "same best token"):
                self.assertIn(f"| {word}", printed)

    def test_what_would_fail_at_the_end_is_refused_at_the_beginning(self):
        with tempfile.TemporaryDirectory() as folder:
            out, source, text = (os.path.join(folder, n) for n in ("q.gguf", "x.gguf", "t.txt"))
            pathlib.Path(text).write_text("Once upon a time")
            write_gguf(source, [i % 17 - 8 for i in range(1024)], shape=[256, 4])
            ask, report = ["quantize", TINY, out, "--type", "Q4_0"], ["--report", folder + "/a.md", "--report-text", text]
            self.assertIn("expected both", self.usage_error(*ask, "--report", "a.md"))
            self.assertIn("expected both", self.usage_error(*ask, "--report-problems", text, "--report-text", text))
            self.assertIn("--dry-run", self.usage_error(*ask, *report, "--dry-run"))
            self.assertIn("Markdown", self.usage_error(*ask, "--report", "a.json", "--report-text", text))
            self.fails(1, *ask, *report, "--report-problems", text)
            self.fails(1, *ask, *report[:-1], folder + "/none.txt")
            self.fails(3, "quantize", source, out, "--type", "Q4_0", *report)
            self.assertEqual(sorted(os.listdir(folder)), ["t.txt", "x.gguf"])


class Refusals(support.Case):
    def test_wrong_options(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "q.gguf")
            self.assertIn("--type TYPE, --recipe FILE or --fit SIZE is missing", self.usage_error("quantize", TINY, out))
            self.assertIn("expected one of", self.usage_error("quantize", TINY, out, "--type", "Q9_K"))
            self.assertIn("is the input", self.usage_error("quantize", TINY, TINY, "--type", "Q8_0"))
            self.fails(3, "quantize", "/nonexistent.gguf", out, "--type", "Q8_0")
            self.fails(3, "quantize", TINY, out, "--type", "Q8_0", "--imatrix", TINY)
            self.assertEqual(os.listdir(folder), [])

    def test_quantising_twice(self):
        with tempfile.TemporaryDirectory() as folder:
            once, twice = os.path.join(folder, "a.gguf"), os.path.join(folder, "b.gguf")
            self.ok("quantize", TINY, once, "--type", "Q8_0")
            self.assertIn("is Q8_0 already", self.usage_error("quantize", once, twice, "--type", "Q4_0"))
            self.ok("quantize", once, twice, "--type", "Q4_0", "--allow-requantize")

    def test_malformed_files(self):
        """Every case of the set ends in an error of one line, or in a file."""
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "q.gguf")
            for case in golden_json("malformed/cases.json"):
                path = golden("malformed/" + case["file"])
                if os.path.isdir(path) or not path.endswith(".gguf"):
                    continue
                with self.subTest(case["file"], why=case["why"]):
                    result = support.run("quantize", path, out, "--type", "Q8_0", "--threads", "1")
                    self.assertIn(result.code, (0, 2, 3), result.err)
                    if case["level"] == "container" and case["expect"] == "reject":
                        self.assertEqual(result.code, 3, result.err)
                    if result.code:
                        self.assertRegex(result.err, r"coterie: [^\n]+\n\Z")
                        self.assertFalse(os.path.exists(out))
                    elif case["expect"] != "either":
                        self.ok("verify", out)
                    pathlib.Path(out).unlink(missing_ok=True)


def command(out):
    return ["quantize", TINY, out, "--type", "Q8_0", "--split", "600K", "--sync-every", "50K", "--threads", "1"]


class Faults(resume.Stops, support.Case):
    command = staticmethod(command)
    seed = 5


if __name__ == "__main__":
    support.main()
