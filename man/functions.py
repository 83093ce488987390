#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the pages of section 3 from the docstrings in include/rsp/: one page for each function.

Usage: functions.py OUTPUT_FOLDER HEADER...     writes NAME.3 for every function
       functions.py --list HEADER...            prints the names
       functions.py --check HEADER...           says what a docstring lacks; status 1 then
"""
import pathlib
import re
import sys

DOC = re.compile(r"/\*\*\n((?:(?!\*/).)*)\*/\n([^;{]*?\b(rsp_\w+)\([^;{]*\));", re.DOTALL)


class Function:
    """A declaration and its docstring, taken apart."""

    def __init__(self, header, doc, declaration, name):
        self.header = header
        self.name = name
        self.declaration = re.sub(r"\s+", " ", declaration).strip()
        lines = [re.sub(r"^ \* ?", "", line.rstrip()).rstrip() for line in doc.splitlines()]
        text = "\n".join(lines).strip()
        body, *tags = re.split(r"^@", text, flags=re.MULTILINE)
        paragraphs = [re.sub(r"\s+", " ", p).strip() for p in re.split(r"\n\s*\n", body)]
        self.summary = paragraphs[0]
        self.description = [p for p in paragraphs[1:] if p]
        self.parameters = []
        self.returns = ""
        for tag in tags:
            tag = re.sub(r"\s+", " ", tag).strip()
            if tag.startswith("param "):
                _, name, *rest = tag.split(" ", 2)
                self.parameters.append((name, rest[0] if rest else ""))
            elif tag.startswith("return "):
                self.returns = tag[len("return "):]

    def arguments(self):
        """Names of the arguments in the declaration."""
        inside = self.declaration.split("(", 1)[1].rsplit(")", 1)[0]
        if inside.strip() == "void":
            return []
        return [re.findall(r"\w+", part)[-1] for part in inside.split(",")]

    def lacks(self):
        """What a reader would miss."""
        if not self.summary.endswith("."):
            yield f"{self.name}: the first line is not a sentence"
        if [name for name, _ in self.parameters] != self.arguments():
            yield f"{self.name}: described are {[n for n, _ in self.parameters]}, " \
                  f"declared {self.arguments()}"
        for name, text in self.parameters:
            if not text:
                yield f"{self.name}: nothing is said of {name}"
        if not self.returns and not self.declaration.startswith("void "):
            yield f"{self.name}: what it returns is not said"


def escape(text):
    """Text as mdoc takes it: no line begins with a control character."""
    text = text.replace("\\", "\\e").replace("-1", "\\-1")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def sentences(text):
    """Each sentence begins a line, as mandoc wants it."""
    return re.sub(r"(?<=[a-zA-Z0-9)])\. (?=[A-Z])", ".\n", escape(text))


def page(function, all_functions):
    """The page as mdoc."""
    kind, arguments = function.declaration.split(function.name + "(", 1)
    out = [".\\\" SPDX-License-Identifier: LGPL-2.1-or-later",
           f".\\\" Made from include/rsp/{function.header}.",
           ".Dd November 1, 2026",
           f".Dt {function.name.upper()} 3", ".Os", ".Sh NAME", f".Nm {function.name}",
           f".Nd {escape(function.summary[0].lower() + function.summary[1:].rstrip('.'))}",
           ".Sh LIBRARY", "Reliable Server Pooling (librsp, \\-lrsp)",
           ".Sh SYNOPSIS", f".In rsp/{function.header}", f".Ft {kind.strip()}",
           f".Fo {function.name}"]
    inside = arguments.rsplit(")", 1)[0]
    out += [f'.Fa "{part.strip()}"' for part in inside.split(",")]
    out += [".Fc", ".Sh DESCRIPTION"]
    described = function.description or [function.summary]
    for number, paragraph in enumerate(described):
        out += ([".Pp"] if number else []) + [sentences(paragraph)]
    if function.parameters:
        out += [".Pp", "The arguments are:", ".Bl -tag -width Ds"]
        for name, text in function.parameters:
            out += [f".It Fa {name}", sentences(text[0].upper() + text[1:]).rstrip(".") + "."]
        out += [".El"]
    if function.returns:
        out += [".Sh RETURN VALUES",
                sentences(function.returns[0].upper() + function.returns[1:]).rstrip(".") + "."]
    near = [f.name for f in all_functions if f.header == function.header and f is not function]
    out += [".Sh SEE ALSO"] + [f".Xr {name} 3 ," for name in sorted(near)] + [".Xr rsp 7"]
    return "\n".join(out) + "\n"


def functions_of(headers):
    """All functions, in the order of the headers."""
    found = []
    for header in headers:
        text = pathlib.Path(header).read_text(encoding="utf-8")
        documented = [Function(pathlib.Path(header).name, doc, declaration, name)
                      for doc, declaration, name in DOC.findall(text)]
        plain = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        declared = set(re.findall(r"\b(rsp_\w+)\([^;{}]*\);", plain))
        declared -= set(re.findall(r"#define\s+(rsp_\w+)", plain))
        for name in sorted(declared - {f.name for f in documented}):
            print(f"{header}: {name} has no docstring", file=sys.stderr)
            sys.exit(1)
        found += documented
    return found


def main(arguments):
    """As the docstring of the file says."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    functions = functions_of(arguments[1:])
    if arguments[0] == "--list":
        print("\n".join(f.name for f in functions))
        return 0
    if arguments[0] == "--check":
        bad = [text for f in functions for text in f.lacks()]
        print("\n".join(bad))
        return 1 if bad else 0
    folder = pathlib.Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for function in functions:
        (folder / f"{function.name}.3").write_text(page(function, functions), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
