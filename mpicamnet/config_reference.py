"""The config reference as Markdown, made from the types: `python -m mpicamnet.config_reference > docs/config.md`."""
from __future__ import annotations

import dataclasses
import json
import types
import typing

from .config import Config


def reference() -> str:
    """docs/config.md: a table per section, with each key's type, default and meaning."""
    lines = [
        "# Config reference", "",
        "Made from the types by `python -m mpicamnet.config_reference`; do not edit. Relative paths in a file are relative to that file, in `--set` to the",
        "working directory; `~` and `$VARS` expand. An unknown key is an error.", "",
        *_section(Config, ""),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _section(cls: type, prefix: str) -> list[str]:
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    plain = [f for f in fields if not dataclasses.is_dataclass(hints[f.name])]
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"] if plain else []
    for f in plain:
        default = "*required*" if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING else f"`{_default(f)}`"
        lines.append(f"| `{prefix}{f.name}` | {_type(hints[f.name])} | {default} | {f.metadata['doc'].replace('|', ' or ')} |")
    lines.append("")
    for f in fields:
        if f not in plain:
            lines += [f"## {prefix}{f.name}", "", f.metadata["doc"][:1].upper() + f.metadata["doc"][1:] + ".", "",
                      *_section(typing.cast(type, hints[f.name]), f"{prefix}{f.name}.")]
    return lines


def _default(f: dataclasses.Field[typing.Any]) -> str:
    value = f.default if f.default is not dataclasses.MISSING else typing.cast(typing.Callable[[], object], f.default_factory)()
    return value if isinstance(value, str) else json.dumps(value)


def _type(kind: typing.Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(a) for a in args)
    if origin is typing.Literal:
        return ", ".join(f"`{a}`" for a in args)
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return "`key: value`"
    return {int: "whole number", float: "number", str: "text", bool: "true, false", type(None): "null"}[kind]


if __name__ == "__main__":
    print(reference(), end="")
