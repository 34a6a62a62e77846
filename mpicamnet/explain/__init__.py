"""Layer 3b, why the network says tumour: where it looks, and which clinical measures it uses. Importing this room starts neither MPI nor TensorFlow.

Concepts can be shared out over ranks in three places, each of which gives the same whoever does it:

- `patch_concepts` measures one patch;
- `probe` gives activations and gradients of a batch, filled up to one shape, of rows that `sampled_rows` draws;
- `layer_result` judges all concepts at one layer, on one thread; `with_discoveries` puts the layers together and corrects p over all.

`concept_vectors` does the last for all layers in turn. All but the stage is pure, and knows no MPI.
"""
from .activations import Probed, probe, probed_layers
from .cam import cam
from .concepts import CONCEPTS, Concept, center_concepts, concept_names, patch_concepts
from .gradcam import gradcam, gradcam_plus_plus
from .nuclei import segment_nuclei
from .rcv import Relevance, Settings, Vectors, concept_vectors, layer_result, skipped_concepts, with_discoveries
from .sample import sampled_rows

__all__ = ["CONCEPTS", "Concept", "Probed", "Relevance", "Settings", "Vectors", "cam", "center_concepts", "concept_names", "concept_vectors", "gradcam",
           "gradcam_plus_plus", "layer_result", "patch_concepts", "probe", "probed_layers", "sampled_rows", "segment_nuclei", "skipped_concepts",
           "with_discoveries"]
