"""The shell commands that a Markdown page shows."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SHELL = ("sh", "bash", "shell", "console")
DRAWN = re.compile(r"[─│┌└]")  # a drawing, in a block that says no language
SAID = re.compile(r"\s{3,}\S|\s+#\s")  # where what a command does begins, beside it


@dataclass(frozen=True)
class Command:
    """A command as a reader would type it. `exports`: the `export` lines before it in its block. `line`: of the page, from 1."""

    text: str
    exports: tuple[str, ...]
    page: str
    line: int


def commands_of(path: Path) -> list[Command]:
    """All commands in the shell blocks of a page, in order; also in blocks of no language, unless they hold a drawing."""
    found: list[Command] = []
    for line, language, body in blocks_of(path.read_text(encoding="utf-8")):
        if language in SHELL or (not language and not DRAWN.search(body)):
            exports: list[str] = []
            for i, text in enumerate(re.sub(r"\\\n\s*", "", body).splitlines()):
                words = SAID.split(text + " ", maxsplit=1)[0].strip()
                if words and not words.startswith("#"):
                    found.append(Command(words, tuple(exports), path.name, line + 1 + i))
                    exports += [words] if words.startswith("export ") else []
    return found


def blocks_of(text: str) -> list[tuple[int, str, str]]:
    """Fenced blocks: line of the opening fence, language, body."""
    return [(text.count("\n", 0, m.start()) + 1, m[1].strip(), m[2]) for m in re.finditer(r"^```([^\n`]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
