#!/usr/bin/env python3
"""Draws the recorded loss curve as an SVG picture: plot_loss.py loss.csv loss.svg (standard library only).

Blue: the loss of the chain and answer tokens (running mean, logarithmic, left). Orange: the share of held-out
problems solved exactly while training went on (right).
"""

import csv
import math
import sys

WIDTH, HEIGHT, MARGIN = 760, 380, 56
LOSSES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def polyline(points, colour):
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def label(x, y, text, anchor="middle", colour="#333"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def picture(rows):
    last = max(float(r["tokens"]) for r in rows) or 1.0
    trunk = [r for r in rows if r["stage"] == "trunk"]
    measured = [r for r in trunk if r["held_out_exact"]]
    low, high = math.log(LOSSES[0]), math.log(LOSSES[-1])
    x = lambda tokens: MARGIN + float(tokens) / last * (WIDTH - 2 * MARGIN)
    y = lambda share: HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
    y_loss = lambda loss: y((math.log(min(max(float(loss), LOSSES[0]), LOSSES[-1])) - low) / (high - low))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for loss in LOSSES:
        out += [f'<path stroke="#ddd" d="M{MARGIN} {y_loss(loss):.1f}H{WIDTH - MARGIN}"/>',
                label(MARGIN - 8, y_loss(loss) + 4, f"{loss:g}", "end", "#1f77b4")]
    out += [label(WIDTH - MARGIN + 8, y(share / 100) + 4, f"{share}%", "start", "#d95f02") for share in range(0, 101, 20)]
    step = 10 ** math.floor(math.log10(last)) / (1 if last / 10 ** math.floor(math.log10(last)) > 4 else 2)
    out += [label(x(i * step), HEIGHT - MARGIN + 20, f"{i * step / 1e6:g} M") for i in range(int(last / step) + 1)]
    out += [polyline([(x(r["tokens"]), y_loss(r["loss"])) for r in trunk], "#1f77b4"),
            polyline([(x(r["tokens"]), y(float(r["held_out_exact"]))) for r in measured], "#d95f02"),
            label(WIDTH / 2, HEIGHT - 12, "training tokens"),
            label(MARGIN, 24, "loss of chain and answer", "start", "#1f77b4"),
            label(WIDTH - MARGIN, 24, "held-out problems solved exactly", "end", "#d95f02"), "</svg>"]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source, open(sys.argv[2], "w", encoding="utf-8") as target:
        target.write(picture(list(csv.DictReader(source))))
