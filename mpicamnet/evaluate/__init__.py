"""Layer 3: how good probabilities are. Pure functions of arrays, and the stage that gathers; no pixels, no TensorFlow."""
from .bootstrap import drawn_slides, interval
from .froc import Froc, froc
from .lesions import annotated_lesions, lesion_of
from .measures import Confusion, Ranking, calibration_error, confusion, pr_auc, roc_auc
from .staging import pn_stage, quadratic_kappa, slide_class

__all__ = ["Confusion", "Froc", "Ranking", "annotated_lesions", "calibration_error", "confusion", "drawn_slides", "froc", "interval", "lesion_of",
           "pn_stage", "pr_auc", "quadratic_kappa", "roc_auc", "slide_class"]
