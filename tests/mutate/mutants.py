# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a C source can be changed a little, by its tokens. No parser: the house style puts the braces
of a function in the first column, which is all that has to be known of structure.

Left out is what cannot make a difference to anybody:
 * assertions, which say what cannot be;
 * calloc(1, …) made calloc(2, …): memory that nobody looks at;
 * where a pool handle of no octets points, (struct pool_handle){0};
 * which constants and bit operations a hash is made of: any function of the key will do, and the
   seeds in them are random, so that no order of a table's entries can be relied upon."""
import collections
import re

# What a place can become. Every change is one a hand might make.
SWAPS = {
    "<": ("<=", "boundary"), "<=": ("<", "boundary"),
    ">": (">=", "boundary"), ">=": (">", "boundary"),
    "==": ("!=", "relation"), "!=": ("==", "relation"),
    "&&": ("||", "boolean"), "||": ("&&", "boolean"),
    "true": ("false", "boolean"), "false": ("true", "boolean"),
    "+": ("-", "arithmetic"), "-": ("+", "arithmetic"),
    "++": ("--", "arithmetic"), "--": ("++", "arithmetic"),
    "+=": ("-=", "arithmetic"), "-=": ("+=", "arithmetic"),
    "&": ("|", "bits"), "|": ("&", "bits"), "<<": (">>", "bits"), ">>": ("<<", "bits"),
}
TOKEN = re.compile(r"""
    (?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:[^\n]|\\\n)*)
  | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<word>[A-Za-z_]\w*)
  | (?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*)
  | (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.X | re.S | re.M)

Mutant = collections.namedtuple("Mutant", "file line kind before after start end")
Token = collections.namedtuple("Token", "kind text start end")


def functions(text):
    """(name, start, end) of each function's body."""
    for match in re.finditer(r"^\{\n(.*?)^\}", text, re.M | re.S):
        head = text[text.rfind("\n\n", 0, match.start()) + 2:match.start()]
        name = re.search(r"(\w+)\(", re.sub(r"/\*.*?\*/", "", head, flags=re.S))
        yield name.group(1) if name else "", match.start(1), match.end(1)


def tokens(text, start, end):
    return [Token(m.lastgroup, m.group(), m.start(), m.end())
            for m in TOKEN.finditer(text, start, end) if m.lastgroup != "skip"]


def closing(body, at):
    """Index of the token that closes the parenthesis at `at`."""
    depth = 0
    for i in range(at, len(body)):
        depth += {"(": 1, ")": -1}.get(body[i].text, 0)
        if depth == 0:
            return i
    return None


def binary(body, i):
    """A sign between two operands."""
    left = body[i - 1] if i > 0 else None
    return left is not None and (
        left.kind == "number" or left.text in (")", "]") or
        (left.kind == "word" and left.text not in ("return", "case", "sizeof")))


def of_tokens(body):
    """Changes of one token."""
    for i, token in enumerate(body):
        if token.text in SWAPS:
            unary = token.text in ("+", "-", "&") and not binary(body, i)
            declared = token.text in ("<", ">") and not binary(body, i)
            after_cast = token.text in ("+", "-", "&") and i > 1 and body[i - 1].text == ")" and \
                body[i - 2].text in ("uint64_t", "uint32_t", "int64_t", "int", "void", "*")
            if not (unary or declared or after_cast):
                yield token, *SWAPS[token.text]
        elif token.kind == "number":
            digits = token.text.rstrip("uUlL")
            value = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
            before = [t.text for t in body[max(i - 4, 0):i]]
            one_object = value == 1 and before[-2:] == ["calloc", "("]
            nowhere = value == 0 and before == ["struct", "pool_handle", ")", "{"]
            if not one_object and not nowhere:
                yield token, str(value + 1) + token.text[len(digits):], "constant"
            if value > 0:
                yield token, str(value - 1) + token.text[len(digits):], "constant"
        elif token.text == "!" and i + 1 < len(body) and body[i + 1].text != "=":
            yield token, "", "negation"


def of_conditions(text, body):
    """if and while the other way round; with an else that swaps the branches."""
    for i, token in enumerate(body[:-1]):
        if token.text in ("if", "while") and body[i + 1].text == "(":
            close = closing(body, i + 1)
            if close is not None:
                start, end = body[i + 1].start, body[close].end
                yield Token("", text[start:end], start, end), f"(!{text[start:end]})", \
                    "condition"


def of_statements(text, body):
    """A call or an assignment left out."""
    first = 0
    depth = 0
    for i, token in enumerate(body):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth > 0 or token.text not in (";", "{", "}", ":"):
            continue
        part = body[first:i]
        first = i + 1
        if token.text != ";" or len(part) < 2 or part[0].kind != "word":
            continue
        words = [t.text for t in part]
        if words[0] in ("return", "case", "default", "goto", "else", "do", "static", "const",
                        "typedef", "for", "while", "if", "struct", "enum", "union", "switch"):
            continue
        # Two words side by side declare something.
        if part[1].kind == "word" or (words[1] == "*" and part[2].kind == "word" and
                                      words[3:4] in (["="], [";"], [])):
            continue
        start, end = part[0].start, token.end
        yield Token("", text[start:end], start, end), ";", "statement"


def of_source(file, text):
    """All mutants of a source."""
    found = []
    for name, start, end in functions(text):
        hashes = "hash" in name or name in ("bucket_of", "waiter_bucket")
        body = tokens(text, start, end)
        changes = [*of_tokens(body), *of_conditions(text, body), *of_statements(text, body)]
        for token, after, kind in changes:
            line_start = text.rfind("\n", 0, token.start) + 1
            line_end = text.find("\n", token.start)
            if re.search(r"\bassert\(|static_assert", text[line_start:line_end]):
                continue
            if hashes and kind in ("constant", "bits"):
                continue
            found.append(Mutant(file, text.count("\n", 0, token.start) + 1, kind,
                                " ".join(token.text.split()), " ".join(after.split()),
                                token.start, token.end))
    return sorted(found, key=lambda m: (m.start, m.end, m.after))


def apply(text, mutant, after):
    return text[:mutant.start] + after + text[mutant.end:]
