"""history.csv and curves.png: how training went, epoch by epoch."""
from __future__ import annotations

import csv
from dataclasses import astuple, fields
from pathlib import Path

from .checkpoint import Row, kept


def write_history(path: Path, history: list[Row]) -> None:
    """A line per epoch, whole under its name."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow([f.name for f in fields(Row)])
        out.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in astuple(row)] for row in history)
    partial.replace(path)


def write_curves(path: Path, history: list[Row], title: str) -> None:
    """Loss on the left, validation AUC and accuracy on the right, the kept epoch marked; PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [r.epoch for r in history]
    best = kept(history)
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    loss, measures = figure.subplots(1, 2)
    loss.plot(epochs, [r.loss for r in history], "o-", color="#4477aa", label="training")
    loss.plot(epochs, [r.val_loss for r in history], "s-", color="#ee6677", label="validation")
    loss.set(ylabel="cross-entropy", ylim=(0, 1.08 * max(max(r.loss, r.val_loss) for r in history)), title="Loss")
    measures.plot(epochs, [r.val_auc for r in history], "o-", color="#228833", label="ROC AUC")
    measures.plot(epochs, [r.val_accuracy for r in history], "s-", color="#aa3377", label="accuracy at 0.5")
    measures.set(ylabel="validation patches", title=f"Validation (AUC {best.val_auc:.3f} at epoch {best.epoch}, kept)")
    for axes in (loss, measures):
        axes.axvline(best.epoch, color="0.6", linestyle=":", label="kept weights")
        axes.set(xlabel="epoch", xlim=(0.5, max(epochs) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(title)
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, format="png")
    partial.replace(path)
