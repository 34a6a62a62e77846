"""The config: `load` reads YAML into frozen dataclasses; `digest` is what a finished file carries, so that a later run can tell whether it was made
with the same settings.

keys (what can be set) <- rules (what goes together) <- reading (YAML); values (to store and to compare)
"""
from .keys import START_WORDS, Augment, Concepts, Config, Data, Detection, Evaluate, Explain, Extract, Infer, Label, Lime, Mining, Split, Tissue, Train, White
from .reading import load
from .rules import shard_of
from .values import as_dict, as_yaml, changes, digest, flat, select

__all__ = [
    "START_WORDS", "Augment", "Concepts", "Config", "Data", "Detection", "Evaluate", "Explain", "Extract", "Infer", "Label", "Lime", "Mining",
    "Split", "Tissue", "Train", "White", "as_dict", "as_yaml", "changes", "digest", "flat", "load", "select", "shard_of",
]
