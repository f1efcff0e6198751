"""The commands that the README and docs/ show, in the order in which they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

PAGES = [Path("README.md"), *sorted(path.relative_to(ROOT) for path in ROOT.glob("docs/*.md"))]
PROGRAMS = ("cp", "dvc", "git", "hf", "make", "pip", "python", "sphinx-build", "source")
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(rf"(?<!`)`((?:{'|'.join(PROGRAMS)}) [^`]+)`(?!`)")


@dataclass(frozen=True)
class Fence:
    """A block of a page: what it holds, and its text."""

    page: Path
    language: str
    text: str


def fences(page: Path) -> list[Fence]:
    """The fenced blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Fence(page, *match) for match in FENCE.findall(text)]


@dataclass(frozen=True)
class Command:
    """A line of a block, or code inside a sentence that begins with a program's name."""

    page: Path
    text: str

    @property
    def is_instruction(self) -> bool:
        """Whether it is a comment line, which says what to edit."""
        return self.text.startswith("#")


def commands() -> list[Command]:
    """Every command of every page; one that several pages show counts once."""
    first: dict[str, Command] = {}
    for page in PAGES:
        for text in _commands_of((ROOT / page).read_text(encoding="utf-8")):
            first.setdefault(text, Command(page, text))
    return [*first.values()]


def _commands_of(text: str) -> Iterator[str]:
    """Blocks' lines and code in sentences, in the order of the page."""
    places = [
        *((match.start(), [*_lines(match[2])]) for match in FENCE.finditer(text)
          if match[1] in ("sh", "usage")),
        *((match.start(), [match[1]]) for match in INLINE.finditer(FENCE.sub(_blank, text))),
    ]  # fmt: skip
    for _, found in sorted(places):
        yield from found


def _lines(block: str) -> Iterator[str]:
    """The commands of a block: comments after them and brackets around what may be left out are
    dropped."""
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        command = line if line.startswith("#") else re.split(r"\s+#\s", line)[0]
        if command.strip():
            yield re.sub(r"[\[\]]", "", command).strip()


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])
