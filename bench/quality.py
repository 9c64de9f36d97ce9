#!/usr/bin/env python3
"""Quality per byte: the demo model in every type and mix, and in files made for a byte budget, each against the BF16
original. Prints a table (Markdown), writes the figures as JSON and draws KL divergence against bytes.

  bench/quality.py build/coterie [--folder DIR] [--tokens N] [--json FILE] [--svg FILE] [--only NAME ...]

Standard library only. The text to measure on is held-out problems of the demo model, worked; the texts to calibrate on
and to measure effects with are training problems. Everything is drawn from fixed seeds. The perplexity is that of the
whole text; the model was never trained to predict a question, which makes it large. "Exact match" is on answers.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "models/demo"))

from kinds import KINDS  # noqa: E402
from problems import LANGUAGES, draw  # noqa: E402

MIXES = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "Q2_K_S", "Q2_K", "IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M",
         "Q3_K_S", "Q3_K_M", "Q3_K_L", "IQ4_XS", "IQ4_NL", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"]
PLAIN = ["TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
FIT_AT = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_M", "Q2_K", "IQ3_XXS", "Q3_K_M", "IQ4_XS", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"]  # budgets: their bytes
BOS, EOS, USER, ASSISTANT = (f"<\uff5c{name}\uff5c>" for name in ("begin\u2581of\u2581sentence",
                                                                     "end\u2581of\u2581sentence", "User", "Assistant"))


def worked_problems(seed, characters, held_out):
    rng = random.Random(seed)
    parts = []
    while sum(map(len, parts)) < characters:
        problem = draw(rng.choice(KINDS), rng.choice(LANGUAGES), rng, held_out)
        parts.append(f"{BOS}{USER}{problem['prompt']}{ASSISTANT}<think>\n{problem['chain']}\n</think>\n\n"
                     f"{problem['answer']}{EOS}")
    return "".join(parts)


def problems_text(seed, n):
    rng = random.Random(seed)
    drawn = [draw(rng.choice(KINDS), rng.choice(LANGUAGES), rng, True) for _ in range(n)]
    keys = ("family", "language", "prompt", "answer")
    return "".join(json.dumps({"id": i} | {k: p[k] for k in keys}, ensure_ascii=False) + "\n" for i, p in enumerate(drawn))


class Quality:
    def __init__(self, program, folder, characters):
        self.program, self.folder = program, Path(folder)
        self.original = self.folder / "original.gguf"
        self.matrix = self.folder / "demo.imatrix.gguf"
        self.text = self.folder / "held-out.txt"
        self.text.write_text(worked_problems(1001, characters, True))
        self.problems = self.folder / "problems.jsonl"
        self.problems.write_text(problems_text(2002, 100))
        calibration = self.folder / "calibration.txt"
        calibration.write_text(worked_problems(7, 2 * characters, False))
        self.run("convert", ROOT / "models/demo/checkpoint", self.original, "--type", "BF16", "--mtp", "none")
        self.run("calibrate", self.original, calibration, "--special", "-o", self.matrix)
        probe = self.folder / "probe.txt"  # read once per tensor
        probe.write_text(worked_problems(8, characters // 2, False))
        self.effects = self.folder / "effects.txt"
        self.run("quantize", self.original, self.folder / "none.gguf", "--imatrix", self.matrix, "--fit", "0.5x", "--text", probe,
                 "--effects", self.effects, "--dry-run")

    def run(self, *words):
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def measure(self, name, *options):
        out = self.folder / "quantized.gguf"
        out.unlink(missing_ok=True)
        self.run("quantize", self.original, out, "--imatrix", self.matrix, *options)
        score = json.loads(self.run("eval", out, "--special", "--text", self.text, "--reference", self.original, "--json"))
        found = {"name": name, "bytes": out.stat().st_size}
        found |= {key: score[key] for key in ("kl_mean", "kl_p99", "kl_max", "top1_agreement", "perplexity")}
        found["exact_match"] = json.loads(self.run("eval", out, "--problems", self.problems, "-n", 256, "--json"))["overall"]
        out.unlink()
        print(f"{name:10} {found['bytes']:>10} bytes   KL {found['kl_mean']:.5f}   exact {found['exact_match']:.2f}", file=sys.stderr)
        return found


def table(rows):
    lines = ["| | bytes | KL mean | KL p99 | KL max | top-1 | perplexity | exact match |",
             "| --- | --: | --: | --: | --: | --: | --: | --: |"]
    for r in sorted(rows, key=lambda r: (r["bytes"], r["name"])):
        lines.append(f"| {r['name']} | {r['bytes']:,} | {r['kl_mean']:.5f} | {r['kl_p99']:.4f} | {r['kl_max']:.2f} "
                     f"| {100 * r['top1_agreement']:.2f} % | {r['perplexity']:.1f} | {100 * r['exact_match']:.0f} % |")
    return "\n".join(lines)


def best_fixed(rows, size):
    """The lowest KL among the fixed types and mixes that are no larger."""
    return min((r for r in rows if r["bytes"] <= size), key=lambda r: r["kl_mean"])


def svg(fixed, fitted):
    width, height, left, bottom = 760, 460, 70, 50
    points = fixed + fitted
    x0, x1 = 0.95 * min(r["bytes"] for r in points), 1.05 * max(r["bytes"] for r in points)
    floor = 1e-7
    y0 = math.floor(math.log10(max(floor, min(r["kl_mean"] for r in points))))
    y1 = math.ceil(math.log10(max(r["kl_mean"] for r in points)))

    def place(r):
        x = left + (math.log(r["bytes"]) - math.log(x0)) / (math.log(x1) - math.log(x0)) * (width - left - 20)
        y = height - bottom - (math.log10(max(floor, r["kl_mean"])) - y0) / (y1 - y0) * (height - bottom - 30)
        return x, y

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="18" font-size="13">Mean KL divergence from BF16 against bytes, demo model '
           '(grey: fixed types and mixes, blue: --fit)</text>']
    for exponent in range(y0, y1 + 1):
        _, y = place({"bytes": x0, "kl_mean": 10.0 ** exponent})
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
                   f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">1e{exponent}</text>')
    for megabytes in (3, 4, 5, 6, 8, 10, 12, 14, 20):
        if x0 < megabytes * 1e6 < x1:
            x, _ = place({"bytes": megabytes * 1e6, "kl_mean": 1})
            out.append(f'<text x="{x:.0f}" y="{height - bottom + 18}" text-anchor="middle">{megabytes} MB</text>')
    for r in fixed:
        x, y = place(r)
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#777"/><text x="{x + 5:.1f}" y="{y - 4:.1f}" fill="#555">{r["name"]}</text>')
    line = sorted(map(place, fitted))
    if line:
        out.append('<polyline fill="none" stroke="#2d6fc9" stroke-width="2" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in line) + '"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#2d6fc9"/>' for x, y in line]
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--folder", help="where to work; left out: a temporary one")
    parser.add_argument("--characters", type=int, default=20000, help="of the held-out text")
    parser.add_argument("--json", default=str(ROOT / "bench/quality.json"))
    parser.add_argument("--svg", default=str(ROOT / "bench/quality.svg"))
    parser.add_argument("--only", nargs="*", help="these types and mixes alone, and --fit at their sizes")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        quality = Quality(a.program, a.folder or scratch, a.characters)
        wanted = a.only or MIXES + PLAIN
        fixed = [quality.measure(name, "--type", name) for name in wanted]
        sizes = {r["name"]: r["bytes"] for r in fixed}
        fitted = []
        for name in FIT_AT if not a.only else a.only:
            row = quality.measure(f"fit {name}", "--fit", sizes[name], "--effects", quality.effects)
            rival = best_fixed(fixed, sizes[name])
            row |= {"budget": sizes[name], "best_fixed": rival["name"], "ratio": row["kl_mean"] / rival["kl_mean"]}
            fitted.append(row)
    print(table(fixed + fitted))
    for r in fitted:
        print(f"\n{r['name']}: {r['bytes']:,} of {r['budget']:,} bytes, KL {r['ratio']:.3f} of {r['best_fixed']}'s", end="")
    print()
    Path(a.json).write_text(json.dumps({"fixed": fixed, "fit": fitted}, indent=1) + "\n")
    Path(a.svg).write_text(svg(fixed, fitted))


if __name__ == "__main__":
    main()
