"""The page of the C interface, made from its header: what stands there is what stands in the page."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
_NAME = re.compile(r"(\w+)\s*\(|\{\s*(\w+)\s*=|(\w+)\s*;\s*$")


class HeaderError(Exception):
    """The header says less than a page needs."""


def reference(header: str) -> str:
    """Markdown: the header's own comment, then each declaration below its name, with the comment before it.

    header: text of a C header with a comment at its top, whose declarations stand between `extern "C" {` and the brace
    that ends it. Raises HeaderError where a declaration has no comment: it would be a name without an explanation.
    """
    about = _COMMENT.search(header)
    inside = re.search(r'extern "C" \{\n#endif\n(.*?)#ifdef __cplusplus', header, re.DOTALL)
    if about is None or inside is None:
        raise HeaderError('expected a comment at the top, and declarations within extern "C"')
    parts = [_prose(about[1])]
    for comment, code in declarations(inside[1]):
        parts.append(f"## `{name_of(code)}`\n\n{_prose(comment)}\n\n```c\n{code}\n```")
    return "\n\n".join(parts) + "\n"


def declarations(text: str) -> list[tuple[str, str]]:
    """(comment, code) of each declaration, in order."""
    found, comment, at = [], None, 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        if (match := _COMMENT.match(text, at)) is not None:
            comment, at = match[1], match.end()
            continue
        end = _end_of_declaration(text, at)
        code = text[at:end].strip()
        if comment is None:
            raise HeaderError(f"{code.splitlines()[0]}: no comment before it")
        found.append((comment, code))
        comment, at = None, end
    return found


def _end_of_declaration(text: str, at: int) -> int:
    """Behind the semicolon that is in no brace and no comment."""
    depth = 0
    while at < len(text):
        if (match := _COMMENT.match(text, at)) is not None:
            at = match.end()
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
        if text[at - 1] == ";" and depth == 0:
            return at
    raise HeaderError("a declaration that no semicolon ends")


def name_of(code: str) -> str:
    """What a declaration declares: a function, an enumerator, a type."""
    bare = _COMMENT.sub("", code)
    pattern = _NAME if not bare.startswith("typedef") else re.compile(r"()()(\w+)\s*;\s*$")
    match = pattern.search(bare)
    if match is None:
        raise HeaderError(f"{code.splitlines()[0]}: declares nothing that has a name")
    return next(name for name in match.groups() if name)


def _prose(comment: str) -> str:
    """A comment's words, its paragraphs kept."""
    lines = [re.sub(r"^\s*\*? ?", "", line).rstrip() for line in comment.strip().splitlines()]
    return "\n".join(lines)
