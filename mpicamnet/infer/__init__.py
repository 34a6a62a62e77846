"""Layer 3: slides and a network to probabilities and heatmaps. Importing this room starts neither MPI nor TensorFlow."""
from .heatmap import Heatmap, heatmap

__all__ = ["Heatmap", "heatmap"]
