"""A checkpoint of the release's shapes and FP8 layout, of any size, made as fast as the disk writes.

  make_checkpoint.py FOLDER EXPERTS

One layer of DeepSeek-V3 with that many experts (44 MB each in FP8), few heads, and the tokenizer of a golden model. The
weights are one block of random codes, repeated from shifting places: nobody looks at the model's answers.
"""
import json
import pathlib
import random
import shutil
import struct
import sys

import support

HIDDEN, INNER, SHARED_INNER, HEADS, NOPE, ROPE, V, Q_LORA, KV_LORA = 7168, 2048, 2048, 16, 128, 64, 128, 1536, 512
FINITE = bytes(code & 0x77 if code & 0x7f > 0x77 else code for code in range(256))  # no NaN, and none of the largest


def tensors(experts, vocabulary):
    """(name, dtype, shape) of each, in the order of the release."""
    matrices = {
        "self_attn.q_a_proj": (Q_LORA, HIDDEN), "self_attn.q_b_proj": (HEADS * (NOPE + ROPE), Q_LORA),
        "self_attn.kv_a_proj_with_mqa": (KV_LORA + ROPE, HIDDEN), "self_attn.kv_b_proj": (HEADS * (NOPE + V), KV_LORA),
        "self_attn.o_proj": (HIDDEN, HEADS * V),
    }
    for name in ["shared_experts", *(f"experts.{e}" for e in range(experts))]:
        matrices |= {f"mlp.{name}.gate_proj": (INNER, HIDDEN), f"mlp.{name}.up_proj": (INNER, HIDDEN),
                     f"mlp.{name}.down_proj": (HIDDEN, INNER)}
    yield "model.embed_tokens.weight", "BF16", (vocabulary, HIDDEN)
    for name, size in [("input_layernorm", HIDDEN), ("post_attention_layernorm", HIDDEN),
                       ("self_attn.q_a_layernorm", Q_LORA), ("self_attn.kv_a_layernorm", KV_LORA)]:
        yield f"model.layers.0.{name}.weight", "BF16", (size,)
    yield "model.layers.0.mlp.gate.weight", "BF16", (experts, HIDDEN)
    yield "model.layers.0.mlp.gate.e_score_correction_bias", "F32", (experts,)
    for name, (rows, columns) in matrices.items():
        yield f"model.layers.0.{name}.weight", "F8_E4M3", (rows, columns)
        yield f"model.layers.0.{name}.weight_scale_inv", "F32", (-(-rows // 128), -(-columns // 128))
    yield "model.norm.weight", "BF16", (HIDDEN,)
    yield "lm_head.weight", "BF16", (vocabulary, HIDDEN)


def size_of(dtype, shape):
    n = {"BF16": 2, "F32": 4, "F8_E4M3": 1}[dtype]
    for dimension in shape:
        n *= dimension
    return n


def write_shard(path, entries, codes):
    header, offset = {}, 0
    for name, dtype, shape in entries:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size_of(dtype, shape)]}
        offset += size_of(dtype, shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for i, (name, dtype, shape) in enumerate(entries):
            size = size_of(dtype, shape)
            if dtype == "F8_E4M3":
                begin = i * 4099 % (len(codes) - size)
                file.write(memoryview(codes)[begin:begin + size])
            else:  # 0.01 in every scale, norm and router weight
                one = struct.pack("<f", 0.01)
                file.write((one if dtype == "F32" else one[2:]) * (size // (4 if dtype == "F32" else 2)))


def make(folder, experts):
    folder = pathlib.Path(folder)
    golden = pathlib.Path(support.golden("models/v3-yarn"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(golden / name, folder / name)
    config = json.loads((golden / "config.json").read_text())
    config |= {"hidden_size": HIDDEN, "intermediate_size": 18432, "moe_intermediate_size": INNER, "num_hidden_layers": 1,
               "first_k_dense_replace": 0, "n_routed_experts": experts, "n_group": 8, "topk_group": 4,
               "num_experts_per_tok": 8, "n_shared_experts": 1, "num_attention_heads": HEADS,
               "num_key_value_heads": HEADS, "q_lora_rank": Q_LORA, "kv_lora_rank": KV_LORA, "qk_nope_head_dim": NOPE,
               "qk_rope_head_dim": ROPE, "v_head_dim": V, "num_nextn_predict_layers": 0,
               "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}}
    (folder / "config.json").write_text(json.dumps(config))
    codes = random.Random(1).randbytes(HIDDEN * INNER + (1 << 20)).translate(FINITE)
    entries = list(tensors(experts, config["vocab_size"]))
    per_shard = -(-len(entries) // 4)
    weight_map = {}
    for i in range(4):
        name = f"model-{i + 1:05}-of-00004.safetensors"
        shard = entries[i * per_shard:(i + 1) * per_shard]
        write_shard(folder / name, shard, codes)
        weight_map |= {entry[0]: name for entry in shard}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
