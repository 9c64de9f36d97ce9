#!/usr/bin/env python3
"""Renders templates with Python's Jinja, set up as the transformers library does, and stores what comes out.

usage: make_template_cases.py OUT.json        (needs jinja2; the stored file was made with 3.1.6)

Every case is a template, the name of its data and the expected "text", or "error": the exception's name, where Jinja refuses.
Left out on purpose, because the engine differs there: the addresses in the text of generators and methods, list.append (refused
by Jinja's sandbox), and strings marked safe, whose "+" escapes HTML in Jinja.
"""
import json
import sys

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


DATA = {
    "s": "Hello World", "empty": "", "pad": "  two  words \n", "uni": "Grüße 你好 🌍é", "quote": "it's \"so\"", "tab": "a\tb\\c\nd",
    "i": 7, "neg": -3, "zero": 0, "f": 2.5, "big": 1e20, "tiny": 1.5e-7, "yes": True, "no": False, "nil": None,
    "l": [3, 1, 2], "names": ["bob", "Ann", "carl", "ann"], "mixed": [1, "a", None, 2.5, True, [1], {"k": 1}], "nothing": [],
    "d": {"b": 1, "a": "x", "c": [1, 2], "items": "an entry"}, "none_dict": {"k": None}, "no_entries": {},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "Bob", "age": 25}, {"name": "Cy", "age": 30, "tags": []}],
    "nested": {"a": {"b": [{"c": "deep"}]}}, "num": "42", "fnum": " 3.75 ", "think": "<think>a</think>b</think>c",
    "lines": "one\ntwo\n\nthree\n", "html": "<a href='x'>&</a>", "words": "the quick-brown (fox) jUMPS", "csv": "a,b,,c",
    "control": "\x00\x1f\x7f\u00ad\u200b\u2028",
}

