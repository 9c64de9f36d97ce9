"""Muon for the matrices, Adam for the rest.

Muon (Keller Jordan, 2024) replaces the momentum of a matrix by the nearest matrix whose singular values are all about
one, found by a Newton-Schulz iteration, so that a step moves all directions alike. It learns these problems with
several times fewer tokens than Adam, at a fixed cost per step.
"""

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUTER_SHARE = 0.15  # of Adam's rate: a router that moves faster than its bias can follow leaves experts without tokens


def orthogonalize(g, steps=4):
    """g: [.., rows, columns], in bfloat16. Rows and columns exchange so that the square products are the small ones."""
    a, b, c = COEFFICIENTS
    wide = g.shape[-2] <= g.shape[-1]
    x = g.bfloat16() if wide else g.bfloat16().mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x if wide else x.mT


class Optimizer:
    def __init__(self, named, matrix_rate=0.02, rate=4e-3, momentum=0.95, decay=0.01):
        self.parameters = dict(named)
        is_matrix = lambda n, p: p.ndim >= 2 and not n.endswith(("embed", "head", "router"))
        self.matrices = {n for n, p in self.parameters.items() if is_matrix(n, p)}
        self.matrix_rate, self.rate, self.momentum, self.decay = matrix_rate, rate, momentum, decay
        self.first = {n: torch.zeros_like(p) for n, p in self.parameters.items()}
        self.second = {n: torch.zeros_like(p) for n, p in self.parameters.items() if n not in self.matrices}
        self.count = 0

    @torch.no_grad()
    def step(self, factor):
        """One step with all rates times `factor`; clears the gradients."""
        self.count += 1
        for name, p in self.parameters.items():
            if p.grad is None:
                continue
            (self.step_matrix if name in self.matrices else self.step_adam)(name, p, factor)
            p.grad = None

    def step_matrix(self, name, p, factor):
        mean = self.first[name].mul_(self.momentum).add_(p.grad)
        update = orthogonalize(p.grad + self.momentum * mean).float()
        rate = factor * self.matrix_rate
        p.mul_(1 - rate * self.decay)
        p.sub_(update * (rate * max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5))

    def step_adam(self, name, p, factor, betas=(0.9, 0.98)):
        first = self.first[name].lerp_(p.grad, 1 - betas[0])
        second = self.second[name].lerp_(p.grad.square(), 1 - betas[1])
        size = (second / (1 - betas[1] ** self.count)).sqrt() + 1e-9
        rate = self.rate * (ROUTER_SHARE if name.endswith("router") else 1.0)
        p.sub_(factor * rate / (1 - betas[0] ** self.count) * first / size)

    def state(self):
        return {"first": self.first, "second": self.second, "count": self.count}

    def load(self, state):
        self.count = state["count"]
        for mine, theirs in ((self.first, state["first"]), (self.second, state["second"])):
            for name in mine.keys() & theirs.keys():
                mine[name].copy_(theirs[name])
