"""Layer 2: patches to a network, by Horovod. Importing this room starts neither MPI nor TensorFlow."""
from .model_file import Card, load_model, read_card
from .split import Parts, is_given, parts_of
from .stain import normalised
from .weights import first_weights, given_file
from .zoo import NETWORKS

__all__ = ["NETWORKS", "Card", "Parts", "first_weights", "given_file", "is_given", "load_model", "normalised", "parts_of", "read_card"]
