"""Why the network says tumour: where it looks, and which clinical measures it uses."""
from .nuclei import segment_nuclei

__all__ = ["segment_nuclei"]
