"""What a finished output says of itself: patches.h5, model.keras, predictions.h5, evaluation.json and report.html carry what they were made from."""
from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import UserError

PAGE_RECORD = re.compile(r'<script type="application/json" id="mpicamnet">(.*?)</script>', re.DOTALL)
PAGE_HEAD = 1 << 18  # characters in which a page must say it: pictures come after


@dataclass(frozen=True)
class Made:
    """What a finished output says of itself: digest of config and inputs, digest of its content, its config."""

    config_digest: str
    content_digest: str
    config: dict[str, Any]


def recorded(path: Path) -> Made:
    """What the output at `path` says of itself; raises UserError where it says nothing that we know."""
    try:
        if path.suffix == ".h5":
            import h5py

            with h5py.File(path, "r") as f:
                values = {k: str(f.attrs[k]) for k in ("config_digest", "content_digest", "config")}
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as z:
                values = json.loads(z.read("mpicamnet.json"))
        elif path.suffix == ".html":
            with path.open(encoding="utf-8") as page:
                record = PAGE_RECORD.search(page.read(PAGE_HEAD))
            values = json.loads(record[1]) if record else {}
        else:
            values = json.loads(path.read_text(encoding="utf-8"))
        config = values["config"]
        return Made(values["config_digest"], values["content_digest"], yaml.safe_load(config) if isinstance(config, str) else config)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, yaml.YAMLError) as e:
        raise UserError("this is not a finished file of mpicamnet", path, f"remove it and run again ({type(e).__name__})") from None
