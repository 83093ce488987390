# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in for librsplib.so.3: its headers and its library beside those of Debian's librsplib."""
import pathlib
import re
import subprocess

import rsp

REFERENCE = pathlib.Path("/usr/include/rserpool")
OURS = rsp.ROOT / "include" / "rsp-compat" / "rserpool"
HEADERS = ("rserpool.h", "rserpool-internals.h", "rserpool-policytypes.h", "rserpool-csp.h",
           "tagitem.h")
LAYOUT = rsp.ROOT / "tests" / "interop" / "compat_layout.c"
THEIR_LIBRARY = pathlib.Path("/usr/lib/x86_64-linux-gnu/librsplib.so.3")


def run(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


def include_path(headers, tmp_path):
    """A folder in which <rserpool/...> is found, and nothing else is."""
    folder = tmp_path / ("ours" if headers == OURS else "reference")
    folder.mkdir()
    (folder / "rserpool").symlink_to(headers)
    return folder


def test_the_same_headers(tmp_path):
    for header in HEADERS:
        assert (REFERENCE / header).exists(), "Debian's librsplib-dev is missing: tools/deps test"
    assert {path.name for path in OURS.iterdir()} == set(HEADERS)


def test_layout_numbers_and_types_are_the_same(tmp_path):
    """Sizes, offsets, signedness, constants and function types, compiled against both."""
    printed = []
    for headers in (REFERENCE, OURS):
        program = tmp_path / f"layout{len(printed)}"
        run("cc", "-std=gnu17", "-Werror", "-I", include_path(headers, tmp_path), "-o", program,
            LAYOUT, f"-l:{THEIR_LIBRARY.name}")
        printed.append(run(program).splitlines())
    assert printed[0] == printed[1]
    assert len(printed[0]) > 190


def test_every_macro_of_the_reference_is_there(tmp_path):
    names = []
    source = tmp_path / "all.c"
    source.write_text("".join(f"#include <rserpool/{header}>\n" for header in HEADERS))
    for headers in (REFERENCE, OURS):
        text = run("cc", "-E", "-dM", "-I", include_path(headers, tmp_path), source)
        names.append(set(re.findall(r"^#define (\w+)", text, re.M)))
    missing = {name for name in names[0] - names[1] if not re.fullmatch(r"\w+_H", name)}
    assert not missing
    assert len(names[0]) > 100


def test_headers_are_c_and_cxx(tmp_path):
    folder = include_path(OURS, tmp_path)
    for compiler, standard in (("cc", "c99"), ("cc", "gnu17"), ("c++", "c++11"), ("c++", "c++20")):
        for header in HEADERS:
            source = tmp_path / ("one.c" if compiler == "cc" else "one.cc")
            source.write_text(f"#include <rserpool/{header}>\nint main(void) {{ return 0; }}\n")
            run(compiler, f"-std={standard}", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Wpedantic",
                "-Werror", "-fsyntax-only", "-I", folder, source)
