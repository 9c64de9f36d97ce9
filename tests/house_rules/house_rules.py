#!/usr/bin/env python3
"""The rules of the house that a program can check; each is a function that yields "file:line: what is wrong".

  house_rules.py SOURCE_DIR                    check the tree
  house_rules.py --objects NM FILE...          check that an ISA's object leaks no weak symbol
  house_rules.py --self-test [CXX NM]          plant every violation and see it found

A rule may be broken once, with the reason in a comment: EXCEPTIONS is where that is recorded.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# What a folder may include: itself, and these. The order is the order of the layers.
LAYERS = {
    "ggml-like/base": [],
    "ggml-like/formats": ["ggml-like/base"],
    "ggml-like/gguf": ["ggml-like/base", "ggml-like/formats"],
    "ggml-like/tensor": ["ggml-like/base", "ggml-like/formats"],
    "ggml-like/kernels": ["ggml-like/base", "ggml-like/formats"],
    "ggml-like/device": ["ggml-like/base", "ggml-like/formats", "ggml-like/tensor", "ggml-like/kernels"],
    "models": ["ggml-like/*"],
    "quantize": ["ggml-like/*", "models"],
    "convert": ["ggml-like/*", "models", "quantize"],
    "src/text": ["ggml-like/*", "models"],
    "src/experts": ["ggml-like/*", "models"],
    "src/engine": ["ggml-like/*", "models", "src/text", "src/experts"],
    "src/server": ["ggml-like/*", "models", "src/text", "src/experts", "src/engine"],
    "bench": ["ggml-like/*", "models", "convert", "quantize", "src/text", "src/experts", "src/engine"],
    "src/cli": ["ggml-like/*", "models", "convert", "quantize", "bench", "src/*"],
}
ROOTS = ["ggml-like", "src", ""]  # include paths
SPEAKS = ["src/cli/", "bench/"]  # may print and exit
NON_ASCII = ["tests/", "models/demo/"]  # hold text in other languages
CODE = {".h", ".cpp"}
SOURCES = CODE | {".py", ".sh", ".cmake"}
MAX_LINES = 600

EXCEPTIONS = {
    "ggml-like/device/cpu/team.cpp": ["#if"],  # the one pause instruction of a spinning wait
}


def layer_of(path):
    return max((layer for layer in LAYERS if path.startswith(layer + "/")), key=len, default=None)


def may_include(layer, other):
    allowed = LAYERS[layer] + [layer]
    return any(other == a or (a.endswith("/*") and other.startswith(a[:-1])) for a in allowed)


def without_comments(text):
    """Comments and the insides of strings blanked, lines kept."""
    pattern = r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    blank = lambda m: re.sub(r"[^\n]", " ", m.group(0)) if m.group(0)[0] in "/" else '""' + "\n" * m.group(0).count("\n")
    return re.sub(pattern, blank, text, flags=re.S)


def lines(text):
    return enumerate(text.split("\n"), 1)


def check_includes(path, text, root):
    layer = layer_of(path)
    if layer is None:
        return
    for number, line in lines(text):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not match:
            continue
        found = [pathlib.PurePosixPath(r, match[1]).as_posix() for r in ROOTS if (root / r / match[1]).is_file()]
        if not found:
            yield f"{path}:{number}: \"{match[1]}\" is not a path from an include root (ggml-like, src or the top)"
        elif not may_include(layer, layer_of(found[0]) or "?"):
            yield f"{path}:{number}: {layer} includes {found[0]}, which lies above or beside it"


def check_isa_includes(path, text, _root):
    """What an ISA's object includes: kernels, formats, and of base only what is always inlined."""
    if not re.match(r"ggml-like/(kernels/(x86/|arm/|isa_\w+\.cpp|.*\.h)|formats/.*\.h|base/(simd|half|fp8|inline)\.h)", path):
        return
    if path.endswith(".cpp") and not re.search("make_(kernels|encoders)<", text):
        return  # isa_list.cpp, the list of the tables, has no ISA flags
    allowed = re.compile(r"(kernels|formats)/|base/(simd|half|fp8|inline)\.h")
    for number, line in lines(text):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if match and not allowed.match(match[1]):
            yield f"{path}:{number}: {match[1]} ends up in an object built with ISA flags"


