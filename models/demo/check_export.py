#!/usr/bin/env python3
"""Checks an exported folder: a second, plain numpy forward pass over its files must agree with the training code.

    check_export.py --from coterie-train/checkpoint.pt --folder models/demo/checkpoint

The two share no code: this one knows only the release's tensor names, its config.json and the formulas of the
architecture (one sequence, no cache, no grouping of experts). Both compute in float32 with the weights as stored.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from model import Batch, Config, Model
from problems import evaluation_set
from text import Text

TOLERANCE = 2e-4


class Plain:
    def __init__(self, folder):
        self.c = json.loads((folder / "config.json").read_text())
        self.t = {name: t.float().numpy() for name, t in load_file(folder / "model.safetensors").items()}

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.c["rms_norm_eps"]) * self.t[name]

    def gated(self, x, name):
        gate, up, down = (self.t[f"{name}{part}_proj.weight"].T for part in ("gate", "up", "down"))
        g = x @ gate
        return (g / (1 + np.exp(-g)) * (x @ up)) @ down

    def rotate(self, x):
        """x: [heads, positions, rope]; neighbouring dimensions form a complex number that turns with the position."""
        width = x.shape[-1]
        angles = np.arange(x.shape[-2])[:, None] * self.c["rope_theta"] ** (-np.arange(0, width, 2) / width)
        turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)
        return np.stack((turned.real, turned.imag), -1).reshape(x.shape)

    def attention(self, x, name):
        c, n = self.c, len(x)
        heads, nope, rope, rank = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["kv_lora_rank"]
        split = lambda t: t.reshape(n, heads, -1).transpose(1, 0, 2)
        w = lambda part: self.t[f"{name}{part}.weight"].T
        q = split(self.norm(x @ w("q_a_proj"), f"{name}q_a_layernorm.weight") @ w("q_b_proj"))
        compressed = x @ w("kv_a_proj_with_mqa")
        kv = split(self.norm(compressed[:, :rank], f"{name}kv_a_layernorm.weight") @ w("kv_b_proj"))
        k_rope = self.rotate(compressed[None, :, rank:])
        scores = q[..., :nope] @ kv[..., :nope].transpose(0, 2, 1) + self.rotate(q[..., nope:]) @ k_rope.transpose(0, 2, 1)
        scores = scores / np.sqrt(nope + rope) + np.triu(np.full((n, n), -np.inf), 1)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (p / p.sum(-1, keepdims=True)) @ kv[..., nope:]
        return mixed.transpose(1, 0, 2).reshape(n, -1) @ w("o_proj")

    def routed(self, x, name):
        c = self.c
        out = self.gated(x, f"{name}shared_experts.")
        scores = 1 / (1 + np.exp(-(x @ self.t[f"{name}gate.weight"].T)))
        for row, s in enumerate(scores):
            biased = (s + self.t[f"{name}gate.e_score_correction_bias"]).reshape(c["n_group"], -1)
            groups = np.argsort(-np.sort(biased, -1)[:, -2:].sum(-1))[: c["topk_group"]]
            allowed = np.full_like(biased, -np.inf)
            allowed[groups] = biased[groups]
            chosen = np.argsort(-allowed.ravel())[: c["num_experts_per_tok"]]
            for e in chosen:
                share = s[e] / s[chosen].sum() * c["routed_scaling_factor"]
                out[row] += share * self.gated(x[row], f"{name}experts.{e}.")
        return out

    def layer(self, x, i):
        name = f"model.layers.{i}."
        x = x + self.attention(self.norm(x, f"{name}input_layernorm.weight"), f"{name}self_attn.")
        h = self.norm(x, f"{name}post_attention_layernorm.weight")
        dense = i < self.c["first_k_dense_replace"]
        return x + (self.gated(h, f"{name}mlp.") if dense else self.routed(h, f"{name}mlp."))

    def forward(self, ids):
        """Logits of every position, and the extra layer's logits of every position but the last."""
        x, extra = self.t["model.embed_tokens.weight"][ids], self.c["num_hidden_layers"]
        for i in range(extra):
            x = self.layer(x, i)
        x = self.norm(x, "model.norm.weight")
        name = f"model.layers.{extra}."
        following = self.norm(self.t[f"{name}embed_tokens.weight"][ids[1:]], f"{name}enorm.weight")
        joined = np.concatenate((following, self.norm(x[:-1], f"{name}hnorm.weight")), -1)
        y = self.layer(joined @ self.t[f"{name}eh_proj.weight"].T, extra)
        y = self.norm(y, f"{name}shared_head.norm.weight") @ self.t[f"{name}shared_head.head.weight"].T
        return x @ self.t["lm_head.weight"].T, y


def stored_model(path):
    """The training model with its weights rounded as they are stored, computing in float32."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model = Model(Config(**checkpoint["config"])).eval()
    rounded = lambda name, t: t if name.endswith("bias") else t.bfloat16().float()
    model.load_state_dict({name: rounded(name, t) for name, t in checkpoint["model"].items()})
    model.kind = torch.float32
    return model


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--from", dest="source", type=Path, default=Path("coterie-train/checkpoint.pt"))
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "checkpoint")
    parser.add_argument("--count", type=int, default=15)
    options = parser.parse_args()
    model, plain, text = stored_model(options.source), Plain(options.folder), Text(options.folder / "tokenizer.json")
    worst = 0.0
    for problem in evaluation_set(11, options.count):
        ids, _ = text.example(problem)
        batch = Batch([ids])
        states = model(batch)
        main_logits, extra_logits = plain.forward(np.array(ids))
        ours = (model.logits(states), model.logits(model.mtp_states(Batch([ids]), states))[:-1])
        worst = max(worst, *(float(np.abs(a.numpy() - b).max()) for a, b in zip(ours, (main_logits, extra_logits))))
    print(f"largest difference of a logit over {options.count} problems: {worst:.2e} (allowed {TOLERANCE})")
    raise SystemExit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