EXPRESSIONS = """
s|i|f|big|tiny|yes|nil|l|d|mixed|uni|quote|tab|control
[quote]|[tab]|[uni]|[control]|[f, big, tiny, 1e16, 1e15, 123456789.125, 0.1 + 0.2, -0.0]|{'a': [1, {'b': none}]}|(1,)|()|(1, 'b')
1 + 2 * 3|(1 + 2) * 3|7 / 2|7 // 2|-7 // 2|7 // -2|7 % 3|-7 % 3|7 % -3|2 ** 10|2 ** -1|2 ** 3 ** 2|-2 ** 2|7.5 // 2|-7.5 % 2|1 / 0|1 % 0
1.5 + 1|1 - 0.5|10 - 4 - 3|2 * 3 / 4|+3|-i|-f|- neg|1e3|1.5e-3|0x1F|0b101|0o17|1_000_000|1e400
s + '!'|s + 1|1 + s|s + nil|nil + 1|s + missing|missing + s|s ~ 1 ~ nil ~ f ~ missing ~ l|'a' 'b' "c"|'a' * 3|3 * 'ab'|'a' * 0|'a' * -1
l + [4]|[1] * 3|(1,) + (2,)|l + (1,)|l * 'a'|d + d|l - l|s - s|yes + 1|yes * 3
1 == 1.0|1 == true|'1' == 1|nil == none|missing == none|missing == other|l == [3, 1, 2]|l == (3, 1, 2)|d == d|{'a': 1} == {'a': 1.0}|1 != 2|s != s
1 < 2 < 3|3 > 2 > 2|1 < 2 > 1 == 1|'a' < 'b'|'a' < 1|nil < 1|[1, 2] < [1, 3]|[1] < [1, 0]|(1, 2) >= (1, 2)|missing < 1|1.5 <= 1|yes > no
'World' in s|'world' in s|'' in s|1 in l|5 in l|'1' in l|1 in s|'a' in d|'z' in d|1 in d|'a' not in d|not 'a' in d|1 in nil|'x' in missing|1 in 5|[1] in d|none in mixed
not yes|not empty|not nothing|not zero|not nil|not missing|not 0.0|not d|not no_entries|yes and s|no and s|empty or 'x'|nil or zero or 'end'|1 and 0 or 2|not no and no|not (no and no)
'a' if yes else 'b'|'a' if no else 'b'|'a' if no|('a' if no) is defined|'a' if yes else 'b' if no else 'c'|1 if 0 else 2 if 0 else 3
s[0]|s[-1]|s[99]|s[99] is defined|uni[6]|uni[-2]|l[0]|l[-1]|l[5]|l['x']|d['a']|d['z']|d['z'] is defined|nil['x']|i['x']|missing['x']|d[['x']]|d[1]
d.a|d.z|d.z.y|d['items']|nested.a.b[0].c|nested['a']['b'][0]['c']|nested.a.b.0.c|missing.x|missing.x.y|s.x|nil.x|l.x|i.x is defined
s[1:3]|s[:5]|s[6:]|s[:-6]|s[::-1]|s[::2]|s[8:2:-2]|uni[5:8]|uni[::-1]|l[::-1]|l[1:]|l[:2]|l[-2:]|l[5:]|s[3:1]|s[-100:100]|s[::0]|l['a':]|nil[1:]|(1, 2, 3)[1:]|s[100::-3]
s.upper()|s.lower()|s.title()|words.title()|words|title|words.capitalize()|uni.upper()|uni.lower()|s.swap()|pad.strip()|pad.lstrip()|pad.rstrip()|s.strip('Hd')|s.lstrip('Hel')|s.rstrip('dl')|uni.strip('Gé')|'xxaxx'.strip('x')
s.split()|pad.split()|csv.split(',')|csv.split(',', 1)|csv.rsplit(',', 1)|csv.split(',', maxsplit=2)|s.split('')|s.split('zz')|empty.split()|empty.split(',')|think.split('</think>')|think.split('</think>')[-1]|think.split('<think>')[0]|' a  b c '.split(none, 1)|'aXXbXXc'.rsplit('XX')
s.startswith('Hello')|s.startswith('hello')|s.endswith('World')|s.startswith(('x', 'H'))|s.startswith('')|s.startswith(1)|s.replace('o', '0')|s.replace('o', '0', 1)|s.replace('', '-')|s.replace('l', '')|s.replace('zz', 'y')|s.find('o')|s.find('z')|uni.find('你')|s.count('l')|s.count('')|lines.splitlines()|lines.splitlines(true)|num.isdigit()|s.isdigit()|'\\u00a0 '.isspace()
'-'.join(names)|', '.join(['a'])|''.join(nothing)|'-'.join(l)|'-'.join('abc')|'xyz'.removeprefix('x')|'xyz'.removesuffix('z')|s.nosuch()|s.upper|length
d.items()|d.keys()|d.values()|d.get('a')|d.get('z')|d.get('z', 5)|d.get('z', default=5)|d.keys()|list|d.values()|list|d.items()|list|d.nosuch()|d.items()|length|d.items()|first|no_entries.items()
"""

