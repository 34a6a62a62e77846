"""Layer 3b: why the network says tumour. Importing this room starts neither MPI nor TensorFlow."""
from .cam import cam
from .gradcam import gradcam, gradcam_plus_plus

__all__ = ["cam", "gradcam", "gradcam_plus_plus"]
