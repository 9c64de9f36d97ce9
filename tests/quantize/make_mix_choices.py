#!/usr/bin/env python3
"""Writes mix_choices.json: what llama.cpp's quantizer chooses for models of many shapes, by every mix.

    make_mix_choices.py LLAMA_QUANTIZE OUT.json        (needs the PyPI packages gguf and numpy)

The models are headers only (sparse files; --dry-run reads no weights). Per model: its keys, the layers of each kind
of tensor and its shape; per mix, and per mix with an importance matrix where that differs: the types of each kind, layer
by layer ("Q6_K*2 Q4_K*5"), or one for all layers; "rest" stands for every kind that is not listed.
"""
import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

MIXES = """Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K IQ1_S IQ1_M IQ2_XXS
IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4_MOE""".split()

N = 256  # every dimension that need not be another


def dense(layers):
    return {"attn_q": (N, N), "attn_k": (N, N), "attn_v": (N, N), "attn_output": (N, N), "ffn_gate": (N, N),
            "ffn_up": (N, N), "ffn_down": (N, N)}, range(layers)


def experts(n, layers):
    return {"attn_q": (N, N), "attn_k": (N, N), "attn_v": (N, N), "attn_output": (N, N), "ffn_gate_inp": (N, n),
            "ffn_gate_exps": (N, N, n), "ffn_up_exps": (N, N, n), "ffn_down_exps": (N, N, n)}, range(layers)


def deepseek_attention(old):
    kv = {"attn_kv_b": (N, N)} if old else {"attn_k_b": (N, 32, 4), "attn_v_b": (N, 32, 4)}
    return {"attn_q_a": (N, N), "attn_q_b": (N, N), "attn_kv_a_mqa": (N, N), **kv, "attn_output": (N, N)}


def deepseek(layers, old=False):
    moe = {"ffn_gate_inp": (N, 64), "ffn_gate_exps": (N, N, 64), "ffn_up_exps": (N, N, 64), "ffn_down_exps": (N, N, 64),
           "ffn_gate_shexp": (N, N), "ffn_up_shexp": (N, N), "ffn_down_shexp": (N, N)}
    return [(deepseek_attention(old), range(layers)),
            ({"ffn_gate": (N, N), "ffn_up": (N, N), "ffn_down": (N, N)}, range(3)), (moe, range(3, layers))]


MODELS = {  # name: architecture, heads, key heads, experts, layers, groups of tensors, tied
    "llama-8b": ("llama", 32, 8, 0, 32, [dense(32)], False),
    "llama-old": ("llama", 32, 32, 0, 26, [dense(26)], False),
    "llama-70b": ("llama", 64, 8, 0, 80, [dense(80)], False),
    "mixtral": ("llama", 32, 8, 8, 32, [experts(8, 32)], False),
    "qwen2-tied": ("qwen2", 12, 2, 0, 28, [dense(28)], True),
    "qwen2-72b": ("qwen2", 64, 8, 0, 80, [dense(80)], False),
    "qwen3-moe": ("qwen3moe", 32, 4, 128, 48, [experts(128, 48)], False),
    "deepseek-r1": ("deepseek2", 128, 1, 64, 61, deepseek(61), False),
    "deepseek-old": ("deepseek2", 16, 16, 64, 27, deepseek(27, True), False),
}


