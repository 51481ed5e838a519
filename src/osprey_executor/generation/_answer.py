"""The program in an answer: exactly one fenced block of Python, or an answer that is nothing but Python."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

from osprey_executor.errors import CodeGenerationError
from osprey_executor.text import one_line

_FENCE = re.compile(r"^(?P<indent> {0,3})(?P<marks>`{3,}|~{3,})[ \t]*(?P<tag>[^\s`]*)[^\n`]*$")
_PYTHON_TAGS = {"", "py", "py3", "python", "python3"}
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_MOST_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class _Block:
    tag: str
    code: str
    start: int
    """First line inside the fence."""
    end: int
    """Line of the closing fence."""
    closed: bool


def program_in(answer: str) -> str:
    """Return the program in a model's answer, character for character as the model wrote it.

    Raises:
        CodeGenerationError: there is no program, more than one, or only the beginning of one.
    """
    if len(answer) > _MOST_CHARACTERS:
        raise CodeGenerationError(f"the answer is longer than {_MOST_CHARACTERS} characters; ask for one program only")
    text = _THOUGHT.sub("", answer, count=1)
    if not text.strip():
        raise CodeGenerationError("the answer is empty; ask again for one Python program in a fenced block")
    lines = text.split("\n")
    fenced = _blocks(lines)
    # An untagged block beside a tagged one is output or a shell command, not a second program.
    tagged = [block for block in fenced if block.tag in _PYTHON_TAGS - {""}]
    blocks = [block for block in tagged or fenced if block.tag in _PYTHON_TAGS]
    if blocks:
        return _chosen(blocks, fenced[-1], lines)
    if not fenced and _is_program(text):
        return text
    raise CodeGenerationError(f"the answer holds no block of Python; it says: {one_line(text.strip(), 300)}")


def _chosen(blocks: list[_Block], last: _Block, lines: list[str]) -> str:
    if len(blocks) == 1 and blocks[0].closed and _parses(blocks[0].code) and blocks[0].code.strip():
        return blocks[0].code
    # A program may itself hold fences, in the text of a report that it writes; then the outermost pair is meant.
    end = last.end if last.closed else last.start - 1
    outer = "\n".join(lines[blocks[0].start : end])
    if outer.strip() and end > blocks[0].end and _parses(outer):
        return outer + "\n"
    if not blocks[-1].closed:
        raise CodeGenerationError("the answer breaks off inside its block of Python; ask for a shorter program")
    if len(blocks) > 1:
        raise CodeGenerationError(f"the answer holds {len(blocks)} blocks of Python; exactly one is needed")
    if not blocks[0].code.strip():
        raise CodeGenerationError("the block of Python in the answer is empty")
    return blocks[0].code


def _blocks(lines: list[str]) -> list[_Block]:
    found: list[_Block] = []
    opening: re.Match[str] | None = None
    start = 0
    for number, line in enumerate(lines):
        fence = _FENCE.match(line.rstrip("\r"))
        if opening is None:
            if fence:
                opening, start = fence, number + 1
        elif fence and not fence["tag"] and _closes(fence["marks"], opening["marks"]):
            found.append(_block(lines, opening, start, number, closed=True))
            opening = None
    if opening is not None:
        found.append(_block(lines, opening, start, len(lines), closed=False))
    return found


def _closes(marks: str, opening: str) -> bool:
    return marks[0] == opening[0] and len(marks) >= len(opening)


def _block(lines: list[str], opening: re.Match[str], start: int, end: int, *, closed: bool) -> _Block:
    indent = len(opening["indent"])
    body = [line[min(indent, len(line) - len(line.lstrip(" "))) :] for line in lines[start:end]]
    code = "\n".join(body)
    return _Block(opening["tag"].lower().strip("{}."), code + "\n" if code else code, start, end, closed)


def _is_program(text: str) -> bool:
    """Tell bare code from prose that happens to parse, such as a single word."""
    tree = _parsed(text)
    if tree is None:
        return False
    return any(not isinstance(item, ast.Expr) or isinstance(item.value, ast.Call | ast.Await) for item in tree.body)


def _parses(text: str) -> bool:
    return _parsed(text) is not None


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
