"""The kinds of problem: how each draws its numbers and how each is worked out.

A kind is one function `draw(rng)` that returns the numbers of a problem (a dict of plain values, which is also what
decides whether the problem belongs to training or to evaluation) and one function `work(p, words)` that returns the
lines of the chain of thought and the answer. The wording of the question lives in phrases.py; nothing here knows
more of a language than the few words in `words`.

All kinds share the same few step patterns (add, subtract, multiply in columns), so that a small model learns them
once. Every line is one look-up in a table a child learns: a digit plus a digit, a digit times a digit.
"""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Kind:
    name: str
    family: str
    draw: Callable
    work: Callable


# Step patterns. Each returns lines; the last line ends with the result. Small cases take one line.


def add_lines(a, b):
    """a + b. A one-digit addend takes one line; otherwise column by column, units first, the carry written out."""
    if min(a, b) < 10:
        return [f"{a}+{b}={a + b}"]
    lines, carry = [f"{a}+{b}"], 0
    x, y = str(a)[::-1], str(b)[::-1]
    for i in range(max(len(x), len(y))):
        terms = [d[i] for d in (x, y) if i < len(d)] + ["1"] * carry
        total = sum(map(int, terms))
        if len(terms) > 1:
            lines.append("+".join(terms) + f"={total}")
        carry = total // 10
    return lines + [str(a + b)]


def subtract_lines(a, b):
    """a - b for two-digit a >= b. A borrow makes the upper digit a teen and takes one from the tens."""
    if b < 10:
        return [f"{a}-{b}={a - b}"]
    borrow = a % 10 < b % 10
    units, tens = a % 10 + 10 * borrow, a // 10
    return [
        f"{a}-{b}",
        f"{units}-{b % 10}={units - b % 10}",
        f"{tens}{'-1' * borrow}-{b // 10}={tens - borrow - b // 10}",
        str(a - b),
    ]


def multiply_lines(a, b):
    """a * b for a of one or two digits and one-digit b."""
    if a < 10:
        return [f"{a}*{b}={a * b}"]
    units = a % 10 * b
    tens, carry = a // 10 * b, units // 10
    upper = f"{a // 10}*{b}+{carry}={tens}+{carry}={tens + carry}" if carry else f"{a // 10}*{b}={tens}"
    return [f"{a}*{b}", f"{a % 10}*{b}={units}", upper, str(a * b)]


# Arithmetic and percentages.


def draw_pair(rng):
    return {"a": rng.randint(10, 99), "b": rng.randint(10, 99)}


def work_add(p, _):
    return add_lines(p["a"], p["b"]), str(p["a"] + p["b"])


def draw_ordered_pair(rng):
    a, b = sorted(rng.sample(range(10, 100), 2), reverse=True)
    return {"a": a, "b": b}


def work_subtract(p, _):
    return subtract_lines(p["a"], p["b"]), str(p["a"] - p["b"])


def draw_product(rng):
    return {"a": rng.randint(11, 99), "b": rng.randint(2, 9)}


def work_multiply(p, _):
    return multiply_lines(p["a"], p["b"]), str(p["a"] * p["b"])


def draw_percent(rng):
    return {"rate": 10 * rng.randint(1, 9), "base": 10 * rng.randint(2, 99)}


def work_percent(p, _):
    tenth, tenths = p["base"] // 10, p["rate"] // 10
    lines = [f"{p['base']}*{p['rate']}%={tenth}*{tenths}"]
    return lines + multiply_lines(tenth, tenths)[tenth >= 10 :], str(tenth * tenths)


# Small finance.


def draw_price_change(rng):
    return {"price": 10 * rng.randint(2, 9), "rate": 10 * rng.randint(1, 9), "up": rng.randint(0, 1)}


def work_price_change(p, _):
    change = p["price"] * p["rate"] // 100
    first = f"{p['price']}*{p['rate']}%={p['price'] // 10}*{p['rate'] // 10}={change}"
    steps = add_lines(p["price"], change) if p["up"] else subtract_lines(p["price"], change)
    return [first] + steps, str(p["price"] + change if p["up"] else p["price"] - change)


def draw_interest(rng):
    return {"principal": 100 * rng.randint(1, 9), "rate": rng.randint(2, 9), "years": rng.randint(2, 9)}


def work_interest(p, _):
    yearly = p["principal"] // 100 * p["rate"]
    first = f"{p['principal']}*{p['rate']}%={p['principal'] // 100}*{p['rate']}={yearly}"
    return [first] + multiply_lines(yearly, p["years"]), str(yearly * p["years"])


