"""What runs a model: dump logits, dump routes, run, eval, on the tiny golden models."""
import json
import math
import os
import pathlib
import tempfile

import support
from support import ENDLESS, TINY, golden, golden_json


class Logits(support.Case):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def logits(self, model, ids, *args, **kwargs):
        ids_file, out = self.path("ids.json"), self.path("out.npy")
        pathlib.Path(ids_file).write_text(json.dumps(ids))
        self.ok("dump", "logits", model, "--ids", ids_file, "--out", out, *args, **kwargs)
        return support.read_npy(out)

    def test_the_reference_s_logits(self):
        for name in ["v3-yarn", "r1-distill-llama"]:
            ids = golden_json(f"outputs/{name}.json")["prompts"]["p33"]
            shape, truth = support.Safetensors(golden(f"outputs/{name}.safetensors")).get("p33.logits")
            found_shape, found = self.logits(golden(f"gguf/{name}.gguf"), ids)
            self.assertEqual(found_shape, shape)
            self.assertLess(support.largest_difference(found, truth), 5e-4, name)
            ids[5] = (ids[5] + 1) % 900  # the tolerance notices one wrong token
            self.assertGreater(support.largest_difference(self.logits(golden(f"gguf/{name}.gguf"), ids)[1], truth), 5e-4)

    def test_the_same_bits_for_any_threads_chunk_and_instruction_set(self):
        ids = golden_json("outputs/v3-yarn.json")["prompts"]["p33"]
        for role in ["prompt", "decode"]:
            first = self.logits(TINY, ids, "--role", role, "--threads", "1")[1].tobytes()
            for args in [("--threads", "3"), ("--chunk", "1"), ("--chunk", "7"), ("--ctx", "600")]:
                self.assertEqual(self.logits(TINY, ids, "--role", role, *args)[1].tobytes(), first, (role, args))
            other = self.logits(TINY, ids, "--role", role, env={"COTERIE_ISA": "generic"})[1].tobytes()
            self.assertEqual(other, first, role)
        self.assertNotEqual(self.logits(TINY, ids, "--kv", "F16")[1].tobytes(), first)

    def test_fast_is_near_the_usual_logits_and_must_be_asked_for(self):
        ids = golden_json("outputs/r1-distill-llama.json")["prompts"]["p33"]
        model = golden("gguf/r1-distill-llama.gguf")
        usual = self.logits(model, ids)[1]
        fast = self.logits(model, ids, "--fast")[1]
        self.assertEqual(self.logits(model, ids, env={"COTERIE_FAST": "1"})[1], fast)
        if not self.ok("doctor", "--json").json()["fast"].startswith("oneDNN"):
            self.assertEqual(fast, usual)
            said = self.ok("dump", "routes", TINY, "--ids", "-", "--fast", stdin="[1, 2]").err
            self.assertIn("warning: --fast: this build has no oneDNN", said)
            return
        self.assertNotEqual(fast, usual)
        self.assertLess(support.largest_difference(fast, usual), 0.3)
        ids[5] = (ids[5] + 1) % 900  # the tolerance notices one wrong token
        self.assertGreater(support.largest_difference(self.logits(model, ids, "--fast")[1], usual), 0.3)

    def test_experts_in_rank_order(self):
        golden_ids = golden_json("outputs/v3-yarn.json")["prompts"]["p33"]
        truth = support.Safetensors(golden("outputs/v3-yarn.safetensors"))
        layers = self.ok("dump", "routes", TINY, "--ids", "-", stdin=json.dumps(golden_ids)).json()["layers"]
        self.assertEqual([layer["layer"] for layer in layers], [1, 2, 3])
        for layer in layers:
            key = f"p33.router.{layer['layer']}."
            (n, k), ids = truth.get(key + "ids")
            weights, margin = truth.get(key + "weights")[1], truth.get(key + "margin")[1]
            self.assertEqual((len(layer["ids"]), len(layer["ids"][0])), (n, k))
            for t in range(n):
                if margin[t] < 1e-4:
                    continue
                pairs = sorted(zip(layer["ids"][t], layer["weights"][t]))
                self.assertEqual([p[0] for p in pairs], list(ids[t * k:(t + 1) * k]))
                expected = weights[t * k:(t + 1) * k]
                self.assertLess(max(abs(p[1] - w) for p, w in zip(pairs, expected)), 1e-4)
        chunked = self.ok("dump", "routes", TINY, "--ids", "-", "--chunk", "5", stdin=json.dumps(golden_ids)).json()
        self.assertEqual(chunked["layers"], layers)

    def test_bad_ids(self):
        for stdin in ["[]", "[1, 4096]", '["a"]', "7"]:
            self.usage_error("dump", "routes", TINY, "--ids", "-", stdin=stdin)
        self.usage_error("dump", "routes", TINY, "--ids", "-", stdin="[1, ")
        self.fails(1, "dump", "routes", TINY, "--ids", "/nonexistent.json")

    def test_input_that_is_no_model_never_counts_as_a_bad_model_file(self):
        with tempfile.NamedTemporaryFile("w") as file:
            self.fails(1, "eval", TINY, "--text", file.name)  # nothing to predict
            for line in ['{"id": 1', '{"id": 1, "family": "f", "language": ["en"], "prompt": "p", "answer": "a"}']:
                file.seek(0)
                file.truncate()
                file.write(line + "\n")
                file.flush()
                self.fails(1, "eval", TINY, "--problems", file.name)
        self.usage_error("run", TINY, "Hello", "--logit-bias", "99999=1")


