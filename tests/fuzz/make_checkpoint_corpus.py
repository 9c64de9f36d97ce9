#!/usr/bin/env python3
"""Writes the seeds of fuzz_checkpoint: small sound files of every kind, and a few that are not.

Usage: make_checkpoint_corpus.py FOLDER (tests/fuzz/corpus/checkpoint). Standard library only; the same files every time.
"""
import json
import pathlib
import struct
import sys

DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
          "U8": 1, "U16": 2, "U32": 4, "U64": 8, "BOOL": 1}


def safetensors(tensors, metadata=None):
    """tensors: name -> (dtype, shape)"""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape) in tensors.items():
        size = DTYPES[dtype]
        for n in shape:
            size *= n
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += bytes((37 * i + len(data)) % 120 for i in range(size))
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"], "first_k_dense_replace": 1, "hidden_size": 8, "intermediate_size": 4,
    "kv_lora_rank": 4, "max_position_embeddings": 64, "moe_intermediate_size": 2, "n_group": 1, "n_routed_experts": 2,
    "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 2, "num_experts_per_tok": 1,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "num_nextn_predict_layers": 1, "q_lora_rank": 4,
    "qk_nope_head_dim": 2, "qk_rope_head_dim": 2, "rms_norm_eps": 1e-6,
    "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
                     "original_max_position_embeddings": 16, "type": "yarn"},
    "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": False,
    "topk_group": 1, "topk_method": "noaux_tc", "v_head_dim": 2, "vocab_size": 6,
    "quantization_config": {"fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [3, 3]}}

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 4, "max_position_embeddings": 64,
    "num_attention_heads": 2, "num_hidden_layers": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
    "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 16, "rope_type": "llama3"},
    "rope_theta": 500000.0, "tie_word_embeddings": True, "vocab_size": 6}


def deepseek_tensors():
    """As the release has them: matrices in FP8 with scales of 3 x 3 blocks, the rest in BF16, the bias in F32."""
    tensors = {"model.embed_tokens.weight": ("BF16", [6, 8]), "model.norm.weight": ("BF16", [8]),
               "lm_head.weight": ("BF16", [6, 8])}

    def matrix(name, rows, columns):
        tensors[name + ".weight"] = ("F8_E4M3", [rows, columns])
        tensors[name + ".weight_scale_inv"] = ("F32", [-(-rows // 3), -(-columns // 3)])

    def mlp(name, inner):
        matrix(name + ".down_proj", 8, inner)
        matrix(name + ".gate_proj", inner, 8)
        matrix(name + ".up_proj", inner, 8)

    for layer in range(3):
        at = f"model.layers.{layer}."
        for name, n in (("input_layernorm", 8), ("post_attention_layernorm", 8), ("self_attn.q_a_layernorm", 4),
                        ("self_attn.kv_a_layernorm", 4)):
            tensors[at + name + ".weight"] = ("BF16", [n])
        for name, rows, columns in (("q_a_proj", 4, 8), ("q_b_proj", 8, 4), ("kv_a_proj_with_mqa", 6, 8),
                                    ("kv_b_proj", 8, 4), ("o_proj", 8, 4)):
            matrix(at + "self_attn." + name, rows, columns)
        if layer == 0:
            mlp(at + "mlp", 4)
            continue
        tensors[at + "mlp.gate.weight"] = ("BF16", [2, 8])
        tensors[at + "mlp.gate.e_score_correction_bias"] = ("F32", [2])
        for name in ("experts.0", "experts.1", "shared_experts"):
            mlp(at + "mlp." + name, 2)
    for name, shape in (("eh_proj", [8, 16]), ("embed_tokens", [6, 8]), ("enorm", [8]), ("hnorm", [8]),
                        ("shared_head.head", [6, 8]), ("shared_head.norm", [8])):
        tensors[f"model.layers.2.{name}.weight"] = ("BF16", shape)
    return tensors


def llama_tensors():
    at = "model.layers.0."
    return {"model.embed_tokens.weight": ("F16", [6, 8]), "model.norm.weight": ("F32", [8]),
            at + "input_layernorm.weight": ("F32", [8]), at + "self_attn.q_proj.weight": ("F16", [8, 8]),
            at + "self_attn.k_proj.weight": ("F16", [4, 8]), at + "self_attn.v_proj.weight": ("F16", [4, 8]),
            at + "self_attn.o_proj.weight": ("F16", [8, 8]), at + "post_attention_layernorm.weight": ("F32", [8]),
            at + "mlp.down_proj.weight": ("F64", [8, 4]), at + "mlp.gate_proj.weight": ("F8_E5M2", [4, 8]),
            at + "mlp.gate_proj.weight_scale_inv": ("F32", [1, 1]), at + "mlp.up_proj.weight": ("F16", [4, 8])}


def tokenizer():
    letters = ["!", "a", "b", "ab", "\u0120"]
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": 5, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True}],
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": False},
                {"type": "Split", "pattern": {"Regex": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"},
                 "behavior": "Isolated", "invert": False},
                {"type": "Split", "pattern": {"Regex":
                    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                    " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
            "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "vocab": {t: i for i, t in enumerate(letters)}, "merges": ["a b"]}}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {}
    for dtype in DTYPES:
        seeds["safetensors-" + dtype.lower()] = b"\0" + safetensors({"x": (dtype, [2, 3]), "y": (dtype, [])})
    seeds["safetensors-none"] = b"\0" + safetensors({}, {"format": "pt"})
    seeds["safetensors-empty"] = b"\0" + safetensors({"x": ("F32", [0, 4])})
    seeds["safetensors-hole"] = b"\0" + safetensors({"x": ("F32", [2])}) + b"tail"
    seeds["config-deepseek"] = b"\1" + json.dumps(DEEPSEEK).encode()
    seeds["config-llama"] = b"\1" + json.dumps(LLAMA).encode()
    config = {"bos_token": {"content": "<|end|>"}, "eos_token": "<|end|>", "add_bos_token": True}
    parts = [json.dumps(x).encode() for x in (tokenizer(), config, {"vocab_size": 8})]
    seeds["tokenizer"] = b"\2" + b"\0".join(parts)
    seeds["tokenizer-pairs"] = b"\2" + parts[0].replace(b'"a b"', b'["a", "b"]')
    seeds["checkpoint-deepseek"] = b"\3" + json.dumps(DEEPSEEK).encode() + b"\0" + safetensors(deepseek_tensors())
    seeds["checkpoint-llama"] = b"\3" + json.dumps(LLAMA).encode() + b"\0" + safetensors(llama_tensors())
    for name, data in seeds.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