# One chain of filters or tests a line, applied to the value before the first "|": here "|" must not separate cases.
CHAINS = """
pad|trim
s|trim('Hd')
nil|trim
i|trim
missing|trim
s|length
uni|length
l|length
d|length
missing|length
i|length
nil|length
d|tojson
mixed|tojson
uni|tojson
uni|tojson(ensure_ascii=true)
quote|tojson
tab|tojson
control|tojson
[f, big, tiny, yes, nil, -0.0, 100.0]|tojson
d|tojson(indent=2)
people|tojson(indent=4)
nested|tojson(indent=0)
nothing|tojson(indent=2)
no_entries|tojson(indent=2)
[[], {}]|tojson(indent=1)
d|tojson(sort_keys=true)
d|tojson(separators=(',', ':'))
d|tojson(indent='--')
missing|tojson
[missing]|tojson
l|map('string')|tojson
l|map('string')|list|tojson
range(3)|list|tojson
{1: 'a', none: 'b', true: 'c', 1.5: 'd'}|tojson
(1, 2)|tojson
l|join
l|join(',')
l|join(d='-')
people|join(', ', attribute='name')
nothing|join(',')
missing|join(',')
s|join('.')
d|join('.')
i|join
s|upper
s|lower
i|upper
words|capitalize
words|title
uni|upper
'ΑΒΓ абв'|lower
'αβγ абв'|upper
s|replace('o', '0')
s|replace('o', '0', 1)
i|replace('7', '8')
l|first
l|last
nothing|first
nothing|last
s|first
uni|last
d|first
d|last
missing|first
i|first
l|list
s|list
d|list
i|list
d|items|list
missing|items|list
i|items|list
missing|default('x')
nil|default('x')
empty|default('x')
empty|default('x', true)
nil|default('x', boolean=true)
missing|d('y')
missing|default
d.z|default('w')
d.z.y|default('w')
s|default('x')
l|map('string')|join('+')
names|map('upper')|join(' ')
people|map(attribute='name')|list
people|map(attribute='tags')|list
people|map(attribute='tags', default='none')|list
people|map(attribute='tags.0', default='-')|list
people|map('length')|list
names|map('replace', 'a', 'b')|list
names|map('nosuch')|list
l|map|list
mixed|select|list
mixed|select('string')|list
mixed|reject('number')|list
l|select('odd')|list
l|select('>', 1)|list
l|reject('gt', 1)|list
people|selectattr('age', 'equalto', 30)|map(attribute='name')|list
people|selectattr('tags')|map(attribute='name')|list
people|selectattr('tags', 'defined')|map(attribute='name')|list
people|rejectattr('age', 'lt', 30)|map(attribute='name')|join
people|selectattr('name', 'in', ['Ann', 'Cy'])|list|length
people|selectattr('tags', 'undefined')|list|length
people|selectattr('nosuch', 'nosuch')|list
num|int
fnum|int
s|int
s|int(5)
s|int(default=-1)
'0x1F'|int(base=16)
'ff'|int(0, 16)
f|int
-2.9|int
nil|int
missing|int
l|int(3)
yes|int
'1_000'|int
'_1'|int
' -12 '|int
num|float
fnum|float
s|float
s|float(1.5)
i|float
'1e3'|float
'inf'|float
'nan'|float
nil|float
-3|abs
f|abs
s|abs
2.5|round
3.5|round
2.675|round(2)
1234.567|round(1)
i|round
2.1|round(0, 'ceil')
2.9|round(method='floor')
f|round(1, 'up')
i|string
nil|string
d|string
missing|string
l|string|length
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, first=true, blank=true)
lines|indent('> ')
i|indent
l|sort
names|sort
names|sort(case_sensitive=true)
names|sort(reverse=true)
people|sort(attribute='age')|map(attribute='name')|list
mixed|sort
d|dictsort
{'B': 2, 'a': 1, 'c': 0}|dictsort
{'B': 2, 'a': 1, 'c': 0}|dictsort(true)
{'B': 2, 'a': 1, 'c': 0}|dictsort(by='value')
{'B': 2, 'a': 1, 'c': 0}|dictsort(false, 'key', true)
names|unique|list
[1, 1.0, true, 2]|unique|list
l|reverse|list
s|reverse
i|reverse
l|sum
people|sum(attribute='age')
people|sum('age', 10)
names|sum
l|min
l|max
names|max
nothing|min
names|min(case_sensitive=true)
people|max(attribute='age')
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3]|batch(2, 'x')|list
html|escape
html|e
'%s-%d'|format('a', 3)
'%05.1f|%-4s|%4s|%%'|format(2.25, 'ab', 'cd')
'%s'|format(l)
'%d'|format(s)
'%s'|format
'%s' % s
'%s and %r' % ('a', 'b')
'%03d' % neg
'%s' % l
'%s %s' % l
'x' % 1
'%5.2f|' % 3.14159
s|nosuch
s|trim|upper|replace('HELLO', 'bye')|lower
-1|abs + 2
5|string + 'a'
'a' ~ 5|string ~ 'b'
l|map('string')|join(',')|length + 1
s is string
i is string
i is number
f is number
yes is number
yes is boolean
i is boolean
yes is true
yes is false
no is false
i is true
i is integer
f is integer
f is float
yes is integer
nil is none
missing is none
missing is defined
missing is undefined
s is defined
d is mapping
l is mapping
d is iterable
l is iterable
s is iterable
i is iterable
nil is iterable
missing is iterable
l is sequence
d is sequence
s is sequence
i is sequence
range(3) is sequence
i is odd
i is even
zero is even
i is divisibleby 7
i is divisibleby(2)
i is eq 7
i is equalto 7
i is ne 7
i is gt 5
i is lessthan 5
i is ge(7)
i is in l
3 is in l
3 is not in l
s is upper
'ABC' is upper
'abc1' is lower
'123' is lower
nil is sameas none
i is sameas 7
i is not none
i is not string and yes
missing is not defined or yes
s is nosuch
s is string is true
d.items is callable
s.upper is defined
range is callable
raise_exception is defined
'upper' is filter
'odd' is test
range(3)|list
range(1, 7, 2)|list
range(3, 0, -1)|list
range(0)|list
range(2, 1)|list
range(1, 2, 0)|list
range(5)[-1]
range(5)|length
range(100001)|length
range('a')
namespace(a=1).a
namespace(a=1).b is defined
namespace({'a': 2}, b=3).b
dict(a=1, b='c')
dict({'a': 1}, b=2)
raise_exception('stop here')
s(1)
missing(1)
d.a()
s.upper(1)
s.replace('a')
s|replace
l|join(nosuch=1)
l|join('a', d='b')
"""