def check_length(path, text, _root):
    count = text.count("\n")
    if count > MAX_LINES:
        yield f"{path}:{MAX_LINES}: {count} lines, at most {MAX_LINES}"


def check_ascii(path, text, _root):
    if any(path.startswith(p) for p in NON_ASCII):
        return
    for number, line in lines(text):
        if not line.isascii():
            yield f"{path}:{number}: not plain ASCII"


def check_conditionals(path, text, _root):
    if layer_of(path) is None or pathlib.PurePosixPath(path).suffix not in CODE:
        return
    if path.startswith("ggml-like/base/") or re.match(r"ggml-like/kernels/isa_\w+\.cpp$", path):
        return
    for number, line in lines(without_comments(text)):
        if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", line):
            yield f"{path}:{number}: #if outside base/ and isa_*.cpp (platforms are file names)"


def check_silence(path, text, _root):
    if layer_of(path) is None or pathlib.PurePosixPath(path).suffix not in CODE:
        return
    if any(path.startswith(p) for p in SPEAKS):
        return
    calls = r"(?<![\w.>])(?:std::)?(printf|fprintf|puts|fputs|putchar|perror|exit|_exit|quick_exit|abort|terminate)\s*\("
    for number, line in lines(without_comments(text)):
        for match in re.finditer(calls + r"|std::(cout|cerr|clog)\b", line):
            yield f"{path}:{number}: the library prints or exits: {match[0].strip()}"


def check_header(path, text, _root):
    if layer_of(path) and path.endswith(".h") and "#pragma once" not in text:
        yield f"{path}:1: no #pragma once"


def check_fma(path, text, _root):
    if "xsimd::fma" in without_comments(text) and not path.endswith("base/simd.h"):
        yield f"{path}:1: xsimd::fma, which may round twice (Isa::fma of base/simd.h does not)"


RULES = [check_includes, check_isa_includes, check_length, check_ascii, check_conditionals, check_silence,
         check_header, check_fma]


def source_files(root):
    for top in ["ggml-like", "models", "src", "quantize", "convert", "bench", "tests", "scripts"]:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCES and path.is_file() and "__pycache__" not in path.parts:
                yield path


def check_tree(root):
    found = []
    for file in source_files(root):
        path = file.relative_to(root).as_posix()
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        for rule in RULES:
            found += [v for v in rule(path, text, root) if not any(e in v for e in EXCEPTIONS.get(path, []))]
    return found


def leaked_symbols(nm_output, source):
    """Weak or unique symbols that do not name the tag to which `source` gives its table."""
    tag = re.search(r"make_(?:kernels|encoders)<(\w+)>", source)[1]
    mangled = f"{len(tag)}{tag}"
    leaked = []
    for line in nm_output.splitlines():
        match = re.match(r"[0-9a-f]*\s+([vVwWu])\s+(\S+)", line)
        if match and mangled not in match[2]:
            leaked.append(match[2])
    return leaked


def check_objects(nm, objects, kernels_dir):
    found = []
    for obj in objects:
        source = kernels_dir / re.sub(r"\.(o|obj)$", "", pathlib.Path(obj).name)
        output = subprocess.run([nm, obj], capture_output=True, text=True, check=True).stdout
        found += [f"{source.name}: weak symbol without its ISA's tag: {s}" for s in leaked_symbols(output, source.read_text())]
    return found


