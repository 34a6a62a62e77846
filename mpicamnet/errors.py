"""What can go wrong, in words for the person who can mend it; and the exit code that goes with it."""
from __future__ import annotations

import errno

DONE = 0
USAGE = 2  # bad usage, config or input, found before work began
SLIDES_FAILED = 3  # done, but some slides could not be processed
FAULT = 70  # a fault of the program
FILE_SYSTEM = 74  # full, gone, not writable: what was finished stays
STOPPED = 75  # by a signal: a rerun goes on


class UserError(Exception):
    """An error that a user can cause and mend: one line, `WHAT: WHERE: HOW TO MEND`."""

    def __init__(self, what: str, where: object = "", mend: str = "", code: int = USAGE):
        super().__init__(what, str(where), mend, code)
        self.what, self.where, self.mend, self.code = what, str(where), mend, code

    def __str__(self) -> str:
        return ": ".join(" ".join(part.split()) for part in (self.what, self.where, self.mend) if part)


class SlideError(UserError):
    """A slide that cannot be processed: it is named, left out, and the others go on (exit code 3)."""

    def __init__(self, what: str, where: object = "", mend: str = ""):
        super().__init__(what, where, mend, SLIDES_FAILED)
        self.args = (what, str(where), mend)  # what pickle calls the class with


def file_system_error(error: OSError, where: object) -> UserError:
    """The error of a file system, in words; `where` is the file that was being written or read."""
    mend = {
        errno.ENOSPC: "make room or choose another `work`, then run again: it goes on from here",
        errno.EDQUOT: "your quota is used up: make room, then run again: it goes on from here",
        errno.EACCES: "choose a `work` that you may write to",
        errno.EROFS: "choose a `work` that you may write to",
        errno.ENOTDIR: "a part of this path is a file: choose another `work`",
    }.get(error.errno or 0, "look at the file system, then run again: it goes on from here")
    what = error.strerror or " ".join(str(error).split())
    return UserError(what[:1].lower() + what[1:], where, mend, FILE_SYSTEM)
