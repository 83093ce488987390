# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in for librsplib.so.3: its headers and its library beside those of Debian's librsplib."""
import os
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


OUR_LIBRARY = rsp.BUILD / "librsp" / "compat" / "librsplib.so.3"
DEBIANS_PROGRAMS = ("/usr/bin/pingpongclient", "/usr/bin/calcappclient", "/usr/bin/rspterminal",
                    "/usr/bin/scriptingclient", "/usr/bin/rspserver", "/usr/bin/fractalpooluser",
                    "/usr/lib/x86_64-linux-gnu/libcpprspserver.so.3")


def symbols(library, kind):
    lines = run("nm", "-D", f"--{kind}-only", library).splitlines()
    return {line.split()[-1].partition("@")[0] for line in lines}


def test_no_function_of_the_interface_is_missing():
    result = subprocess.run(["abidiff", THEIR_LIBRARY, OUR_LIBRARY], capture_output=True, text=True,
                            timeout=120)
    assert result.returncode & 3 == 0, result.stderr  # neither an error nor wrong usage
    gone = re.findall(r"\[D\] (\S+)", result.stdout)
    assert "asapInstanceNew" in gone and not [name for name in gone if name.startswith("rsp_")]
    assert not re.search(r"\[[CA]\]", result.stdout)
    theirs = {name for name in symbols(THEIR_LIBRARY, "defined") if name.startswith("rsp_")}
    assert symbols(OUR_LIBRARY, "defined") == theirs
    assert len(theirs) == 51


def test_abidiff_finds_nothing_among_the_names_of_the_interface(tmp_path):
    """abidiff -w with a list of the names it is to look at; of another library it misses them all."""
    names = sorted(name for name in symbols(THEIR_LIBRARY, "defined") if name.startswith("rsp_"))
    listed = tmp_path / "names"
    listed.write_text("[abi_whitelist]\n" + "".join(f"  {name}\n" for name in names))
    assert run("abidiff", "-w", listed, THEIR_LIBRARY, OUR_LIBRARY) == ""
    other = subprocess.run(["abidiff", "-w", listed, THEIR_LIBRARY, DEBIANS_PROGRAMS[-1]],
                           capture_output=True, text=True, timeout=120)
    assert f"{len(names)} Removed function symbols" in other.stdout


def test_debians_binaries_find_all_they_need():
    """Of what they import from rsplib's library, nothing is outside the interface."""
    for program in DEBIANS_PROGRAMS:
        needed = symbols(program, "undefined") & symbols(THEIR_LIBRARY, "defined")
        assert needed and needed <= symbols(OUR_LIBRARY, "defined"), program


def test_debians_server_generates_no_characters():
    """rspserver chooses the service by -chargen, takes that for a setting of the service as well,
    does not know it, and ends: on its own library as on ours. So the service can be tried in no
    mixture; tests/interop/guest/test_6_drop_in.py has an element of its own for its users."""
    for library in (THEIR_LIBRARY, OUR_LIBRARY):
        result = subprocess.run(["rspserver", "-chargen"], capture_output=True, text=True,
                                timeout=60, env={"PATH": os.environ["PATH"],
                                                 "LD_LIBRARY_PATH": str(library.parent)})
        assert result.returncode == 1
        assert "Unknown Character Generator parameter: -chargen!" in result.stdout + result.stderr


def test_a_program_for_it_compiles_and_runs(tmp_path):
    program = tmp_path / "program"
    folder = include_path(OURS, tmp_path)
    run("cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I", folder, "-o", program,
        rsp.ROOT / "tests" / "interop" / "compat_program.c", "-L", OUR_LIBRARY.parent,
        f"-l:{OUR_LIBRARY.name}", f"-Wl,-rpath,{OUR_LIBRARY.parent}")
    result = subprocess.run([program], capture_output=True, text=True, timeout=120,
                            env={"RSP_SOCKET": str(tmp_path / "none")})
    assert result.returncode == 0 and result.stdout == ""
    warnings = [line for line in result.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1, warnings  # of two arguments
    assert "-registrar=" in warnings[0] and "Network.Registrars" in warnings[0]