# Every rule with a violation of it: file, text, and a word of the message.
PLANTED = [
    ("ggml-like/base/up.h", '#pragma once\n#include "formats/a.h"\n', "lies above"),
    ("ggml-like/formats/up.h", '#pragma once\n#include "kernels/k.h"\n', "lies above"),
    ("models/up.cpp", '#include "engine/e.h"\n', "lies above"),
    ("src/text/beside.cpp", '#include "engine/e.h"\n', "lies above"),
    ("models/near.cpp", '#include "near.h"\n', "not a path from an include root"),
    ("ggml-like/kernels/isa_x.cpp", '#include "base/errors.h"\nauto x = make_kernels<X>();\n', "ISA flags"),
    ("ggml-like/gguf/long.cpp", "int x;\n" * 601, "601 lines"),
    ("convert/letter.cpp", "// caf\u00e9\n", "ASCII"),
    ("ggml-like/kernels/platform.cpp", "#if defined(__x86_64__)\n#endif\n", "#if outside"),
    ("models/prints.cpp", 'void f() { std::printf("x"); }\n', "prints or exits: std::printf("),
    ("src/engine/exits.cpp", "void f() { exit(1); }\n", "prints or exits: exit("),
    ("convert/streams.cpp", "void f() { std::cerr << 1; }\n", "std::cerr"),
    ("ggml-like/gguf/twice.h", "int x;\n", "#pragma once"),
    ("ggml-like/kernels/round.h", "#pragma once\nauto y = xsimd::fma(a, b, c);\n", "xsimd::fma"),
]
CLEAN = [
    ("ggml-like/base/errors.h", "#pragma once\n"),
    ("ggml-like/base/half.h", "#pragma once\n#if defined(__linux__)\n#endif\n"),
    ("ggml-like/formats/a.h", '#pragma once\n#include "base/half.h"\n'),
    ("ggml-like/kernels/k.h", '#pragma once\n#include "formats/a.h"\n'),
    ("src/engine/e.h", '#pragma once\n#include "kernels/k.h"\n// printf("in a comment"); exit(1)\n'),
    ("src/cli/main.cpp", '#include "engine/e.h"\nvoid f() { std::printf("x"); std::exit(1); }\n'),
    ("models/says.cpp", 'const char* s = "abort()"; int f() { return snprintf(b, 1, "x") + x.exit(); }\n'),
    ("tests/text/words.cpp", "// caf\u00e9\n"),
]


def self_test(cxx=None, nm=None):
    def write(root, path, text):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")

    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for path, text in CLEAN:
            write(root, path, text)
        assert check_tree(root) == [], check_tree(root)
        for path, text, word in PLANTED:
            write(root, path, text)
            found = check_tree(root)
            assert len(found) == 1 and path in found[0] and word in found[0], (path, found)
            (root / path).unlink()

        tagged = "0000 W _ZN7coterie9VectorOpsINS_4Avx2EE3dotEPKfS3_l\n     U memcpy\n0000 R _ZN7coterie12kernels_avx2E\n"
        source = "constinit const Kernels kernels_avx2 = make_kernels<Avx2>(runs_avx2, Formats{});"
        assert leaked_symbols(tagged, source) == []
        assert leaked_symbols(tagged.replace("4Avx2", "6Avx512"), source) != []
        if cxx:
            write(root, "isa_planted.cpp", "// make_kernels<Avx2>\n#include <array>\nint f(std::array<int, 3>& a, int i) { return a[i]; }\n")
            subprocess.run([cxx, "-O0", "-c", "isa_planted.cpp", "-o", "isa_planted.cpp.o"], cwd=root, check=True)
            found = check_objects(nm, [root / "isa_planted.cpp.o"], root)
            assert any("array" in f for f in found), found
    return []


def main(arguments):
    here = pathlib.Path(__file__).resolve().parents[2]
    if arguments[:1] == ["--self-test"]:
        found = self_test(*arguments[1:])
    elif arguments[:1] == ["--objects"]:
        found = check_objects(arguments[1], arguments[2:], here / "ggml-like/kernels")
        if not arguments[2:]:
            found = ["--objects: no object given"]
    else:
        found = check_tree(pathlib.Path(arguments[0]))
    print("\n".join(found) if found else "no violation")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
