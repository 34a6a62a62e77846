"""A drawn cohort for tests of the command: three slides of 2,048 px in Camelyon17's layout."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mpicamnet.synth import draw_cohort

Configure = Callable[..., Path]


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort") / "slides"
    draw_cohort(root, slides=3, size=2048, seed=5)
    return root


@pytest.fixture
def configure(tmp_path: Path, cohort: Path) -> Configure:
    """`configure(name, section={key: value})` writes a config of that name, whose work is a folder of that name, and returns its path."""

    def write(name: str = "c", **sections: Any) -> Path:
        base: dict[str, Any] = {"work": str(tmp_path / name), "seed": 7, "data": {"root": str(cohort), "patch": 96},
                                "extract": {"sampling": "dense", "block": 1024}}
        for section, values in sections.items():
            base[section] = {**base.get(section, {}), **values} if isinstance(values, dict) else values
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(base))
        return path

    return write