class Run(support.Case):
    LINE = (r"\Aprompt \d+ tokens, [\d.]+ tok/s; reply \d+ tokens, [\d.]+ tok/s, [\d.]+ GB/s"
            r"( = [\d.]+ % of [\d.]+ GB/s)?; logits [0-9a-f]{16}\n\Z")

    def test_reply_on_stdout_figures_on_stderr(self):
        result = self.ok("run", TINY, "Hello", "-n", "8")
        self.assertRegex(result.err, self.LINE)
        self.assertTrue(result.out.startswith("<think>\n"))

    def test_prompt_from_file_and_stdin(self):
        said = self.ok("run", TINY, "Hello\nyou", "-n", "8").out
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("Hello\nyou\n")
            file.flush()
            self.assertEqual(self.ok("run", TINY, "-f", file.name, "-n", "8").out, said)
            self.usage_error("run", TINY, "Hello", "-f", file.name)
        self.assertEqual(self.ok("run", TINY, "-n", "8", stdin="Hello\nyou\n").out, said)
        self.assertEqual(self.ok("run", TINY, "-", "-n", "8", stdin="Hello\nyou\n").out, said)
        self.fails(1, "run", TINY, "-f", "/nonexistent.txt")

    def test_same_seed_same_bytes(self):
        replies = [self.ok("run", TINY, "Hello", "-n", "12", "--seed", seed, "--json", "--threads", threads).json()
                   for seed, threads in [("3", "1"), ("3", "2"), ("4", "1")]]
        self.assertEqual(replies[0]["reasoning"], replies[1]["reasoning"])
        self.assertEqual(replies[0]["logits_hash"], replies[1]["logits_hash"])
        self.assertNotEqual(replies[0]["reasoning"], replies[2]["reasoning"])

    def test_raw_gives_the_model_the_text_alone(self):
        ids = golden_json("outputs/v3-yarn.json")["prompts"]["t0"]
        text, = self.ok("dump", "text", TINY, stdin=json.dumps([ids])).json()
        reply = self.ok("run", TINY, "--raw", "--temp", "0", "-n", "8", "--json", "-f", "-", stdin=text).json()
        self.assertEqual(reply["prompt_tokens"], len(ids))
        self.assertEqual(reply["reasoning"], "")

    def test_stop_think_and_bias(self):
        whole = self.ok("run", TINY, "Hello", "--temp", "0", "-n", "20", "--think", "off", "--json").json()
        self.assertEqual(whole["reasoning"], "")
        stop = whole["answer"][5:7]
        cut = self.ok("run", TINY, "Hello", "--temp", "0", "-n", "20", "--think", "off", "--stop", stop, "--json").json()
        self.assertEqual((cut["finish"], cut["answer"]), ("stop", whole["answer"][:whole["answer"].index(stop)]))
        forced = self.ok("run", TINY, "Hello", "--logit-bias", "1=1000", "--json").json()
        self.assertEqual((forced["finish"], forced["tokens"]), ("end", 0))
        self.assertEqual(whole["finish"], "length")

    def test_a_prompt_that_does_not_fit(self):
        self.assertIn("--ctx", self.usage_error("run", TINY, "one two three four five", "--ctx", "5"))
        self.assertEqual(self.ok("run", TINY, "Hi", *ENDLESS, "--ctx", "12", "--json").json()["finish"], "context")

    def test_bad_models(self):
        self.fails(3, "run", "/nonexistent.gguf", "Hi")
        self.fails(3, "run", golden("malformed/gguf/alignment-3.gguf"), "Hi")
        self.fails(3, "run", golden("gguf/v3-yarn.manifest.json"), "Hi")

    def test_a_file_cut_short_during_the_run_is_an_error_not_a_signal(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "cut.gguf")
            pathlib.Path(copy).write_bytes(pathlib.Path(TINY).read_bytes())
            child = support.subprocess.Popen([support.PROGRAM, "run", copy, *ENDLESS, "Hi"],
                                             stdout=support.subprocess.PIPE, stderr=support.subprocess.PIPE,
                                             stdin=support.subprocess.DEVNULL, env=support.environment())
            child.stdout.read(30)
            os.truncate(copy, 4096)
            _, err = child.communicate(timeout=30)
            self.assertEqual(child.returncode, 3, err)
            self.assertIn(b"cut.gguf", err)


