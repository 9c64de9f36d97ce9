#!/usr/bin/env python3
"""Writes a training checkpoint as a Hugging Face folder in the layout of the DeepSeek-V3 release.

    export.py --from coterie-train/checkpoint.pt --to models/demo/checkpoint

Weights in bfloat16 under the release's names, the router's correction bias in float32; the multi-token-prediction layer
is `model.layers.N` with copies of the embedding and the head, as in the release. `coterie convert` reads this folder.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from make_tokenizer import tokenizer_config
from model import Config

ATTENTION = {
    "q_a": "q_a_proj",
    "q_a_norm.weight": "q_a_layernorm",
    "q_b": "q_b_proj",
    "kv_a": "kv_a_proj_with_mqa",
    "kv_a_norm.weight": "kv_a_layernorm",
    "kv_b": "kv_b_proj",
    "o": "o_proj",
}


def mlp_tensors(state, source, target):
    """One gated network: ours keeps gate and up in one tensor [2, width, hidden]."""
    return {
        f"{target}gate_proj.weight": state[f"{source}gate_up"][0],
        f"{target}up_proj.weight": state[f"{source}gate_up"][1],
        f"{target}down_proj.weight": state[f"{source}down"],
    }


def layer_tensors(state, source, target):
    out = {f"{target}self_attn.{name}.weight": state[f"{source}attention.{ours}"] for ours, name in ATTENTION.items()}
    out[f"{target}input_layernorm.weight"] = state[f"{source}attention_norm.weight"]
    out[f"{target}post_attention_layernorm.weight"] = state[f"{source}mlp_norm.weight"]
    if f"{source}mlp.router" not in state:
        return out | mlp_tensors(state, f"{source}mlp.", f"{target}mlp.")
    out[f"{target}mlp.gate.weight"] = state[f"{source}mlp.router"]
    out[f"{target}mlp.gate.e_score_correction_bias"] = state[f"{source}mlp.bias"]
    out |= mlp_tensors(state, f"{source}mlp.shared.", f"{target}mlp.shared_experts.")
    for e, (gate_up, down) in enumerate(zip(state[f"{source}mlp.gate_up"], state[f"{source}mlp.down"])):
        name = f"{target}mlp.experts.{e}."
        out |= {f"{name}gate_proj.weight": gate_up[0], f"{name}up_proj.weight": gate_up[1], f"{name}down_proj.weight": down}
    return out


def release_tensors(state, config):
    out = {
        "model.embed_tokens.weight": state["embed"],
        "model.norm.weight": state["norm.weight"],
        "lm_head.weight": state["head"],
    }
    for i in range(config.layers):
        out |= layer_tensors(state, f"layers.{i}.", f"model.layers.{i}.")
    extra = f"model.layers.{config.layers}."
    out |= layer_tensors(state, "mtp.layer.", extra)
    out |= {
        f"{extra}embed_tokens.weight": state["embed"],
        f"{extra}enorm.weight": state["mtp.embed_norm.weight"],
        f"{extra}hnorm.weight": state["mtp.hidden_norm.weight"],
        f"{extra}eh_proj.weight": state["mtp.join"],
        f"{extra}shared_head.norm.weight": state["mtp.norm.weight"],
        f"{extra}shared_head.head.weight": state["head"],
    }
    as_stored = lambda name: torch.float32 if name.endswith("correction_bias") else torch.bfloat16
    return {name: tensor.to(as_stored(name)).clone().contiguous() for name, tensor in out.items()}


def model_config(c):
    return {
        "_name_or_path": "coterie/Coterie-Demo",
        "architectures": ["DeepseekV3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "auto_map": {
            "AutoConfig": "configuration_deepseek.DeepseekV3Config",
            "AutoModel": "modeling_deepseek.DeepseekV3Model",
            "AutoModelForCausalLM": "modeling_deepseek.DeepseekV3ForCausalLM",
        },
        "bos_token_id": 0,
        "eos_token_id": 1,
        "ep_size": 1,
        "first_k_dense_replace": c.dense_layers,
        "hidden_act": "silu",
        "hidden_size": c.hidden,
        "initializer_range": 0.02,
        "intermediate_size": c.dense_width,
        "kv_lora_rank": c.kv_rank,
        "max_position_embeddings": 4096,
        "model_type": "deepseek_v3",
        "moe_intermediate_size": c.expert_width,
        "moe_layer_freq": 1,
        "n_group": c.groups,
        "n_routed_experts": c.experts,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_attention_heads": c.heads,
        "num_experts_per_tok": c.chosen,
        "num_hidden_layers": c.layers,
        "num_key_value_heads": c.heads,
        "num_nextn_predict_layers": 1,
        "q_lora_rank": c.q_rank,
        "qk_nope_head_dim": c.nope,
        "qk_rope_head_dim": c.rope,
        "rms_norm_eps": c.eps,
        "rope_scaling": None,
        "rope_theta": int(c.rope_base),
        "routed_scaling_factor": c.scale,
        "scoring_func": "sigmoid",
        "tie_word_embeddings": False,
        "topk_group": c.chosen_groups,
        "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16",
        "transformers_version": "4.46.3",
        "use_cache": True,
        "v_head_dim": c.value,
        "vocab_size": c.vocab,
    }


TOKENIZER = Path(__file__).parent / "checkpoint" / "tokenizer.json"
GENERATION = {"_from_model_config": True, "bos_token_id": 0, "eos_token_id": 1, "do_sample": False}


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--from", dest="source", type=Path, default=Path("coterie-train/checkpoint.pt"))
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "checkpoint")
    options = parser.parse_args()
    checkpoint = torch.load(options.source, map_location="cpu", weights_only=False)
    config = Config(**checkpoint["config"])
    options.to.mkdir(parents=True, exist_ok=True)
    weights = options.to / "model.safetensors"
    save_file(release_tensors(checkpoint["model"], config), weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # the library writes it for its owner only
    write_json(options.to / "config.json", model_config(config))
    write_json(options.to / "generation_config.json", GENERATION)
    write_json(options.to / "tokenizer_config.json", tokenizer_config())
    tokenizer = TOKENIZER.read_bytes()  # the one it was trained with, never a new one
    (options.to / "tokenizer.json").write_bytes(tokenizer)


if __name__ == "__main__":
    main()
