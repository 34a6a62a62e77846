"""The stages: what each reads and writes, the config keys it depends on, and whether it is done.

There is no file of states: a finished output carries the digest of what it was made from. A stage is done when its output is there and that
digest is today's.
"""
from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import config as cfg
from .errors import UserError
from .made import recorded
from .train import given_file

SLIDES = "slides"  # the input that no stage makes


@dataclass(frozen=True)
class Stage:
    """`module` has `run(job)`; `output` is relative to `work`; `inputs` are stages, or SLIDES; `keys` are dotted config keys or sections.

    `shown`: stages whose outputs it takes where they are there, and does without where they are not.
    """

    name: str
    module: str
    output: str
    inputs: tuple[str, ...]
    keys: tuple[str, ...]
    does: str
    shown: tuple[str, ...] = ()


_EXTRACT = ("seed", "data.patch", "data.level", "data.mpp", "data.reader", "tissue", "label", "extract.sampling", "extract.per_class", "extract.stride",
            "extract.block", "extract.white", "extract.black", "extract.storage", "extract.jpeg_quality")
_INFER = ("infer.stride", "infer.tta", "infer.interpolation", "infer.threshold", "infer.outlines", "data.patch", "data.level", "data.mpp", "data.reader",
          "tissue", "label", "extract.white", "extract.black", "extract.block")
# what is in weights_dir is known by its hash
_NO_RESULT = ("threads", "readers", "fusion_mb", "timeline", "weights_dir")
_TRAIN = tuple(f"train.{f.name}" for f in dataclasses.fields(cfg.Train) if f.name not in _NO_RESULT)

_EXPLAIN = ("seed", "data.patch", "data.level", "data.mpp", "data.reader", "evaluate.threshold",
            *(f"explain.{k}" for k in ("methods", "per_slide", "patches", "layer", "sanity", "lime", "concepts")))

STAGES = (
    Stage("extract", "mpicamnet.patches.stage", "patches.h5", (SLIDES,), _EXTRACT, "slides to patches: tissue, sampling, filter, one parallel HDF5 file"),
    Stage("train", "mpicamnet.train.stage", "train/model.keras", ("extract",), ("seed", "data.split", *_TRAIN), "patches to a network, by Horovod"),
    Stage("infer", "mpicamnet.infer.stage", "infer/predictions.h5", (SLIDES, "train"), ("seed", "data.split", *_INFER),
          "slides and network to probabilities and heatmaps"),
    Stage("evaluate", "mpicamnet.evaluate.stage", "evaluate/evaluation.json", (SLIDES, "infer"), ("seed", "data.split", "evaluate"), "how good they are"),
    Stage("explain", "mpicamnet.explain.stage", "explain/attributions.h5", (SLIDES, "train", "infer"), _EXPLAIN, "why the network says so"),
    Stage("report", "mpicamnet.report.stage", "report.html", ("extract",),
          ("data.patch", "data.level", "data.mpp", "data.reader", "tissue", "evaluate.threshold"),
          "one page of all that was made", ("train", "infer", "evaluate", "explain")),
)
BY_NAME = {s.name: s for s in STAGES}


@dataclass(frozen=True)
class State:
    """`digest`: what the output must carry; `done`: it does; `why`: in words, where it does not."""

    digest: str
    done: bool
    why: str


def state(stage: Stage, config: cfg.Config, slides_digest: str) -> State:
    """Whether a stage is done; reads files, so one rank asks and tells the others. Raises UserError where an input is not there."""
    work = Path(config.work)
    inputs = [slides_digest if name == SLIDES else _input(stage, BY_NAME[name], config, slides_digest) for name in stage.inputs]
    inputs += [_input(stage, BY_NAME[name], config, slides_digest) if (work / BY_NAME[name].output).exists() else f"no {name}" for name in stage.shown]
    if stage.name == "train" and config.train.weights not in cfg.START_WORDS:
        inputs.append(_file_digest(given_file(config.train.weights)))
    digest = cfg.digest(config, stage.keys, *inputs)
    output = work / stage.output
    if not output.exists():
        return State(digest, False, "")
    made = recorded(output)
    if made.config_digest == digest:
        return State(digest, True, f"{stage.output} is there, made with this config")
    differ = cfg.changes(_select(made.config, stage.keys), cfg.select(config, stage.keys))
    why = "; ".join(differ) or "its input has changed"
    return State(digest, False, f"{stage.output} is made anew: {why}")


def outputs(work: Path) -> list[tuple[str, int, int]]:
    """What a run has left in `work`: paths relative to it (a folder ends in `/`), number of files, bytes; in the order of the stages."""
    names = [s.output for s in STAGES]
    for stage, folder in (("infer", "infer/heatmaps/"), ("explain", "explain/panels/")):
        names.insert(names.index(BY_NAME[stage].output) + 1, folder)
    found = []
    for name in names:
        path = work / name
        files = [path] if path.is_file() else sorted(p for p in path.glob("*") if p.is_file())
        if files:
            found.append((name, len(files), sum(p.stat().st_size for p in files)))
    return found


def _input(stage: Stage, source: Stage, config: cfg.Config, slides_digest: str) -> str:
    """The content digest of what `source` left, which must be there and of today's config."""
    if stage.name in ("infer", "explain") and source.name == "train" and config.infer.model is not None:
        model = Path(config.infer.model)
        if not model.is_file():
            raise UserError("there is no such model", model, "see `infer.model`")
        return recorded(model).content_digest
    path = Path(config.work) / source.output
    if not path.exists():
        partial = path.with_name(path.name + ".partial").exists()
        raise UserError(f"{source.output} is {'not finished' if partial else 'not there'}, and {stage.name} reads it", path,
                        f"run `mpicamnet {source.name}` first, or `mpicamnet run`")
    now = state(source, config, slides_digest)
    if not now.done:
        raise UserError(f"{source.output} was made with another config ({now.why.partition(': ')[2]})", path,
                        f"run `mpicamnet {source.name}` first, or `mpicamnet run`")
    return recorded(path).content_digest


def _file_digest(path: Path) -> str:
    """Hex SHA-256 of the file that `train.weights` names: another file of the same name is another start."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _select(config: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """`config.select` on the plain dict that a file holds, where a key of another version may be missing."""
    out: dict[str, Any] = {}
    for dotted in keys:
        value: Any = config
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        out.update(cfg.flat(dotted, value))
    return out