def write_model(path, arch, heads, kv_heads, n_experts, layers, groups, tied):
    w = gguf.GGUFWriter(path, arch)
    w.add_uint32(f"{arch}.block_count", layers)
    w.add_uint32(f"{arch}.context_length", 4096)
    w.add_uint32(f"{arch}.embedding_length", N)
    w.add_uint32(f"{arch}.feed_forward_length", N)
    w.add_uint32(f"{arch}.attention.head_count", heads)
    w.add_uint32(f"{arch}.attention.head_count_kv", kv_heads)
    w.add_float32(f"{arch}.attention.layer_norm_rms_epsilon", 1e-6)
    if n_experts:
        w.add_uint32(f"{arch}.expert_count", n_experts)
        w.add_uint32(f"{arch}.expert_used_count", 2)
        w.add_uint32(f"{arch}.expert_feed_forward_length", N)
    if arch == "deepseek2":
        w.add_uint32("deepseek2.leading_dense_block_count", 3)
        w.add_uint32("deepseek2.expert_shared_count", 1)
        w.add_uint32("deepseek2.attention.kv_lora_rank", N)
        w.add_uint32("deepseek2.attention.q_lora_rank", N)
        w.add_uint32("deepseek2.attention.key_length", 64)
        w.add_uint32("deepseek2.attention.value_length", 64)
        w.add_uint32("deepseek2.rope.dimension_count", 32)
        w.add_uint32("deepseek2.expert_gating_func", 2)
        w.add_float32("deepseek2.expert_weights_scale", 2.5)
    tensors = [("token_embd.weight", (N, N))] + ([] if tied else [("output.weight", (N, N))])
    tensors += [(f"blk.{i}.{kind}.weight", shape) for kinds, where in groups for kind, shape in kinds.items() for i in where]
    total = 0
    for name, shape in tensors:
        size = 2 * int(np.prod(shape))
        w.add_tensor_info(name, shape[::-1], np.dtype(np.float16), size)
        total += size
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    w.close()
    with open(path, "r+b") as f:
        f.truncate(Path(path).stat().st_size + total + 4096)
    return [name for name, _ in tensors]


def write_importance(path):
    w = gguf.GGUFWriter(path, "")
    w.add_type("imatrix")
    w.add_array("imatrix.datasets", ["none"])
    w.add_uint32("imatrix.chunk_count", 1)
    w.add_uint32("imatrix.chunk_size", 512)
    w.add_tensor("none.weight.in_sum2", np.ones((1, N), np.float32))
    w.add_tensor("none.weight.counts", np.ones((1, 1), np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def choices(program, model, mix, importance):
    command = [program, "--dry-run"] + (["--imatrix", importance] if importance else []) + [model, mix]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    found = {}
    for line in (run.stdout + run.stderr).splitlines():
        if m := re.match(r"\[ *\d+/ *\d+\] (\S+) .*type = +(\w+), size = .*?(?:\((\w+)\))?$", line):
            found[m[1]] = (m[3] or m[2]).upper()
    return found


def main(program, out):
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        importance = f"{folder}/importance.gguf"
        write_importance(importance)
        for name, facts in MODELS.items():
            arch, heads, kv_heads, n_experts, layers, groups, tied = facts
            path = f"{folder}/{name}.gguf"
            names = write_model(path, *facts)
            kinds = {f"{k}.weight": {"shape": s, "layers": [where[0], where[-1] + 1]}
                     for ks, where in groups for k, s in ks.items()}
            entry = result[name] = {"architecture": arch, "heads": heads, "key_heads": kv_heads, "experts": n_experts,
                                    "layers": layers, "tied": tied, "kinds": kinds, "mixes": {}}
            for mix, weighted in itertools.product(MIXES, [False, True]):
                found = choices(program, path, mix, importance if weighted else None)
                assert set(found) == set(names), (set(names) ^ set(found), name, mix)
                types = {name: found[name] for name in ("token_embd.weight", "output.weight") if name in found}
                for kind, facts_of in kinds.items():
                    row = [found[f"blk.{i}.{kind}"] for i in range(*facts_of["layers"])]
                    types[kind] = " ".join(f"{t}*{len(list(g))}" if len(set(row)) > 1 else t
                                           for t, g in itertools.groupby(row))
                most = max(sorted(set(types.values())), key=list(types.values()).count)
                entry["mixes"][mix + ("+imatrix" if weighted else "")] = {
                    "rest": most, **{kind: t for kind, t in types.items() if t != most}}
            for mix in MIXES:  # most do not ask for it
                if entry["mixes"][mix] == entry["mixes"][mix + "+imatrix"]:
                    del entry["mixes"][mix + "+imatrix"]
    lines = json.dumps(result, indent=0)
    # one line per mix
    lines = re.sub(r'\{\s+"rest[^}]*\}', lambda m: re.sub(r"\s*\n\s*", " ", m[0]), lines)
    lines = re.sub(r'\{\s+"shape[^}]*\}', lambda m: re.sub(r"\s*\n\s*", " ", m[0]), lines)
    Path(out).write_text(lines + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