class Eval(support.Case):
    def test_a_model_is_at_distance_zero_from_itself_and_not_from_another(self):
        with tempfile.TemporaryDirectory() as folder:
            text = os.path.join(folder, "t.txt")
            pathlib.Path(text).write_text("Once upon a time there was a small model. " * 4, encoding="utf-8")
            same = self.ok("eval", TINY, "--text", text, "--reference", TINY, "--window", "48", "--json").json()
            self.assertEqual((same["kl_mean"], same["kl_max"], same["top1_agreement"]), (0, 0, 1))
            self.assertEqual(same["perplexity"], same["reference_perplexity"])
            alone = self.ok("eval", TINY, "--text", text, "--window", "48", "--json").json()
            self.assertEqual(alone["perplexity"], same["perplexity"])
            # Planted: the same model with one norm weight of the last layer changed.
            changed = os.path.join(folder, "changed.gguf")
            data = bytearray(pathlib.Path(TINY).read_bytes())
            norm = [t for t in golden_json("gguf/v3-yarn.manifest.json")["tensors"] if t["name"] == "output_norm.weight"][0]
            size = sum((t["bytes"] + 31) // 32 * 32 for t in golden_json("gguf/v3-yarn.manifest.json")["tensors"])
            at = len(data) - size + norm["offset"]
            data[at + 3] ^= 0x80  # the sign
            pathlib.Path(changed).write_bytes(data)
            other = self.ok("eval", changed, "--text", text, "--reference", TINY, "--window", "48", "--json").json()
            self.assertGreater(other["kl_mean"], 0)
            self.assertGreaterEqual(other["kl_max"], other["kl_p99"])

    def test_perplexity_is_that_of_the_dumped_logits(self):
        with tempfile.TemporaryDirectory() as folder:
            text, out = os.path.join(folder, "t.txt"), os.path.join(folder, "l.npy")
            pathlib.Path(text).write_text("Once upon a time", encoding="utf-8")
            ids = self.ok("dump", "tokens", TINY, stdin='["Once upon a time"]').json()[0]
            self.ok("dump", "logits", TINY, "--ids", "-", "--out", out, stdin=json.dumps(ids))
            (n, width), values = support.read_npy(out)
            loss = 0.0
            for t in range(n - 1):
                row = values[t * width:(t + 1) * width]
                top = max(row)
                loss += top + math.log(sum(math.exp(x - top) for x in row)) - row[ids[t + 1]]
            found = self.ok("eval", TINY, "--text", text, "--kv", "F32", "--json").json()
            self.assertEqual(found["tokens"], n - 1)
            self.assertAlmostEqual(found["perplexity"] / math.exp(loss / (n - 1)), 1, places=9)

    def test_exact_match_counts_the_last_line_of_the_answer(self):
        greedy = self.ok("run", TINY, "Hello", "--temp", "0", "-n", "9", "--json").json()
        problems = [{"id": 1, "family": "a", "language": "en", "prompt": "Hello", "answer": "no"},
                    {"id": 2, "family": "b", "language": "en", "prompt": "Hello", "answer": ""},
                    {"id": 3, "family": "b", "language": "zh", "prompt": "Hello there", "answer": "no"}]
        self.assertEqual(greedy["answer"], "")  # it never leaves its reasoning
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write("\n".join(map(json.dumps, problems)) + "\n\n")
            file.flush()
            found = self.ok("eval", TINY, "--problems", file.name, "-n", "9", "--json").json()
            self.assertEqual(found["by_family"], {"a": 0.0, "b": 0.5})
            self.assertEqual(found["by_language"], {"en": 0.5, "zh": 0.0})
            self.assertAlmostEqual(found["overall"], 1 / 3)
            self.assertEqual([w["id"] for w in found["wrong"]], ["1", "3"])
            self.assertIn("1 of 3 correct", self.ok("eval", TINY, "--problems", file.name, "-n", "9").out)
            file.write("{broken\n")
            file.flush()
            self.assertIn("line 5", self.fails(1, "eval", TINY, "--problems", file.name))
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            file.write(json.dumps({**problems[1], "id": "long-one", "prompt": "x " * 300}))
            file.flush()
            self.assertIn("problem long-one: the prompt is too long",
                          self.usage_error("eval", TINY, "--problems", file.name, "--ctx", "64"))

    def test_the_page_about_a_quantised_file(self):
        with tempfile.TemporaryDirectory() as folder:
            text, small, page, problems = (os.path.join(folder, n) for n in ("t.txt", "q.gguf", "page.md", "p.jsonl"))
            pathlib.Path(text).write_text("Once upon a time there was a small model. " * 4, encoding="utf-8")
            problem = {"id": 1, "family": "a", "language": "en", "prompt": "Hello", "answer": ""}
            pathlib.Path(problems).write_text(json.dumps(problem), encoding="utf-8")
            self.ok("quantize", TINY, small, "--type", "Q4_0", "--pure")
            args = ("eval", small, "--text", text, "--reference", TINY, "--report", page)
            printed = self.ok(*args, "--problems", problems, "-n", "9").out
            written = pathlib.Path(page).read_text()
            self.assertEqual(printed, written)
            report = json.loads(pathlib.Path(folder, "page.json").read_text())
            alone = self.ok("eval", small, "--text", text, "--reference", TINY, "--json").json()
            for key in ("kl_mean", "kl_p99", "kl_max", "top1_agreement", "perplexity", "reference_perplexity"):
                self.assertEqual(report["text"][key], alone[key])
            self.assertEqual(report["model"]["bytes"], os.path.getsize(small))
            self.assertTrue(16 < report["original"]["bits_per_weight"] < 16.1)  # BF16 but for vectors
            self.assertTrue(4.5 <= report["model"]["bits_per_weight"] < 9)
            self.assertAlmostEqual(sum(report["model"]["types"].values()), 1)
            self.assertEqual(report["problems"]["original"]["correct"], 1)
            for word in (f"{alone['kl_p99']:.6f}", "100.0 % of 1", "16.063", "Q4_0", "| same best token |"):
                self.assertIn(word, written)
            self.assertNotIn("exact match", self.ok(*args).out)
            self.usage_error("eval", small, "--text", text, "--report", page)
            self.usage_error(*args[:-1], os.path.join(folder, "page.json"))


class ProfileOfAStep(support.Case):
    def test_the_table_and_the_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            svg = os.path.join(folder, "p.svg")
            done = self.ok("run", TINY, "--raw", "ab", "-n", "3", "--temp", "0", "--profile", "--profile-svg", svg)
            for span in ("prompt", "decode", "attention", "attend", "experts", "router", "head"):
                self.assertRegex(done.err, rf"(?m)^ *{span} +\d+ ")
            self.assertIn("GB/s", done.err)
            with open(svg, encoding="utf-8") as file:
                self.assertIn("<title>decode", file.read())


if __name__ == "__main__":
    support.main()