STATEMENTS = [
    # for
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for x in nothing %}a{% else %}none{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% endfor %}", "{% for x in l if x > 9 %}a{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in uni %}[{{ c }}]{% endfor %}", "{% for x in missing %}a{% else %}b{% endfor %}",
    "{% for x in nil %}a{% endfor %}", "{% for x in i %}a{% endfor %}", "{% for k, v in d|dictsort %}{{ k }}{% endfor %}", "{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}", "{% for a, b in l %}{{ a }}{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}|{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in l %}{{ loop.nosuch }}{% endfor %}{{ loop }}",
    "{% for x in l %}{% for y in [1] %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}{% endfor %}", "{% for x in x %}{{ x }}{% endfor %}", "{% for s in l %}{{ s }}{% endfor %}{{ s }}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% break %}",
    "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in l[::-1] %}{{ x }}{% endfor %}", "{% for x in l|sort|reverse %}{{ x }}{% endfor %}", "{% for x in people|selectattr('tags', 'defined') %}{{ x.name }}{{ loop.last }}{% endfor %}",
    "{% for x in l %}{% set q = x %}{% endfor %}{{ q }}", "{% for x in l %}{{ q }}{% set q = x %}{{ q }},{% endfor %}", "{% set q = 9 %}{% for x in l %}{% if loop.first %}{% set q = x %}{% endif %}{{ q }}{% endfor %}{{ q }}",
    "{% for x in nothing %}{% else %}{% set q = 1 %}{% endfor %}{{ q }}",
    # set
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x = 1, 2 %}{{ x }}", "{% set x = [1, 2] %}{% set y = x %}{{ y == x }}", "{% set x %}a{{ i }}b{% endset %}{{ x }}{{ x|length }}",
    "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{% endset %}{{ y }}", "{% set ns = namespace(a=1, b=[]) %}{% for x in l %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}",
    "{% set ns = namespace() %}{{ ns.x }}|{% set ns.x = 'y' %}{{ ns.x }}{{ ns['x'] }}", "{% set d.a = 1 %}", "{% set missing.a = 1 %}", "{% set ns = namespace(a=0) %}{% set ns.a, y = 1, 2 %}{{ ns.a }}{{ y }}",
    "{% if yes %}{% set x = 5 %}{% endif %}{{ x }}", "{% if no %}{% set s = 5 %}{% endif %}{{ s }}", "{% set s = s + '!' %}{{ s }}", "{% set x = y %}{{ x is defined }}", "{% set x = d.z %}{{ x is defined }}{{ x }}",
    # if
    "{% if i > 5 %}a{% elif i > 3 %}b{% else %}c{% endif %}", "{% if no %}a{% elif yes %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% endif %}", "{% if missing %}a{% else %}b{% endif %}", "{% if missing.x %}a{% endif %}",
    "{% if not missing is defined %}a{% endif %}", "{% if s and l and not nothing %}a{% endif %}", "{% if 'a' in d and d['a'] == 'x' %}y{% endif %}", "{% if d is mapping and d.a is string %}y{% endif %}",
    # macros
    "{% macro m(a, b='z', c=none) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m() }}{{ m(b=1, a=2) }}", "{% macro m() %}{{ s }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% set a = 1 %}{% macro m() %}{{ a }}{% endmacro %}{% set a = 2 %}{{ m() }}", "{% macro m() %}{% set ns.x = ns.x + 1 %}{% endmacro %}{% set ns = namespace(x=1) %}{{ m() }}{{ m() }}{{ ns.x }}",
    "{% macro m(x) %}{{ x|upper }}{% endmacro %}{{ m('a') ~ m('b') }}{{ m('c')|length }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{%- macro m(a) -%}  x{{ a }}  {%- endmacro -%} {{ m(1) }} ",
    "{% macro m(a, b=a ~ '!') %}{{ b }}{% endmacro %}{{ m(1) }}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    # other blocks
    "{% filter upper %}a{{ s }}b{% endfilter %}", "{% filter replace('a', 'b')|upper %}banana{% endfilter %}", "{# a comment #}x{#- another -#} y", "a{# multi\nline #}b", "{% raw %}{{ x }}{% if %}{% endraw %}!", "a {%- raw -%} {{ x }} {%- endraw -%} b",
    # white space
    "a\n{% if yes %}\nb\n{% endif %}\nc", "a\n  {% if yes %}\n  b\n  {% endif %}\n  c", "a\n  {%- if yes %}\n  b\n  {%- endif %}\n  c", "a\n  {% if yes -%}\n  b\n  {% endif -%}\n  c", "a\n  {%+ if yes %}\n  b\n  {%+ endif %}\nc", "a\n{% if yes +%}\nb\n{% endif +%}\nc",
    "  {{ i }}  \n  {{- i }}  {{ i -}}  \n x", "a  {{- ' b ' -}}  c", "x {% if yes %} y {% endif %} z", "{% if yes %}\n\n\na{% endif %}\n\n\nb", "  {# c #}\n  a\n{#+ c #}\nb", "a\n\t {# c #}\nb", "a\r\n{% if yes %}\r\nb\r{% endif %}c\r\n", "trailing\n", "trailing\n\n", "{{ i }}\n", "\n{{ i }}",
    "{%- for x in l -%}\n  {{ x }}\n{%- endfor -%}\n", "{% for x in l %}\n{{ x }}\n{% endfor %}\n", "{% set x = 1 %}\n{% set y = 2 %}\n{{ x }}\n{{ y }}", "{% set x = 1 -%}\n\n a", "a \u00a0{%- if yes %}\u3000-\u3000{%- endif %}", "a\n\u00a0{% if yes %}b{% endif %}", "a{% if yes %}\n{% endif %}b", "line\n    {{ i }}\n    {% if no %}{% endif %}\nend",
    # expressions inside outputs
    "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{{'a': 1}.a}}", "{{ 'a}}b' }}", "{{ '{% if %}' }}", "{{ \"it's\" }}{{ 'say \"x\"' }}", "{{ 'a\\nb\\t\\\\\\'\\x41\\u00e9\\U0001F30D\\101\\q' }}", "{{ 'multi\nline' }}", "{{ 1, 2 }}", "{{ (1, 2)[0] }}", "{{ [1, 2,] }}{{ {'a': 1,} }}{{ (1,) }}",
    "{{ true }}{{ True }}{{ false }}{{ none }}{{ None }}", "{{ [1,\n 2,\n 3] }}", "{{ s\n | upper\n }}", "{{-s-}}", "{{ - 1 }}{{ +1 }}{{ not not yes }}", "{{ i if yes else j.k.l }}", "{{ yes or missing.x.y }}", "{{ no and missing.x.y }}",
    # syntax errors
    "{{ }}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ 'a }}", "{{ a b }}", "{{ a.}}", "{{ a|}}", "{{ a is }}", "{% if %}a{% endif %}", "{% if yes %}a", "{% endif %}", "{% for x l %}{% endfor %}", "{% for x in l %}{% endif %}", "{% nosuch %}", "{% set x %}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{# open",
    "{% raw %}a", "{{ 1", "{% if yes %}{% else %}{% else %}{% endif %}", "{{ a[ }}", "{{ {'a' 1} }}", "{{ f(a=1, 2) }}", "{{ a ! b }}", "{{ $ }}", "{{ 1 if }}", "{% macro %}{% endmacro %}", "{% set x = %}", "{{ a[] }}", "{%", "{{ ) }}", "{% if yes %}}", "a }} b %} c #}", "{ { a } }", "{{ 'a' 'b' }}{{ }}",
    # larger ones
    "{% set ns = namespace(n=0) %}{% for p in people %}{% if p.tags is defined and p.tags %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{{ ns.n }}", "{% for p in people %}{{ p.name }}{% if not loop.last %}, {% endif %}{% endfor %}", "{% for p in people %}{{ p['tags'] | default([]) | join(',') }};{% endfor %}",
    "{%- set parts = think.split('</think>') -%}{%- if parts|length > 1 -%}{{ parts[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}|{{ parts[-1].lstrip('\\n') }}{%- endif -%}",
]

