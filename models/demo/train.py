#!/usr/bin/env python3
"""Trains the demo model on one CPU core, to a deadline, from problems drawn as they are needed.

    train.py --minutes 110 --out DIR              trains the trunk for 110 minutes, then the extra layer for 8
    train.py --minutes 60 --out DIR               the same command again goes on from DIR/checkpoint.pt

Only the chain of thought and the answer count in the loss; the question is read, not learned. Kinds of problem that
still fail are drawn more often. The learning rate falls to zero at the deadline: progress, not the step count, drives
it, so a slower machine gives a shorter but complete schedule. The multi-token-prediction layer is trained last, on
the finished and frozen trunk, so that it costs the trunk nothing.
"""

import argparse
import csv
import os
import signal
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from kinds import KINDS
from model import Config, Model
from optimizer import Optimizer
from problems import evaluation_set
from text import Text, draw_examples, exact, make_batch, seeded

CHECKPOINT = "checkpoint.pt"


def rate_factor(progress, warm=0.01, hold=0.3):
    """A short warm-up, a plateau, then a straight line to zero."""
    return min(1.0, progress / warm + 0.02, (1.0 - progress) / (1.0 - hold))


def atomic_save(value, path):
    torch.save(value, f"{path}.part")
    os.replace(f"{path}.part", path)


