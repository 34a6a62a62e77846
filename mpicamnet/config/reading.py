"""From YAML and `--set` to a Config; of a mistake it is said where it stands."""
from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
import types
import typing
from pathlib import Path
from typing import Any, Literal

import yaml

from ..errors import UserError
from .keys import Config, names
from .rules import check


def load(path: str | Path, overrides: list[str] | None = None) -> Config:
    """The config in a YAML file, with `key.sub=value` overrides; paths come out absolute.

    Raises UserError for whatever a person can have got wrong, with file and line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise UserError("the config cannot be read", path, getattr(e, "strerror", None) or "it is not a text file") from None
    root = _compose(text, path)
    changed = frozenset(item.partition("=")[0] for item in overrides or [])
    values = _values(Config, root, "", path, path.parent.resolve(), changed)
    for item in overrides or []:
        name, eq, value = item.partition("=")
        if not eq:
            raise UserError("an override must be key=value", f"--set {item}", "e.g. --set train.epochs=3")
        node = _compose(value, f"--set {item}") if value.strip() else yaml.ScalarNode("tag:yaml.org,2002:null", "")
        for part in reversed(name.split(".")):
            node = yaml.MappingNode("tag:yaml.org,2002:map", [(yaml.ScalarNode("tag:yaml.org,2002:str", part), node)])
        _merge(values, _values(Config, node, "", f"--set {item}", Path.cwd()))
    config: Config = _build(Config, values, "", path)
    check(config, path)
    return config


def _compose(text: str, where: object) -> yaml.Node:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        raise UserError("this is not YAML", place, getattr(e, "problem", None) or "see the examples in configs/") from None
    if node is None:
        raise UserError("the config is empty", where, "see the examples in configs/")
    return node


def _values(cls: type, node: yaml.Node, prefix: str, where: object, base: Path, changed: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The values of a mapping node, checked against the fields of `cls`; unknown keys are errors that name the nearest known one.

    Paths in `changed` are left as they stand: another value follows, and what they name need not be set.
    """
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"`{prefix or 'the config'}` must be a list of `key: value`", _at(where, node), "see the examples in configs/")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    out: dict[str, Any] = {}
    for name_node, value_node in node.value:
        name = str(name_node.value)
        full = f"{prefix}.{name}" if prefix else name
        if name not in fields:
            raise UserError(f"unknown key `{full}`", _at(where, name_node), f"did you mean `{_nearest(full)}`?")
        if name in out:
            raise UserError(f"`{full}` stands twice", _at(where, name_node), "keep one of them")
        kind = hints[name]
        if dataclasses.is_dataclass(kind):
            if isinstance(value_node, yaml.ScalarNode) and value_node.tag.endswith(":null"):
                continue
            out[name] = _values(typing.cast(type, kind), value_node, full, where, base, changed)
        else:
            value = _plain(value_node, where)
            value = _typed(value, kind, full, _at(where, value_node))
            _in_range(value, fields[name].metadata, full, _at(where, value_node))
            if fields[name].metadata["path"] and full not in changed and value is not None and value not in fields[name].metadata["words"]:
                value = str(base / Path(_expanded(value, full, _at(where, value_node))).expanduser())
                value = os.path.normpath(value)
            out[name] = value
    return out


def _expanded(path: str, name: str, where: str) -> str:
    out = os.path.expandvars(path)
    unset = re.search(r"\$\w+|\$\{\w+\}", out)
    if unset:
        raise UserError(f"`{name}` names {unset[0]}, which is not set", where, "set it, or write the path out")
    return out


def _plain(node: yaml.Node, where: object) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as e:
        raise UserError("a value cannot be read", _at(where, node), " ".join(str(e).split())) from None
    finally:
        loader.dispose()


def _at(where: object, node: yaml.Node) -> str:
    return f"{where}, line {node.start_mark.line + 1}" if isinstance(where, Path) and node.start_mark else str(where)


def _typed(value: Any, kind: Any, name: str, where: str) -> Any:
    """`value` as the type that the key wants; raises UserError where it is of another."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for option in sorted(args, key=lambda a: a is not type(None)):
            try:
                return _typed(value, option, name, where)
            except UserError:
                continue
    elif origin is Literal:
        if value is None and "none" in args:
            return "none"
        if value in args and not isinstance(value, bool):
            return value
        near = difflib.get_close_matches(str(value), [str(a) for a in args], 1)
        raise UserError(f"`{name}` cannot be {json.dumps(value, default=str)}", where,
                        (f"did you mean `{near[0]}`? " if near else "") + "it can be " + ", ".join(f"`{a}`" for a in args))
    elif origin is list and isinstance(value, list):
        return [_typed(v, args[0], name, where) for v in value]
    elif origin is dict and isinstance(value, dict):
        return {str(k): str(v) for k, v in value.items()}
    elif kind is type(None):
        if value is None:
            return None
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, str):  # YAML 1.1 takes 1e-4 for a word
            try:
                return float(value)
            except ValueError:
                pass
    elif kind is str and isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    elif isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise UserError(f"`{name}` must be {_words(kind)}, not {json.dumps(value, default=str)}", where, "mend the value")


def _words(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(a) for a in args)
    if origin is list:
        return f"a list, each {_words(args[0])}"
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in args)
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    return names.get(kind, "a list of `key: value`")


def _in_range(value: Any, meta: typing.Mapping[str, Any], name: str, where: str) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    low, high, above = meta["low"], meta["high"], meta["above"]
    if not (value == value and (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)):
        limits = [f"at least {low}" if low is not None else "", f"above {above}" if above is not None else "",
                  f"at most {high}" if high is not None else ""]
        raise UserError(f"`{name}` is {value}", where, "it must be " + " and ".join(t for t in limits if t))


def _nearest(name: str) -> str:
    known = list(names())
    tail = name.rsplit(".", 1)[-1]
    by_tail = [k for k in known if k.rsplit(".", 1)[-1] == tail]
    return (by_tail or difflib.get_close_matches(name, known, 1, 0.0))[0]


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for k, v in other.items():
        if isinstance(v, dict) and isinstance(into.get(k), dict) and k != "hints":
            _merge(into[k], v)
        else:
            into[k] = v


def _build(cls: type, values: dict[str, Any], prefix: str, where: object) -> Any:
    hints = typing.get_type_hints(cls)
    given: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if f.name in values:
            sub = dataclasses.is_dataclass(hints[f.name])
            given[f.name] = _build(typing.cast(type, hints[f.name]), values[f.name], f"{prefix}{f.name}.", where) if sub else values[f.name]
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise UserError(f"`{prefix}{f.name}` is missing", where, f"add a line `{prefix}{f.name}: ...`")
    return cls(**given)
