"""From problems to tokens: the prompt format of the demo model, and the exact-match measure used while training."""

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer

from kinds import KINDS
from make_tokenizer import ASSISTANT, BOS, EOS, THINK, THINK_END, USER, text_of
from model import Batch
from problems import LANGUAGES, draw

HERE = Path(__file__).parent


class Text:
    def __init__(self, path=HERE / "checkpoint" / "tokenizer.json"):
        self.tokenizer = Tokenizer.from_file(str(path))
        self.eos = self.tokenizer.token_to_id(EOS)

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def opening(self, prompt):
        """What the chat template makes of one question; the model goes on from here."""
        return f"{BOS}{USER}{prompt}{ASSISTANT}{THINK}\n"

    def example(self, problem):
        """The ids of a worked problem and the index of the first one that the model has to write."""
        prompt, chain, answer = text_of(problem)
        start = self.encode(self.opening(prompt))
        rest = self.encode(f"{chain[1:]}{THINK_END}{answer}{EOS}")
        return start + rest, len(start)


def draw_examples(text, rng, count, weights):
    """`count` training problems: the kind by weight, the language evenly. Returns [(kind, ids, start)],
    short ones first."""
    chosen = rng.choices(KINDS, weights, k=count)
    problems = [draw(kind, LANGUAGES[i % len(LANGUAGES)], rng, held_out=False) for i, kind in enumerate(chosen)]
    return sorted(((p["kind"], *text.example(p)) for p in problems), key=lambda e: len(e[1]))


def make_batch(examples):
    """The batch, the flat rows whose next token counts, those next tokens, and the example of each such row."""
    batch = Batch([ids for _, ids, _ in examples])
    rows, targets, owner, offset = [], [], [], 0
    for i, (_, ids, start) in enumerate(examples):
        rows += range(offset + start - 1, offset + len(ids) - 1)
        targets += ids[start:]
        owner += [i] * (len(ids) - start)
        offset += len(ids)
    return batch, torch.tensor(rows), torch.tensor(targets), torch.tensor(owner)


def exact(logits, targets, owner, count):
    """Per example: does the most likely token equal the written one everywhere? Then greedy decoding writes the very
    same chain and answer, so this is exact match (of chain and answer) for the price of one forward pass."""
    wrong = torch.zeros(count).index_add_(0, owner, (logits.argmax(-1) != targets).float())
    return wrong == 0


@torch.no_grad()
def generate(model, text, prompts, limit=96):
    """Greedy answers to a list of prompts, in one batch that is computed anew for every token."""
    rows = [text.encode(text.opening(p)) for p in prompts]
    starts, live = [len(r) for r in rows], list(range(len(rows)))
    while live:
        batch = Batch([rows[i] for i in live])
        ends = torch.tensor([len(rows[i]) for i in live]).cumsum(0) - 1
        for i, token in zip(live, model.logits(model(batch)[ends]).argmax(-1).tolist()):
            rows[i].append(token)
        live = [i for i in live if rows[i][-1] != text.eos and len(rows[i]) < starts[i] + limit]
    return [text.tokenizer.decode(r[s:], skip_special_tokens=False) for r, s in zip(rows, starts)]


def answer_of(output):
    """The last line after the reasoning, as `coterie eval` reads it."""
    lines = output.split(THINK_END)[-1].replace(EOS, "").strip().splitlines()
    return lines[-1].strip() if lines else ""


def seeded(*parts):
    return random.Random("-".join(map(str, parts)))
