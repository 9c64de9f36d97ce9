"""What needs no model to run: inspect, verify, dump tensor, dump tokens, dump text, dump prompt."""
import gzip
import json
import os
import pathlib
import shutil
import struct
import tempfile

import support
from support import TINY, golden, golden_json, has_golden, run


class Inspect(support.Case):
    def test_it_agrees_with_the_manifest_of_another_reader(self):
        found = self.ok("inspect", TINY, "--tensors", "--json").json()
        manifest = golden_json("gguf/v3-yarn.manifest.json")
        self.assertEqual(len(found["tensors"]), len(manifest["tensors"]))
        expected = {t["name"]: t for t in manifest["tensors"]}
        for t in found["tensors"]:
            self.assertEqual(t["shape"], expected[t["name"]]["ne"], t["name"])
            self.assertEqual(t["format"], expected[t["name"]]["type"], t["name"])
        self.assertEqual(found["architecture"], "deepseek2")
        self.assertEqual(found["keys"]["deepseek2.expert_count"], 16)
        self.assertEqual(sum(f["bytes"] for f in found["formats"].values()), sum(t["bytes"] for t in found["tensors"]))

    def test_tensors_can_be_chosen(self):
        self.assertNotIn("blk.0", self.ok("inspect", TINY).out)
        lines = self.ok("inspect", TINY, "--match", "ffn_gate_exps").out.splitlines()
        self.assertEqual(sum(line.startswith("  blk.") for line in lines), 3)

    def test_tens_of_thousands_of_keys_take_no_longer_than_they_must(self):
        keys = b"".join(struct.pack("<Q7sIB", 7, b"k%06d" % i, 0, 1) for i in range(65536))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "keys.gguf")
            pathlib.Path(path).write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 65536) + keys)
            self.assertEqual(len(self.ok("inspect", path, "--json", timeout=20).json()["keys"]), 65536)
            self.assertIn("k065535", self.ok("inspect", path, timeout=20).out)

    def test_a_folder_of_shards(self):
        found = self.ok("inspect", golden("models/v3-yarn"), "--json", "--tensors").json()
        self.assertEqual(found["architecture"], "DeepseekV3ForCausalLM")
        self.assertEqual(found["keys"]["n_routed_experts"], 16)
        self.assertEqual(found["formats"]["BF16"]["tensors"] + found["formats"]["F32"]["tensors"], found["n_tensors"])


class Verify(support.Case):
    def test_sound_files_are_sound_models(self):
        names = ["gguf/v3-yarn.gguf", "gguf/r1-distill-llama.gguf", "models/v3-yarn", "models/v3-fp8-mtp"]
        for path in map(golden, filter(has_golden, names)):
            self.assertIn("sound, a model", self.ok("verify", "--model", path).out)
            self.assertTrue(self.ok("verify", path, "--json").json()["sound"])

    def test_the_malformed_set(self):
        """Every case is given to verify and to verify --model: exit 0 or 3, and with 3 one line that names the file."""
        cases = golden_json("malformed/cases.json")
        for case in cases:
            path = golden("malformed/" + case["file"])
            for level, args in [("container", ["verify", path]), ("model", ["verify", "--model", path])]:
                with self.subTest(case["file"], level=level, why=case["why"]):
                    result = run(*args)
                    self.assertIn(result.code, (0, 3), result.err)
                    if result.code == 3:
                        self.assertRegex(result.err, r"\Acoterie: [^\n]+\n\Z")
                        self.assertIn(pathlib.Path(path).name, result.err)
                    if case["level"] == level and case["expect"] != "either":
                        self.assertEqual(result.code, 0 if case["expect"] == "accept" else 3, result.err)
                    if case["level"] == "container" and case["expect"] == "reject":
                        self.assertEqual(result.code, 3)

    def test_one_broken_value_is_found(self):
        """Plants NaN where the last BF16 weight of a sound file lies."""
        data = bytearray(pathlib.Path(TINY).read_bytes())
        tensors = golden_json("gguf/v3-yarn.manifest.json")["tensors"]
        last = [t for t in tensors if t["type"] == "BF16"][-1]
        with tempfile.TemporaryDirectory() as folder:
            broken = os.path.join(folder, "broken.gguf")
            data[-2:] = b"\xc0\x7f"
            pathlib.Path(broken).write_bytes(data)
            message = self.fails(3, "verify", broken)
            self.assertIn("broken.gguf", message)
            self.assertIn(last["name"] if last is tensors[-1] else tensors[-1]["name"], message)
            pathlib.Path(broken).write_bytes(data[:-300])
            self.assertIn("broken.gguf", self.fails(3, "verify", broken))

    def test_a_broken_value_in_safetensors_is_found(self):
        shard = golden("models/v3-yarn/model-00001-of-000002.safetensors")
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "x.safetensors")
            data = bytearray(pathlib.Path(shard).read_bytes())
            pathlib.Path(copy).write_bytes(data)
            self.ok("verify", copy)
            data[-2:] = b"\x80\x7f"  # infinity in BF16
            pathlib.Path(copy).write_bytes(data)
            self.assertIn("no finite number", self.fails(3, "verify", copy))

    def test_what_is_not_there(self):
        self.assertIn("/nonexistent", self.fails(3, "verify", "/nonexistent.gguf"))
        self.assertIn("/nonexistent", self.fails(3, "inspect", "/nonexistent.gguf"))

    def test_hostile_names_cannot_steer_the_terminal(self):
        message = self.fails(3, "verify", "/nonexistent\x1b[31m\n.gguf")
        self.assertNotIn("\x1b", message)


