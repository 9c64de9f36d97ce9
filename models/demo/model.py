"""The architecture of DeepSeek-V3 in a few pages of PyTorch, sized for one CPU core.

Multi-head latent attention with a low-rank query, a dense first layer, then routed experts (sigmoid scores, group-limited
selection with a correction bias, weights normalised and scaled) beside one shared expert, and a layer that predicts
the token after the next. Tokens of a batch lie in one flat row per token, without padding; only attention pads.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Config:
    vocab: int = 1024
    hidden: int = 256
    layers: int = 4
    dense_layers: int = 1
    dense_width: int = 512
    heads: int = 8
    nope: int = 32  # head dimensions without position
    rope: int = 32  # head dimensions with position, the key's shared by all heads
    value: int = 32
    q_rank: int = 256
    kv_rank: int = 256
    experts: int = 16
    expert_width: int = 256
    chosen: int = 2  # experts per token
    groups: int = 4
    chosen_groups: int = 2
    scale: float = 2.5
    rope_base: float = 10000.0
    eps: float = 1e-6

    as_dict = asdict


def weight(*shape, gain=1.0):
    """A matrix [.., out, in] whose outputs keep the size of its inputs, times `gain`."""
    return nn.Parameter(torch.randn(*shape) * gain * shape[-1] ** -0.5)


def linear(x, w):
    return F.linear(x, w.to(x.dtype))


class Norm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight, self.eps)


class Batch:
    """Token ids in flat rows with their positions, and how attention lays them out as [sequence, position].

    Sequences that follow each other share a padded block; sorted by length, little of a block is padding.
    """

    def __init__(self, sequences, block=32):
        self.ids = torch.tensor([t for s in sequences for t in s])
        self.positions = torch.cat([torch.arange(len(s)) for s in sequences])
        self.blocks = []  # (flat rows of the block, their range in it, the place of each row in it, causal mask)
        start = 0
        for first in range(0, len(sequences), block):
            lengths = torch.tensor([len(s) for s in sequences[first : first + block]])
            longest, rows = int(lengths.max()), int(lengths.sum())
            column = torch.arange(longest).expand(len(lengths), longest)
            used = column < lengths[:, None]
            begins = torch.cumsum(lengths, 0) - lengths
            padded = torch.where(used, begins[:, None] + column, 0)  # row 0 stands in where there is none
            later = torch.full((longest, longest), -1e9).triu(1)
            self.blocks.append((slice(start, start + rows), padded, used.flatten().nonzero().squeeze(1), later))
            start += rows

    def attend(self, q, k, v):
        """Causal attention of flat rows [rows, heads, width], one padded block after the other."""
        mixed = []
        for rows, padded, flat, later in self.blocks:
            bq, bk, bv = (
                t[rows].index_select(0, padded.flatten()).unflatten(0, padded.shape).transpose(1, 2) for t in (q, k, v)
            )
            weights = (bq @ bk.mT + later.to(q.dtype)).softmax(-1)
            mixed.append((weights @ bv).transpose(1, 2).flatten(0, 1).index_select(0, flat))
        return torch.cat(mixed)


def rotation(config, positions):
    frequencies = config.rope_base ** (-torch.arange(0, config.rope, 2) / config.rope)
    angles = positions[:, None].float() * frequencies
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """Turns neighbouring pairs (2i, 2i + 1) of the last dimension, as the release does. x: [rows, heads, rope]."""
    even, odd = x[..., 0::2].float(), x[..., 1::2].float()
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.q_a = weight(c.q_rank, c.hidden)
        self.q_a_norm = Norm(c.q_rank, c.eps)
        self.q_b = weight(c.heads * (c.nope + c.rope), c.q_rank)
        self.kv_a = weight(c.kv_rank + c.rope, c.hidden)
        self.kv_a_norm = Norm(c.kv_rank, c.eps)
        self.kv_b = weight(c.heads * (c.nope + c.value), c.kv_rank)
        self.o = weight(c.hidden, c.heads * c.value, gain=0.0)

    def forward(self, x, batch, turn):
        c, rows, kind = self.c, len(x), x.dtype
        q = linear(self.q_a_norm(linear(x, self.q_a)).to(kind), self.q_b).view(rows, c.heads, -1)
        latent, k_rope = linear(x, self.kv_a).split((c.kv_rank, c.rope), -1)
        kv = linear(self.kv_a_norm(latent).to(kind), self.kv_b).view(rows, c.heads, -1)
        k_rope = rotate(k_rope[:, None], *turn).expand(-1, c.heads, -1)
        q = torch.cat((q[..., : c.nope], rotate(q[..., c.nope :], *turn)), -1)
        k = torch.cat((kv[..., : c.nope], k_rope), -1)
        mixed = batch.attend(q * (c.nope + c.rope) ** -0.5, k, kv[..., c.nope :])
        return linear(mixed.flatten(1), self.o)


class Dense(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_up = weight(2, width, hidden)
        self.down = weight(hidden, width, gain=0.0)

    def forward(self, x):
        return linear(F.silu(linear(x, self.gate_up[0])) * linear(x, self.gate_up[1]), self.down)


class Experts(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.router = weight(c.experts, c.hidden)
        self.register_buffer("bias", torch.zeros(c.experts))
        self.register_buffer("load", torch.zeros(c.experts), persistent=False)
        self.gate_up = weight(c.experts, 2, c.expert_width, c.hidden)
        self.down = weight(c.experts, c.hidden, c.expert_width, gain=0.0)
        self.shared = Dense(c.hidden, c.expert_width)

    def choose(self, x):
        """The experts of each row and their weights: the bias takes part in the choice, not in the weights."""
        c = self.c
        scores = torch.sigmoid(F.linear(x.float(), self.router))
        biased = (scores.detach() + self.bias).view(len(x), c.groups, -1)
        best = biased.topk(2, -1).values.sum(-1).topk(c.chosen_groups, -1).indices
        allowed = torch.zeros(len(x), c.groups, dtype=torch.bool).scatter_(1, best, True)
        chosen = biased.masked_fill(~allowed[..., None], -1e9).flatten(1).topk(c.chosen, -1).indices
        weights = scores.gather(1, chosen)
        return chosen, c.scale * weights / (weights.sum(-1, keepdim=True) + 1e-20)

    def forward(self, x):
        chosen, weights = self.choose(x)
        order = chosen.flatten().argsort(stable=True)
        counts = torch.bincount(chosen.flatten(), minlength=self.c.experts)
        if self.training:
            self.load += counts
        rows = order // self.c.chosen
        gate_up, down = self.gate_up.to(x.dtype), self.down.to(x.dtype)
        parts = []
        for e, part in enumerate(x.index_select(0, rows).split(counts.tolist())):
            inner = F.silu(F.linear(part, gate_up[e, 0])) * F.linear(part, gate_up[e, 1])
            parts.append(F.linear(inner, down[e]))
        routed = torch.cat(parts) * weights.flatten().index_select(0, order)[:, None].to(x.dtype)
        return self.shared(x) + torch.zeros_like(x).index_add_(0, rows, routed)


class Layer(nn.Module):
    def __init__(self, c, dense):
        super().__init__()
        self.attention_norm, self.mlp_norm = Norm(c.hidden, c.eps), Norm(c.hidden, c.eps)
        self.attention = Attention(c)
        self.mlp = Dense(c.hidden, c.dense_width) if dense else Experts(c)

    def forward(self, x, batch, turn, kind):
        x = x + self.attention(self.attention_norm(x).to(kind), batch, turn)
        return x + self.mlp(self.mlp_norm(x).to(kind))


class NextNext(nn.Module):
    """The multi-token-prediction layer: from the state at token i and token i + 1 it predicts token i + 2."""

    def __init__(self, c):
        super().__init__()
        self.embed_norm, self.hidden_norm = Norm(c.hidden, c.eps), Norm(c.hidden, c.eps)
        self.join = weight(c.hidden, 2 * c.hidden)
        self.layer = Layer(c, dense=False)
        self.norm = Norm(c.hidden, c.eps)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.config = config
        self.embed = nn.Parameter(torch.randn(c.vocab, c.hidden) * 0.3)
        self.layers = nn.ModuleList(Layer(c, dense=i < c.dense_layers) for i in range(c.layers))
        self.norm = Norm(c.hidden, c.eps)
        self.head = weight(c.vocab, c.hidden, gain=0.1)
        self.mtp = NextNext(c)
        self.kind = torch.bfloat16  # of the matrix products; the residual stream and the norms stay in float32

    def forward(self, batch):
        """The state of every flat row after the final norm."""
        x, turn = self.embed[batch.ids], rotation(self.config, batch.positions)
        for layer in self.layers:
            x = layer(x, batch, turn, self.kind)
        return self.norm(x)

    def logits(self, states):
        return linear(states.to(self.kind), self.head).float()

    def mtp_states(self, batch, states):
        """As forward, for the extra layer. The row of a sequence's last token has no next token and means nothing."""
        following = self.embed[batch.ids.roll(-1)]
        joined = torch.cat((self.mtp.embed_norm(following), self.mtp.hidden_norm(states)), -1)
        x = linear(joined.to(self.kind), self.mtp.join).float()
        return self.mtp.norm(self.mtp.layer(x, batch, rotation(self.config, batch.positions), self.kind))
