"""Completion of the command line in a shell: a script made from the parser itself, printed once, so that nothing runs at a press of the key."""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

SHELLS = ("bash", "zsh")


class PrintCompletion(argparse.Action):
    """`--print-completion SHELL`: print the script and leave, as `--version` does. `stages`: what STAGE can be."""

    def __init__(self, *args: Any, stages: Sequence[str], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._stages = stages

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option_string: str | None = None) -> None:
        print(script(parser, str(values), self._stages))
        parser.exit()


def script(parser: argparse.ArgumentParser, shell: str, stages: Sequence[str]) -> str:
    """The completion script of `parser` for `shell`: commands, options, files for CONFIG and FILE, folders for DIR, names for STAGE and MODEL.

    Changes the parser's arguments on the way, so it is not for parsing afterwards.
    """
    import shtab  # here: no other command waits for it

    from .train import NETWORKS

    names: dict[object, list[str]] = {"STAGE": list(stages), "MODEL": list(NETWORKS)}
    paths: dict[object, object] = {"CONFIG": shtab.FILE, "FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
    for argument in _arguments(parser):
        if argument.metavar in names:
            argument.choices = names[argument.metavar]
        elif argument.metavar in paths:
            vars(argument)["complete"] = paths[argument.metavar]  # where shtab looks
    return shtab.complete(parser, shell)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Those of the parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _arguments(command)