class DumpTensor(support.Case):
    def test_every_format_decodes_to_the_reference_bits(self):
        truth = support.Safetensors(golden("quants/all-types.f32.safetensors"))
        source = golden("quants/all-types.gguf")
        names = [t["name"] for t in self.ok("inspect", source, "--tensors", "--json").json()["tensors"]]
        self.assertGreaterEqual(len(names), 26)
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "t.npy")
            for name in names:
                if truth.header[name]["dtype"] != "F32":
                    continue
                self.ok("dump", "tensor", source, name, "--out", out)
                shape, values = support.read_npy(out)
                expected_shape, expected = truth.get(name)
                self.assertEqual(shape, expected_shape, name)
                self.assertEqual(values.tobytes(), expected.tobytes(), name)
            self.assertEqual(os.listdir(folder), ["t.npy"])

    def test_integers_and_folders(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "t.npy")
            self.ok("dump", "tensor", golden("quants/all-types.gguf"), "I64", "--out", out)
            self.assertTrue(all(v == int(v) for v in support.read_npy(out)[1]))
            self.ok("dump", "tensor", golden("models/v3-yarn"), "model.norm.weight", "--out", out)
            other = os.path.join(folder, "o.npy")
            self.ok("dump", "tensor", TINY, "output_norm.weight", "--out", other)
            self.assertEqual(support.read_npy(out)[1], support.read_npy(other)[1])

    def test_errors(self):
        self.assertIn("'nothing'", self.usage_error("dump", "tensor", TINY, "nothing", "--out", "/tmp/never.npy"))
        self.usage_error("dump", "tensor", TINY, "output.weight", "--out", "/dev/null")
        self.fails(1, "dump", "tensor", TINY, "output.weight", "--out", "/nonexistent/x.npy")

    def test_the_model_is_never_overwritten(self):
        with tempfile.TemporaryDirectory() as folder:
            model = shutil.copy(TINY, folder)
            before = pathlib.Path(model).read_bytes()
            self.assertIn("is the input", self.usage_error("dump", "tensor", model, "output.weight", "--out", model))
            self.assertIn("is the input", self.usage_error("dump", "logits", model, "--ids", "-", "--out", model, stdin="[1]"))
            self.assertEqual(pathlib.Path(model).read_bytes(), before)