def draw_growth(rng):
    return {"start": rng.randint(10, 99), "step": rng.randint(2, 9), "times": rng.randint(2, 9)}


def work_growth(p, _):
    grown = p["step"] * p["times"]
    return [f"{p['step']}*{p['times']}={grown}"] + add_lines(p["start"], grown), str(p["start"] + grown)


def draw_change_due(rng):
    count, price = rng.randint(2, 9), rng.randint(2, 9)
    return {"count": count, "price": price, "paid": rng.randint(max(10, count * price + 1), 99)}


def work_change_due(p, _):
    cost = p["count"] * p["price"]
    return [f"{p['count']}*{p['price']}={cost}"] + subtract_lines(p["paid"], cost), str(p["paid"] - cost)


# Dates and units.

MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
UNIT_FACTORS = (7, 24, 60, 12, 100)  # weeks, days, hours, years, metres; phrases.py names them in this order


def draw_weekday(rng):
    return {"day": rng.randint(1, 7), "ahead": rng.randint(2, 30)}


def work_weekday(p, words):
    ahead, lines = p["ahead"], []
    if ahead >= 7:
        lines.append(f"{ahead}-{ahead - ahead % 7}={ahead % 7}")
        ahead %= 7
    target = p["day"] + ahead
    lines += [f"{words['days'][p['day'] - 1]}={p['day']}", f"{p['day']}+{ahead}={target}"]
    if target > 7:
        lines.append(f"{target}-7={target - 7}")
        target -= 7
    return lines, words["days"][target - 1]


def draw_clock(rng):
    return {"hour": rng.randint(1, 22), "minute": 5 * rng.randint(0, 11), "length": 5 * rng.randint(2, 11)}


def work_clock(p, _):
    minute, hour = p["minute"] + p["length"], p["hour"]
    lines = [f"{p['minute']}+{p['length']}={minute}"]
    if minute >= 60:
        lines += [f"{minute}-60={minute - 60}", f"{hour}+1={hour + 1}"]
        minute, hour = minute - 60, hour + 1
    return lines, f"{hour}:{minute:02}"


def draw_units(rng):
    unit = rng.randrange(len(UNIT_FACTORS))
    return {"unit": unit, "big": rng.randint(2, 9), "small": rng.randint(2, UNIT_FACTORS[unit] - 1)}


def work_units(p, _):
    factor = UNIT_FACTORS[p["unit"]]
    whole = p["big"] * factor
    return [f"{p['big']}*{factor}={whole}"] + add_lines(whole, p["small"]), str(whole + p["small"])


def draw_date(rng):
    month = rng.choice([m for m in range(1, 13) if m != 2])  # February's length would depend on the year
    return {"month": month, "day": rng.randint(1, MONTH_DAYS[month - 1]), "ahead": rng.randint(2, 9)}


def work_date(p, words):
    month, day, length = p["month"], p["day"] + p["ahead"], MONTH_DAYS[p["month"] - 1]
    lines = [f"{p['day']}+{p['ahead']}={day}", f"{words['months'][month - 1]}:{length}"]
    if day > length:
        lines += [f"{day}>{length}", f"{day}-{length}={day - length}"]
        day, month = day - length, month % 12 + 1
    else:
        lines.append(f"{day}<={length}")
    return lines, words["date"].format(day=day, month=words["months"][month - 1])


# Tracing a few lines of code.

OPERATIONS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}


def draw_assign(rng):
    a, first, b = rng.randint(2, 9), rng.choice("+-*"), rng.randint(2, 9)
    if first == "-" and a <= b:
        a, first = b, "+"
    middle = OPERATIONS[first](a, b)
    second, c = rng.choice("+-"), rng.randint(2, 9)
    if second == "-" and middle < c:
        second = "+"
    return {"a": a, "first": first, "b": b, "second": second, "c": c}


def work_assign(p, _):
    middle = OPERATIONS[p["first"]](p["a"], p["b"])
    result = OPERATIONS[p["second"]](middle, p["c"])
    return [f"{p['a']}{p['first']}{p['b']}={middle}", f"{middle}{p['second']}{p['c']}={result}"], str(result)


def draw_loop(rng):
    return {"start": rng.randint(0, 20), "step": rng.randint(2, 9), "times": rng.randint(2, 4)}


def work_loop(p, _):
    values = [p["start"] + i * p["step"] for i in range(p["times"] + 1)]
    return [f"{v}+{p['step']}={v + p['step']}" for v in values[:-1]], str(values[-1])


