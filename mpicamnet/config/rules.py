"""What no single key can tell: which keys go together."""
from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .keys import Config, Train


def shard_of(config: Config) -> tuple[int, int] | None:
    """K and N of `extract.shard`, 1 <= K <= N, or None where this is no share; raises ValueError where it is not K/N."""
    if config.extract.shard is None:
        return None
    k, n = (int(part) if part.isascii() and part.isdigit() else 0 for part in config.extract.shard.split("/"))
    if not 1 <= k <= n:
        raise ValueError(config.extract.shard)
    return k, n


def check(config: Config, where: Path) -> None:
    """Raise UserError where keys contradict each other."""
    d, s = config.data, config.data.split
    if d.layout == "csv" and d.csv is None:
        raise UserError("`data.csv` is missing", where, "layout csv needs the table of slides")
    if d.layout != "csv" and d.root is None:
        raise UserError("`data.root` is missing", where, f"layout {d.layout} needs the folder of the slides")
    if d.mpp is not None and d.level:
        raise UserError("`data.level` and `data.mpp` are both set", where, "keep one of them")
    try:
        shard_of(config)
    except ValueError:
        raise UserError(f"`extract.shard` is {config.extract.shard}", where, "it must be K/N with 1 <= K <= N, e.g. 3/8") from None
    if config.label.normal_max >= config.label.tumor_min:
        raise UserError(f"`label.normal_max` ({config.label.normal_max}) is not below `label.tumor_min` ({config.label.tumor_min})", where,
                        "a patch would be both classes")
    if config.tissue.method == "fixed" and config.tissue.threshold is None:
        raise UserError("`tissue.threshold` is missing", where, "method fixed needs it")
    _check_train(config.train, where)
    if config.train.mining.after is not None and config.train.mining.after >= config.train.epochs:
        raise UserError(f"`train.mining.after` is {config.train.mining.after}, and `train.epochs` {config.train.epochs}", where,
                        "no epoch is left to train on what is mined")
    if config.evaluate.detection.sure < config.evaluate.detection.threshold:
        raise UserError(f"`evaluate.detection.sure` ({config.evaluate.detection.sure}) is below `evaluate.detection.threshold` "
                        f"({config.evaluate.detection.threshold})", where, "raise it: a lesion is surest in its middle")
    if not config.explain.lime.seeds or min(config.explain.lime.seeds) < 0 or max(config.explain.lime.seeds) >= 2**32:
        raise UserError("`explain.lime.seeds` must be one or more numbers from 0 to 4294967295", where, "e.g. [0, 1, 2]")
    if s.fractions is not None and (len(s.fractions) != 3 or min(s.fractions) < 0 or abs(sum(s.fractions) - 1) > 1e-6):
        raise UserError("`data.split.fractions` must be three shares that sum to 1", where, "e.g. [0.7, 0.1, 0.2]")
    if s.fractions is not None and any((s.train, s.val, s.test)):
        raise UserError("`data.split` has fractions and lists", where, "keep one of the two")
    if any(not 0 < t <= 1 for t in config.infer.outlines) or len(set(config.infer.outlines)) < len(config.infer.outlines):
        raise UserError("`infer.outlines` must be different probabilities above 0", where, "e.g. [0.5, 0.9]")
    if s.by != "slide":
        for name in ("train", "val", "test"):
            if any(isinstance(m, str) for m in getattr(s, name) or []):
                raise UserError(f"`data.split.{name}` holds a name", where, f"split by {s.by} wants numbers")


def _check_train(t: Train, where: Path) -> None:
    if t.batch % t.accumulate:
        raise UserError(f"`train.batch` ({t.batch}) cannot be divided into `train.accumulate` ({t.accumulate}) equal parts", where, "change one of them")
    if t.compression == "dgc" and t.optimizer != "sgd":
        raise UserError(f"`train.compression` is dgc and `train.optimizer` {t.optimizer}", where, "dgc is defined for sgd alone")
    if t.compression == "dgc" and t.precision == "mixed_float16":
        raise UserError("`train.compression` is dgc and `train.precision` mixed_float16", where,
                        "what dgc holds back would mix gradients of several loss scales: take mixed_bfloat16 or float32")
    if t.compression != "none" and t.reduce == "adasum":
        raise UserError(f"`train.reduce` is adasum and `train.compression` {t.compression}", where, "keep one of them")