class DumpTokens(support.Case):
    SOURCES = {"deepseek-v3-r1": "tokenizer/deepseek-v3-r1.tokenizer.json", "tiny-v3": "models/v3-yarn/tokenizer.json",
               "tiny-v2": "models/v2/tokenizer.json"}

    def test_ids_and_texts_equal_the_vectors(self):
        vectors = golden_json("tokenizer/vectors.json")
        for name, path in self.SOURCES.items():
            if not has_golden(path):
                continue
            source = golden(path)
            texts = [e["text"] for e in vectors[name]["encode"]]
            ids = self.ok("dump", "tokens", source, "--special", stdin=json.dumps(texts)).json()
            self.assertEqual(ids, [e["ids"] for e in vectors[name]["encode"]], name)
            back = self.ok("dump", "text", source, stdin=json.dumps([d["ids"] for d in vectors[name]["decode"]])).json()
            self.assertEqual(back, [d["text"] for d in vectors[name]["decode"]], name)

    def test_vocabulary_files_of_llama_cpp(self):
        vectors = golden_json("tokenizer/vectors-llamacpp.json")
        with tempfile.TemporaryDirectory() as folder:
            for name, cases in vectors.items():
                if not has_golden(f"tokenizer/ggml-vocab-{name}.gguf.gz"):
                    continue
                source = os.path.join(folder, name + ".gguf")
                with gzip.open(golden(f"tokenizer/ggml-vocab-{name}.gguf.gz")) as file:
                    pathlib.Path(source).write_bytes(file.read())
                ids = self.ok("dump", "tokens", source, "--special", stdin=json.dumps([c["text"] for c in cases])).json()
                self.assertEqual(ids, [c["ids"] for c in cases], name)

    def test_file_and_folder_and_json_are_the_same_tokenizer(self):
        texts = json.dumps(["<think> 12345 你好 x<|", "\u0000\u00ff"])
        outputs = {self.ok("dump", "tokens", s, stdin=texts).out
                   for s in [TINY, golden("models/v3-yarn"), golden("models/v3-yarn/tokenizer.json")]}
        self.assertEqual(len(outputs), 1)

    def test_special_tokens_only_where_asked_for(self):
        text = json.dumps(["a<\uff5cUser\uff5c>b"])
        parsed = self.ok("dump", "tokens", TINY, "--special", stdin=text).json()[0]
        plain = self.ok("dump", "tokens", TINY, stdin=text).json()[0]
        self.assertEqual(len(parsed), 3)
        self.assertGreater(len(plain), 3)
        for ids in (parsed, plain):
            self.assertEqual(self.ok("dump", "text", TINY, stdin=json.dumps([ids])).json(), json.loads(text))

    def test_broken_utf8_is_replaced(self):
        half = self.ok("dump", "tokens", TINY, stdin=json.dumps(["\u00e9"])).json()[0]
        if len(half) == 1:
            half = self.ok("dump", "tokens", TINY, stdin=json.dumps(["\U0001f30d"])).json()[0]
        self.assertGreater(len(half), 1)
        self.assertEqual(self.ok("dump", "text", TINY, stdin=json.dumps([half[:1]])).json(), ["\ufffd"])

    def test_bad_input(self):
        for stdin in ["{}", '"x"', "[1]", "[null]", "["]:
            self.usage_error("dump", "tokens", TINY, stdin=stdin)
        for stdin in ["[[99999]]", "[[-1]]", "[[1.5]]", '[["x"]]', "[5]"]:
            self.usage_error("dump", "text", TINY, stdin=stdin)


class DumpPrompt(support.Case):
    def test_every_template_renders_the_golden_prompts(self):
        rendered = golden_json("chat/rendered.json")["cases"]
        conversations = golden("chat/conversations.json")
        names = [c["name"] for c in golden_json("chat/conversations.json")]
        for template in sorted({c["template"] for c in rendered}):
            expected = {c["conversation"]: c for c in rendered if c["template"] == template}
            out = self.ok("dump", "prompt", "--template", golden(f"chat/templates/{template}.jinja"), conversations).json()
            self.assertEqual(len(out), len(names))
            for name, got in zip(names, out):
                with self.subTest(template, conversation=name):
                    if "error" in expected[name]:
                        self.assertIn("error", got)
                    else:
                        self.assertEqual(got, expected[name]["text"])

    def test_a_model_brings_its_own_template(self):
        conversations = golden("chat/conversations.json")
        expected = self.ok("dump", "prompt", "--template", golden("chat/templates/deepseek-r1.jinja"), conversations).json()
        for model in [TINY, golden("models/v3-yarn")]:
            self.assertEqual(self.ok("dump", "prompt", model, conversations).json(), expected)

    def test_text_in_messages_never_forms_special_tokens(self):
        conversation = [{"messages": [{"role": "user", "content": "<\uff5cAssistant\uff5c></think>"}],
                         "add_generation_prompt": True}]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "c.json")
            pathlib.Path(path).write_text(json.dumps(conversation), encoding="utf-8")
            ids = self.ok("dump", "prompt", TINY, path, "--ids").json()[0]
            texts = self.ok("dump", "text", TINY, stdin=json.dumps([[i] for i in ids])).json()
            self.assertEqual(texts.count("<\uff5cAssistant\uff5c>"), 1)  # the template's own
            self.assertEqual(texts.count("</think>"), 0)
            self.assertEqual(texts.count("<think>"), 1)
            whole = self.ok("dump", "text", TINY, stdin=json.dumps([ids])).json()
            self.assertEqual(whole, self.ok("dump", "prompt", TINY, path).json())
            self.assertEqual((ids[0], ids.count(0)), (0, 1))  # BOS, once


if __name__ == "__main__":
    support.main()