# Two whole chat templates; the real ones are in the golden data.
INST = """{%- if messages[0]["role"] == "system" %}{%- set system = messages[0]["content"] %}{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}
{%- set users = rest | selectattr("role", "equalto", "user") | list %}
{{- bos_token }}
{%- for message in rest %}
    {%- if (message["role"] == "user") != (loop.index0 % 2 == 0) %}
        {{- raise_exception("roles must alternate: " ~ message["role"] ~ " at " ~ loop.index) }}
    {%- endif %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system is defined %}
            {{- "[INST] " + system + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- endif %}
{%- endfor %}
{{- "" if users|length else "no user" }}"""

PARTS = """{%- macro text(content) -%}
    {%- if content is string -%}{{ content }}
    {%- elif content is iterable and content is not mapping -%}
        {%- for part in content -%}
            {%- if part.type == 'text' -%}{{ part.text }}
            {%- elif 'image' in part or part['type'] == 'image' -%}<image>
            {%- else -%}{{ raise_exception('what is a ' ~ part.type ~ '?') }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}{{ '' if content is none else content | string }}{%- endif -%}
{%- endmacro -%}
{%- macro schema(node, depth=0) -%}
    {%- if node.properties -%}
        {{ '{' }}{%- for name, value in node.properties | dictsort -%}
            {{ '\\n' ~ '  ' * (depth + 1) ~ name ~ ('' if name in (node.required or []) else '?') ~ ': ' ~ schema(value, depth + 1) }}{{ ',' if not loop.last }}
        {%- endfor -%}{{ '\\n' ~ '  ' * depth ~ '}' }}
    {%- else -%}{{ node.type | default('any', true) }}{%- endif -%}
{%- endmacro -%}
{%- for tool in tools or [] %}
{{ tool.function.name }}: {{ schema(tool.function.parameters) }}
{% endfor %}
{%- for message in messages %}
### {{ message.role | capitalize }}{{ ' (' ~ loop.index ~ '/' ~ loop.length ~ ')' if loop.length > 1 }}
{{ text(message.content) | trim }}
{% endfor %}
{%- if add_generation_prompt %}
### Assistant
{% endif %}"""