def draw_branch(rng):
    x, limit = rng.randint(2, 9), rng.randint(1, 9)
    return {"x": x, "sign": rng.choice("<>"), "limit": limit, "yes": rng.randint(2, 9), "no": rng.randint(1, x - 1)}


def work_branch(p, _):
    holds = p["x"] > p["limit"] if p["sign"] == ">" else p["x"] < p["limit"]
    step = f"{p['x']}+{p['yes']}" if holds else f"{p['x']}-{p['no']}"
    result = p["x"] + p["yes"] if holds else p["x"] - p["no"]
    return [f"{p['x']}{p['sign']}{p['limit']} {holds}", f"{step}={result}"], str(result)


def draw_index(rng):
    values = [rng.randint(1, 9) for _ in range(4)]
    i, j = rng.sample(range(4), 2)
    return {"values": values, "i": i, "j": j, "op": rng.choice("+*")}


def work_index(p, _):
    a, b = p["values"][p["i"]], p["values"][p["j"]]
    result = OPERATIONS[p["op"]](a, b)
    return [f"v[{p['i']}]={a}", f"v[{p['j']}]={b}", f"{a}{p['op']}{b}={result}"], str(result)


# Ordering and set logic.


def draw_chain(rng):
    return {"names": rng.sample(range(6), 4), "most": rng.randint(0, 1)}


def work_chain(p, words):
    names = [words["names"][i] for i in p["names"]]
    return [words["above"].join(names)], names[0] if p["most"] else names[-1]


def draw_sets(rng):
    while True:
        a, b = (sorted(rng.sample(range(1, 10), 3)) for _ in range(2))
        if 0 < len(set(a) & set(b)) < 3:  # neither answer is empty
            return {"a": a, "b": b, "both": rng.randint(0, 1)}


def work_sets(p, words):
    other = "".join(map(str, p["b"]))  # beside each element: then the comparison is between neighbours
    lines = [f"{x}:{other} {words['yes'] if x in p['b'] else words['no']}" for x in p["a"]]
    return lines, ", ".join(str(x) for x in p["a"] if (x in p["b"]) == bool(p["both"]))


def draw_extreme(rng):
    values = [10 * tens + rng.randint(0, 9) for tens in rng.sample(range(1, 10), 3)]
    return {"values": values, "most": rng.randint(0, 1)}


def work_extreme(p, _):
    name, pick = ("max", max) if p["most"] else ("min", min)
    tens = [value // 10 for value in p["values"]]  # all different, so that they decide
    best = pick(p["values"])
    return [f"{name}({','.join(map(str, tens))})={best // 10}", str(best)], str(best)


def draw_sort(rng):
    return {"values": rng.sample(range(1, 10), 3), "up": rng.randint(0, 1)}


def work_sort(p, _):
    name, pick = ("min", min) if p["up"] else ("max", max)
    left, lines, order = list(p["values"]), [], []
    while len(left) > 1:
        best = pick(left)
        lines.append(f"{name}({','.join(map(str, left))})={best}")
        left.remove(best)
        order.append(best)
    return lines, ", ".join(map(str, order + left))


KINDS = (
    Kind("add", "arithmetic", draw_pair, work_add),
    Kind("subtract", "arithmetic", draw_ordered_pair, work_subtract),
    Kind("multiply", "arithmetic", draw_product, work_multiply),
    Kind("percent", "arithmetic", draw_percent, work_percent),
    Kind("price_change", "finance", draw_price_change, work_price_change),
    Kind("interest", "finance", draw_interest, work_interest),
    Kind("growth", "finance", draw_growth, work_growth),
    Kind("change_due", "finance", draw_change_due, work_change_due),
    Kind("weekday", "dates", draw_weekday, work_weekday),
    Kind("clock", "dates", draw_clock, work_clock),
    Kind("units", "dates", draw_units, work_units),
    Kind("date", "dates", draw_date, work_date),
    Kind("assign", "code", draw_assign, work_assign),
    Kind("loop", "code", draw_loop, work_loop),
    Kind("branch", "code", draw_branch, work_branch),
    Kind("index", "code", draw_index, work_index),
    Kind("chain", "ordering", draw_chain, work_chain),
    Kind("sets", "ordering", draw_sets, work_sets),
    Kind("extreme", "ordering", draw_extreme, work_extreme),
    Kind("sort", "ordering", draw_sort, work_sort),
)
FAMILIES = tuple(dict.fromkeys(kind.family for kind in KINDS))
