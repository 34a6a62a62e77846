"""What a config says, as plain values: to store, to compare, to digest."""
from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from typing import Any

import yaml

from .keys import Config

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's, a quarter of the time: rank 0 writes a config where all others wait


def as_dict(config: Any) -> dict[str, Any]:
    """A config (or a part of one) as plain dicts, lists and scalars."""
    return dataclasses.asdict(config)


def as_yaml(config: Config) -> str:
    """The whole config, defaults included, as YAML that `load` reads back to the same."""
    return yaml.dump(as_dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def select(config: Config, keys: typing.Iterable[str]) -> dict[str, Any]:
    """The values under dotted `keys` (a section stands for all its keys), flat: {"data.patch": 224, ...}."""
    out: dict[str, Any] = {}
    for dotted in keys:
        value: Any = config
        for part in dotted.split("."):
            value = getattr(value, part)
        out.update(flat(dotted, dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value))
    return out


def digest(config: Config, keys: typing.Iterable[str], *inputs: str) -> str:
    """Hex SHA-256 over the values under `keys` and over the digests of what goes in."""
    text = json.dumps([select(config, keys), list(inputs)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two results of `select`, in words: `extract.per_class was 10, is 12`."""
    return [f"{k} was {json.dumps(old.get(k))}, is {json.dumps(new.get(k))}" for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k)]


def flat(name: str, value: Any) -> dict[str, Any]:
    """A nested dict under dotted names: ("a", {"b": 1}) -> {"a.b": 1}."""
    if isinstance(value, dict) and value:
        return {k: v for part, sub in value.items() for k, v in flat(f"{name}.{part}", sub).items()}
    return {name: value}
