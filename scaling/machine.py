"""A machine in a dozen numbers, from a YAML file that says where each is from."""
from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mpicamnet.errors import UserError

PRESETS = Path(__file__).parent / "machines"


@dataclass(frozen=True)
class Machine:
    """Nodes; cores of a node; speed of a core (1: that of the calibration); GB/s of the whole file system; GB/s of a stripe of a file, and their number;
    ms of an operation of the file system; GB/s and us of a node's link; devices of a node, and images/s of one (ResNet50, 224 px, training)."""

    nodes: int
    cores: int
    core_speed: float
    read_gb_s: float
    write_gb_s: float
    stripe_gb_s: float
    stripes: int
    operation_ms: float
    link_gb_s: float
    link_us: float
    devices: int
    device_images_s: float

    @property
    def file_write(self) -> float:
        """Bytes per second that one file takes, from all nodes together: the file system's or its stripes', the lesser."""
        return 1e9 * min(self.write_gb_s, self.stripe_gb_s * self.stripes)


def machine(name: str) -> Machine:
    """A preset by its name, or a YAML file by its path; raises UserError."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else PRESETS / f"{name}.yaml"
    known = {f.name: f.type for f in dataclasses.fields(Machine)}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or set(found) != set(known):
            raise UserError("a machine needs these keys, no less and no more", path, ", ".join(known))
        values: dict[str, Any] = {k: (int if known[k] == "int" else float)(v) for k, v in found.items()}
        return Machine(**values)
    except OSError:
        raise UserError(f"there is no machine `{name}`", "", "there are " + ", ".join(sorted(p.stem for p in PRESETS.glob("*.yaml")))) from None
    except (yaml.YAMLError, TypeError, ValueError) as e:
        raise UserError(f"this cannot be read ({e})", path, "see the presets in scaling/machines") from None