def call(name, arguments):
    return {"type": "function", "id": "1", "function": {"name": name, "arguments": arguments}}


WEATHER = {"type": "function", "function": {"name": "weather", "description": "Weather & \"more\" — 天气", "parameters": {"type": "object", "required": ["city"], "properties": {
    "city": {"type": "string"}, "at": {"type": "object", "properties": {"day": {"type": "integer"}, "hour": {"type": ["integer", "null"]}}}}}}}
U, A, S, T = (lambda c, r=r, **k: dict(role=r, content=c, **k) for r in ("user", "assistant", "system", "tool"))
CONVERSATIONS = {
    "one": {"messages": [U("Hello <|im_end|> </think>")]},
    "one-gen": {"messages": [U("Hi")], "add_generation_prompt": True},
    "system": {"messages": [S("  Be kind.\n"), U("Hi"), A(" ok "), U("  bye\n")], "add_generation_prompt": True},
    "think": {"messages": [U("q"), A("<think>\nwhy\n</think>\n\nso"), U("r"), A("<think>\n\nhm\n</think>\n\nthus")]},
    "reasoning": {"messages": [U("q"), A("so", reasoning_content="why\n"), U("r"), A("thus", reasoning_content="\nhm")], "enable_thinking": False, "add_generation_prompt": True},
    "tools": {"messages": [S("Sys"), U("weather?"), A("", tool_calls=[call("weather", {"city": "Köln", "n": [1, 2.5, None, True]})]), T("10C"), A("cold")], "tools": [WEATHER], "add_generation_prompt": True},
    "two-calls": {"messages": [U("weather?"), A(None, tool_calls=[call("weather", "{\"city\": 1}"), call("weather", {})]), T("1"), T("2")], "tools": [WEATHER, WEATHER]},
    "parts": {"messages": [U([{"type": "text", "text": "look: "}, {"type": "image"}, {"type": "text", "text": " <think>"}]), A("seen")]},
    "odd-part": {"messages": [U([{"type": "sound"}])]},
    "not-alternating": {"messages": [U("a"), U("b")]},
    "empty": {"messages": []},
    "numbers": {"messages": [U(5), A(2.5)]},
}
for variables in CONVERSATIONS.values():
    variables.update(bos_token="<s>", eos_token="</s>")


