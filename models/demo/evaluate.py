#!/usr/bin/env python3
"""Greedy answers of a training checkpoint, at stored (bfloat16) precision, to held-out problems: exact match.

    evaluate.py --from coterie-train/checkpoint.pt --seed 5 --count 300 [--show 10]
"""

import argparse
import json
from pathlib import Path

import torch

from check_export import stored_model
from problems import evaluation_set
from text import Text, answer_of, generate


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--from", dest="source", type=Path, default=Path("coterie-train/checkpoint.pt"))
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--show", type=int, default=0, help="print this many wrong answers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, text = stored_model(options.source), Text()
    model.kind = torch.bfloat16  # twice as fast; the weights are bfloat16 either way
    problems, groups = list(evaluation_set(options.seed, options.count)), {}
    outputs = []
    for i in range(0, len(problems), 60):
        outputs += generate(model, text, [p["prompt"] for p in problems[i : i + 60]])
    for p, output in zip(problems, outputs):
        right = answer_of(output) == p["answer"]
        for name in ("overall", p["family"], p["language"], p["kind"]):
            groups.setdefault(name, []).append(right)
        if not right and options.show:
            options.show -= 1
            print(f"{p['prompt']}\n-- {output}\n-- expected {p['chain']} : {p['answer']}\n")
    print(json.dumps({name: round(sum(r) / len(r), 3) for name, r in groups.items()}, indent=1))


if __name__ == "__main__":
    main()
