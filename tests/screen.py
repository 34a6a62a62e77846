"""What a person sees of a program: it runs on a pseudo-terminal, and a small terminal obeys the few codes that it may use."""
from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass

from tests.launch import ENVIRONMENT, ROOT, command

CODE = re.compile(r"\x1b\[([\d;]*)([A-Za-z])")


class Screen:
    """Lines that never scroll away; `line` is where the cursor is. Knows line ends, cursor up, erase to the end of the screen, colours; no more."""

    def __init__(self) -> None:
        self.lines, self.line, self.column = [""], 0, 0

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                code = CODE.match(text, at)
                assert code, f"unknown code {text[at:at + 10]!r}"
                self._obey(code[1], code[2])
                at = code.end()
                continue
            if text[at] == "\r":
                self.column = 0
            elif text[at] == "\n":
                self.line += 1
                self.lines += [""] * (self.line == len(self.lines))
            else:
                here = self.lines[self.line].ljust(self.column)
                self.lines[self.line] = here[:self.column] + text[at] + here[self.column + 1:]
                self.column += 1
            at += 1

    def _obey(self, number: str, letter: str) -> None:
        if letter == "A":
            self.line -= int(number)
            assert self.line >= 0
        elif letter == "J" and number in ("", "0"):
            self.lines[self.line:] = [self.lines[self.line][:self.column]]
        else:
            assert letter == "m", f"code {number}{letter} is not to be used: a rank that is killed could not undo it"

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Seen:
    """What stood on the screen after each piece of output, and in the end; the exit code."""

    moments: list[str]
    end: Screen
    code: int


def watched(ranks: int, *words: object, timeout: float = 120, columns: int = 100, press: tuple[str, str] = ("", ""), **env: str) -> Seen:
    """The command as a person at a terminal runs it; `press`: a word, and the key that is pressed once it is on the screen."""
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.chdir(ROOT)
            os.execvpe("mpirun" if ranks else sys.executable, command(ranks, sys.executable, "-m", "mpicamnet", *words),
                       {**os.environ, **ENVIRONMENT, "TERM": "xterm-256color", **env})
        finally:
            os._exit(127)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    screen, moments, begun, (word, key) = Screen(), [""], time.monotonic(), press
    held = b""
    while True:
        if time.monotonic() - begun > timeout:
            os.killpg(process, signal.SIGKILL)
            raise AssertionError(f"no end within {timeout} s: {words}\n{screen.text[-3000:]}")
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            held += os.read(terminal, 1 << 16)
        except OSError:  # the other side is closed
            break
        whole = max(held.rfind(b"\n"), held.rfind(b"m")) + 1  # letters and codes may come in two pieces
        screen.feed(held[:whole].decode())
        held = held[whole:]
        moments.append(screen.text)
        if key and word in screen.text:
            os.write(terminal, key.encode())
            key = ""
    screen.feed(held.decode())
    return Seen([*moments, screen.text], screen, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
