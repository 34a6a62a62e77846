"""Layer 3: how good probabilities are. Pure functions of arrays, and the stage that gathers; no slides, no TensorFlow."""
from .bootstrap import drawn_slides, interval
from .measures import Confusion, Ranking, calibration_error, confusion, pr_auc, roc_auc

__all__ = ["Confusion", "Ranking", "calibration_error", "confusion", "drawn_slides", "interval", "pr_auc", "roc_auc"]
