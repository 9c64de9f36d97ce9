#!/usr/bin/env python3
"""Prints held-out problems for the demo model, one JSON object a line: {id, family, language, prompt, answer}.

    problems.py --seed 1 --count 120               problems for `coterie eval --problems`
    problems.py --seed 1 --count 3 --solutions     the same, with the kind and the chain of thought

Any seed gives problems that training has never seen: the numbers of a problem (not its wording, not its language)
are hashed, and the hash decides whether the problem belongs to training or to evaluation. So a problem asked in
Spanish here was not trained in English either. Training draws from the other side of the same division.
"""

import argparse
import hashlib
import json
import random
import sys

from kinds import FAMILIES, KINDS
from phrases import WORDS, ask

LANGUAGES = tuple(WORDS)
HELD_OUT_PART = 8  # one problem in this many is kept for evaluation


def is_held_out(kind_name, numbers):
    """Decides by the numbers alone, so that every wording of one problem falls on the same side."""
    text = json.dumps([kind_name, numbers], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()[0] % HELD_OUT_PART == 0


def draw(kind, language, rng, held_out):
    """One problem of a kind, from the asked side of the division."""
    while True:
        numbers = kind.draw(rng)
        if is_held_out(kind.name, numbers) == held_out:
            break
    lines, answer = kind.work(numbers, WORDS[language])
    return {
        "family": kind.family,
        "language": language,
        "prompt": ask(kind.name, numbers, language, rng),
        "answer": answer,
        "kind": kind.name,
        "chain": "\n".join(lines),
        "numbers": numbers,
    }


def evaluation_set(seed, count):
    """Held-out problems in a fixed round over languages, families and kinds; no prompt occurs twice if avoidable."""
    rng, seen = random.Random(seed), set()
    kinds = {family: [k for k in KINDS if k.family == family] for family in FAMILIES}
    for i in range(count):
        turn, cell = divmod(i, len(FAMILIES) * len(LANGUAGES))
        language, family = LANGUAGES[cell % len(LANGUAGES)], FAMILIES[cell // len(LANGUAGES)]
        kind = kinds[family][(turn + cell) % len(kinds[family])]
        for _ in range(100):
            problem = draw(kind, language, rng, held_out=True)
            if problem["prompt"] not in seen:
                break
        seen.add(problem["prompt"])
        yield {"id": f"{seed}-{i}", **problem}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--solutions", action="store_true", help="also print the kind and the chain of thought")
    options = parser.parse_args()
    for problem in evaluation_set(options.seed, options.count):
        del problem["numbers"]
        if not options.solutions:
            del problem["kind"], problem["chain"]
        json.dump(problem, sys.stdout, ensure_ascii=False)
        print()


if __name__ == "__main__":
    main()