# Where the engine is more, or less, patient than Jinja, or its letters are others (upper of the German sharp s).
DIFFERENT = {
    "{{ 1e400 }}", "{{ d[['x']] }}", "{{ d.get('z', default=5) }}",
    "{{ people|map(attribute='tags.0', default='-')|list }}", "{{ s|replace }}",
    "{% for x in l %}{% for y in [1] %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}{% endfor %}",
}


def templates():
    """(template, name of its data)"""
    for line in EXPRESSIONS.strip().splitlines():
        for expression in line.split("|"):
            yield "{{ " + expression + " }}", "data"
    for line in CHAINS.strip().splitlines():
        yield "{{ " + line + " }}", "data"
    for template in STATEMENTS:
        yield template, "data"
    for template in (INST, PARTS):
        for name in CONVERSATIONS:
            yield template, name


def main():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    data = {"data": DATA, **CONVERSATIONS}
    cases = []
    for template, name in templates():
        if template in DIFFERENT:
            continue
        case = {"template": template, "data": name}
        try:
            case["text"] = env.from_string(template).render(**data[name])
            if " object at 0x" in case["text"]:
                continue  # an address: nothing to compare with
        except Exception as error:
            case["error"] = type(error).__name__
        cases.append(case)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump({"jinja2": jinja2.__version__, "data": data, "cases": cases}, out, ensure_ascii=False, indent=0)
        out.write("\n")
    print(len(cases), "cases,", sum("error" in c for c in cases), "errors")


if __name__ == "__main__":
    main()