class Run:
    """The model, its optimizer and everything that a checkpoint must hold to go on."""

    def __init__(self, options):
        torch.manual_seed(options.seed)
        self.options, self.text, self.model = options, Text(), Model(Config())
        named = list(self.model.named_parameters())
        self.trunk = Optimizer([(n, p) for n, p in named if not n.startswith("mtp.")], options.matrix_rate, options.rate)
        self.extra = Optimizer([(n, p) for n, p in named if n.startswith("mtp.")], options.matrix_rate, options.rate)
        self.step = self.tokens = self.problems = 0
        self.progress, self.seconds = {"trunk": 0.0, "mtp": 0.0}, 0.0
        self.rates = {kind.name: 0.0 for kind in KINDS}  # running share of exactly solved fresh problems
        self.stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "stopped", True))
        options.out.mkdir(parents=True, exist_ok=True)
        if (options.out / CHECKPOINT).exists():
            self.load()

    def load(self):
        state = torch.load(self.options.out / CHECKPOINT, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.trunk.load(state["trunk"])
        self.extra.load(state["extra"])
        for name in ("step", "tokens", "problems", "progress", "seconds"):
            setattr(self, name, state[name])
        self.rates.update({k: v for k, v in state["rates"].items() if k in self.rates})
        print(f"goes on at step {self.step}, {self.tokens} tokens, progress {self.progress}", flush=True)

    def save(self):
        state = {name: getattr(self, name) for name in ("step", "tokens", "problems", "progress", "seconds", "rates")}
        state |= {"model": self.model.state_dict(), "trunk": self.trunk.state(), "extra": self.extra.state()}
        state["config"] = self.model.config.as_dict()
        atomic_save(state, self.options.out / CHECKPOINT)

    def draw(self):
        """Fresh problems, the same for the same seed and step; kinds that fail more come more often."""
        weights = [0.2 + (1.0 - self.rates[kind.name]) for kind in KINDS]
        examples = draw_examples(self.text, seeded(self.options.seed, self.step), self.options.batch, weights)
        batch, rows, targets, owner = make_batch(examples)
        self.step += 1
        self.tokens += len(batch.ids)
        self.problems += len(examples)
        return examples, batch, rows, targets, owner

    def trunk_step(self, factor):
        examples, batch, rows, targets, owner = self.draw()
        self.model.train()
        logits = self.model.logits(self.model(batch)[rows])
        loss = F.cross_entropy(logits, targets)
        loss.backward()
        self.trunk.step(factor)
        self.balance(self.model.layers, factor)
        for (kind, _, _), solved in zip(examples, exact(logits.detach(), targets, owner, len(examples)).tolist()):
            self.rates[kind] += 0.02 * (solved - self.rates[kind])
        return loss.item()

    def mtp_step(self, factor):
        """The row of token i, with token i + 1, predicts token i + 2: the target is that of the next row."""
        _, batch, rows, targets, owner = self.draw()
        self.model.train()
        with torch.no_grad():
            states = self.model(batch)
        keep = owner[1:] == owner[:-1]
        logits = self.model.logits(self.model.mtp_states(batch, states)[rows[:-1][keep]])
        loss = F.cross_entropy(logits, targets[1:][keep])
        loss.backward()
        self.extra.step(factor)
        self.balance([self.model.mtp.layer], factor)
        for p in self.model.parameters():
            p.grad = None  # the embedding and the head stay as they are
        return loss.item()

    def balance(self, layers, factor, speed=0.005):
        """Moves each expert's bias towards an even load; it only decides who is chosen."""
        for experts in (layer.mlp for layer in layers if hasattr(layer.mlp, "router")):
            mean = experts.load.mean()
            experts.last_load = experts.load / mean
            experts.bias += factor * speed * ((mean - experts.load) / mean).clamp(-1, 1)
            experts.load.zero_()

    def load_range(self):
        layers = [layer for layer in self.model.layers if hasattr(layer.mlp, "last_load")]
        return " ".join(f"{l.mlp.last_load.min():.2f}-{l.mlp.last_load.max():.2f}" for l in layers)

    @torch.no_grad()
    def evaluate(self, count=600, seed=20240501):
        """Share of held-out problems solved exactly, by kind, family and language (see text.exact)."""
        self.model.eval()
        problems, solved = list(evaluation_set(seed, count)), []
        for i in range(0, count, 100):
            examples = [(p["kind"], *self.text.example(p)) for p in problems[i : i + 100]]
            batch, rows, targets, owner = make_batch(examples)
            solved += exact(self.model.logits(self.model(batch)[rows]), targets, owner, len(examples)).tolist()
        groups = {"all": solved}
        for p, s in zip(problems, solved):
            for name in (p["family"], p["language"], p["kind"]):
                groups.setdefault(name, []).append(s)
        return {name: sum(s) / len(s) for name, s in groups.items()}


class Log:
    """The loss curve as a table: one row a minute, held-out accuracy in those rows where it was measured."""

    def __init__(self, path):
        new = not path.exists()
        self.file = open(path, "a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        if new:
            self.writer.writerow(("stage", "minutes", "step", "tokens", "loss", "held_out_exact"))

    def row(self, stage, run, loss, accuracy=""):
        self.writer.writerow((stage, f"{run.seconds / 60:.2f}", run.step, run.tokens, f"{loss:.5f}", accuracy))
        self.file.flush()


def train_stage(run, stage, minutes, log):
    """Steps until `minutes` have passed; a stage that was interrupted spreads the rest of its schedule over them."""
    start, begin, base = time.time(), run.progress[stage], run.seconds
    step = run.trunk_step if stage == "trunk" else run.mtp_step
    mean, marks = None, {"log": start, "save": start, "evaluate": start}

    def due(name, seconds):
        if time.time() - marks[name] < seconds:
            return False
        marks[name] = time.time()
        return True

    while run.progress[stage] < 1.0:
        loss = step(rate_factor(run.progress[stage]))
        mean = loss if mean is None else mean + 0.05 * (loss - mean)
        run.seconds = base + time.time() - start
        run.progress[stage] = min(1.0, begin + (1.0 - begin) * (time.time() - start) / (60 * minutes))
        if due("log", 60):
            accuracy = run.evaluate() if stage == "trunk" and due("evaluate", 480) else {}
            log.row(stage, run, mean, accuracy.get("all", ""))
            print(f"{stage} {run.seconds / 60:.1f} min, step {run.step}, {run.tokens / 1e6:.2f} M tokens, loss {mean:.4f}, "
                  f"load {run.load_range()}, solved {sum(run.rates.values()) / len(run.rates):.3f}", flush=True)
            if accuracy:
                print("  held out:", ", ".join(f"{k} {v:.2f}" for k, v in accuracy.items()), flush=True)
        if due("save", 300) or run.stopped:
            run.save()
        if run.stopped:
            raise SystemExit("stopped; the same command goes on from here")
    run.save()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("coterie-train"), help="folder of the checkpoint and the log")
    parser.add_argument("--minutes", type=float, default=110)
    parser.add_argument("--mtp-minutes", type=float, default=8)
    parser.add_argument("--batch", type=int, default=80, help="problems per step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--matrix-rate", type=float, default=0.02)
    parser.add_argument("--rate", type=float, default=4e-3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = Run(options)
    log = Log(options.out / "loss.csv")
    train_stage(run, "trunk", options.minutes, log)
    print("held out:", run.evaluate(1500), flush=True)
    train_stage(run, "mtp", options.mtp_minutes, log)


if __name__ == "__main__":
    main()
