"""The keys: what can be set, of which type, with which default and meaning. This is the only place that knows defaults."""
from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

START_WORDS = ("none", "imagenet")  # what `train.weights` can be besides a path

def key(doc: str, default: Any = dataclasses.MISSING, *, path: bool = False, low: float | None = None, high: float | None = None,
        above: float | None = None, words: tuple[str, ...] = ()) -> Any:
    """A config key: its meaning, its default, whether it is a path (but for `words`), and the range it must lie in (`above` excludes the limit)."""
    meta = {"doc": doc, "path": path, "low": low, "high": high, "above": above, "words": words}
    if isinstance(default, (list, dict)) or dataclasses.is_dataclass(default):
        return field(default_factory=lambda: default, metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class Split:
    by: Literal["center", "patient", "slide"] = key("what is never divided between train, val and test", "center")
    train: list[int | str] | None = key("members that train (centre or patient numbers, slide names)", None)
    val: list[int | str] | None = key("members that validate each epoch", None)
    test: list[int | str] | None = key("members that infer and evaluate work on", None)
    fractions: list[float] | None = key("instead of the three lists: shares of train, val, test, drawn by seed", None)


@dataclass(frozen=True)
class Data:
    layout: Literal["camelyon17", "camelyon16", "folder", "csv"] = key("how slides, annotations and labels lie on disk", "camelyon17")
    root: str | None = key("folder of the slides", None, path=True)
    csv: str | None = key("layout csv: table with columns path, annotation, center, patient, node, stage, mpp (only path is needed)", None, path=True)
    annotations: str | None = key("layout folder: folder of NAME.xml, NAME.geojson or NAME_mask.tif [null: beside the slides]", None, path=True)
    centers: list[int] | None = key("only these centres [null: all]", None)
    patients: list[int] | None = key("only these patients [null: all]", None)
    slides: list[str] | None = key("only the slides of these names [null: all]", None)
    patch: int = key("side of a patch, px at the target resolution", 224, low=8)
    level: int = key("pyramid level that patches are read from", 0, low=0)
    mpp: float | None = key("target resolution, um per px, instead of a level; resampled where no level has it", None, above=0)
    reader: Literal["auto", "tiff", "openslide"] = key("auto: the tiled-TIFF reader where it can, else OpenSlide", "auto")
    split: Split = key("who trains, validates and tests", Split())
    stage: str | None = key("folder on the nodes' own disks that slides are copied to before they are read, e.g. $TMPDIR", None, path=True)


@dataclass(frozen=True)
class Tissue:
    method: Literal["otsu", "fixed", "none"] = key("otsu: threshold from the slide's own histogram; none: all is tissue", "otsu")
    channel: Literal["saturation", "grey"] = key("what is thresholded", "saturation")
    threshold: int | None = key("method fixed: tissue is above it (saturation) or below it (grey), 0 to 255", None, low=0, high=255)
    downsample: int = key("the mask is made on the coarsest level whose downsample is at most this", 32, low=1)
    opening: int = key("side of the square of the morphological opening and closing, mask px (0: none)", 3, low=0)
    min_area: int = key("pieces of tissue smaller than this many mask px are dropped", 16, low=0)
    min_fraction: float = key("least share of a patch that must be tissue by the mask", 0.25, low=0, high=1)
    pen: bool = key("take pen marks (green, blue, black ink) out of the tissue", False)


@dataclass(frozen=True)
class Label:
    tumor_min: float = key("tumor_fraction of at least this: label 1", 0.5, above=0, high=1)
    normal_max: float = key("tumor_fraction of at most this: label 0; between the two: -1", 0.0, low=0, high=1)


@dataclass(frozen=True)
class White:
    intensity: int = key("a px is white where all three channels are above this", 200, low=0, high=255)
    max_share: float = key("a patch with a larger share of white px is dropped", 0.7, low=0, high=1)
    increment: float = key("random: raise max_share by this after each `after` white rejections (the original's adaptive threshold)", 0.0, low=0, high=1)
    limit: float = key("random: never raise max_share above this", 0.9, low=0, high=1)
    after: int = key("random: white rejections (per slide and class) before max_share is raised", 1000, low=1)


@dataclass(frozen=True)
class Black:
    intensity: int = key("a px is black where all three channels are below this", 20, low=0, high=255)
    max_share: float = key("a patch with a larger share of black px is dropped", 0.1, low=0, high=1)


@dataclass(frozen=True)
class Extract:
    sampling: Literal["random", "dense"] = key("random: N per class and slide; dense: a sliding window over all tissue", "random")
    per_class: int = key("random: patches per class and slide", 500, low=1)
    stride: int | None = key("dense: px at the target resolution between windows [null: patch]", None, low=1)
    block: int = key("side of the squares that work is cut into, px at the target resolution", 4096, low=64)
    white: White = key("the white rule", White())
    black: Black = key("the black rule", Black())
    storage: Literal["pixels", "jpeg", "coords"] = key("what is kept of a patch: its px, its px as JPEG, its place only", "pixels")
    jpeg_quality: int = key("storage jpeg: quality", 90, low=1, high=100)
    buffer: int = key("MiB of rows that a rank holds for a round (twice: one is filled while the other is written)", 32, low=1)
    cache: int = key("MiB of decoded file tiles that a rank keeps for neighbouring work", 64, low=0)
    io: Literal["independent", "collective"] = key("how ranks write: each by itself, or all together through MPI-IO aggregators", "independent")
    chunk: int = key("MiB of one HDF5 chunk of px", 4, low=1, high=1024)
    alignment: int = key("KiB that chunks are aligned to, e.g. a file system's stripe size (0: not; gaps stay as holes)", 0, low=0)
    hints: dict[str, str] = key("MPI-IO hints, e.g. {striping_factor: '16', romio_cb_write: enable}", {})
    shard: str | None = key("K/N, K from 1: only this share of the work, kept in work/shards/K-of-N until `mpicamnet merge`", None)


@dataclass(frozen=True)
class Augment:
    flips: bool = key("the eight flips and rotations", True)
    stain: float = key("haematoxylin, eosin and residual: each times 1 +- this, plus +- this, in decadic optical density", 0.05, low=0, high=1)
    brightness: float = key("added: up to +- this share of the full range", 0.1, low=0, high=1)
    contrast: float = key("distance from the channel's mean: times 1 +- this", 0.1, low=0, high=1)
    hue: float = key("turned by up to +- this share of the circle", 0.02, low=0, high=0.5)
    saturation: float = key("times 1 +- this", 0.1, low=0, high=1)


@dataclass(frozen=True)
class Mining:
    after: int | None = key("epochs after which the normal rows are scored, once [null: never]", None, low=1)
    threshold: float = key("a normal row is a false positive above this probability of tumour", 0.5, low=0, high=1)
    boost: int = key("how many times as often as other normal rows these are taken from then on; an epoch stays as long as it was", 4, low=2)


@dataclass(frozen=True)
class Train:
    model: Literal["camnet_small", "resnet50", "resnet101", "googlenet", "inception_v3", "densenet121", "inception_resnet_v2",
                   "efficientnet_lite0"] = key("network; camnet_small is for CPUs", "camnet_small")
    epochs: int = key("passes over the training rows", 10, low=1)
    batch: int = key("patches per step and rank", 32, low=1)
    optimizer: Literal["sgd", "adam", "adamw"] = key("sgd: with Nesterov momentum; adamw: Adam with decoupled weight decay", "sgd")
    learning_rate: float = key("step size of one rank; see scale_lr", 1.0e-4, above=0)
    momentum: float = key("optimizer sgd: momentum", 0.9, low=0, high=1)
    schedule: Literal["constant", "step", "cosine"] = key(
        "step size after the warm-up: constant; falling by a factor every few epochs; along half a cosine to a hundredth", "constant")
    warmup: float = key("epochs over which the step size rises to its full height", 0.5, low=0)
    balance: Literal["none", "oversample", "weights"] = key(
        "weights: both classes count the same in the loss, however many rows they have; oversample: rows of the rarer class are taken several times", "weights")
    ranks: int | None = key("ranks that train [null: one per device where there are devices, else all]", None, low=1)
    threads: int = key("CPU threads per rank", 1, low=1)
    weights: str = key("what the network starts from: none, imagenet, or the path of a .keras, .weights.h5 or .h5 file", "none", path=True,
                       words=START_WORDS)
    weights_dir: str | None = key("folder of the ImageNet weights, see `mpicamnet weights`; nothing is downloaded [null: ~/.keras/models]", None,
                                  path=True)
    loss: Literal["bce", "focal"] = key("bce: binary cross-entropy; focal: that of Lin et al. (2017), in which rows that are easy count little", "bce")
    focal_gamma: float = key("loss focal: how much less easy rows count (0: no less)", 2.0, low=0)
    focal_alpha: float = key("loss focal: share of tumour rows in the loss; normal rows have 1 less this", 0.25, low=0, high=1)
    decay: float = key("optimizer sgd: step size divided by 1 + decay x steps taken", 1.0e-6, low=0)
    weight_decay: float = key("optimizer adamw: share of a weight that a step of size 1 takes away (not of biases, nor of norms)", 0.01, low=0)
    scale_lr: bool = key("multiply the step size by the number of ranks, since so many more rows are in a step (Goyal et al. 2017; not with reduce "
                         "adasum, which finds its own scale)", True)
    step_epochs: int = key("schedule step: epochs between two falls", 10, low=1)
    step_factor: float = key("schedule step: factor of a fall", 0.1, above=0, high=1)
    freeze: int = key("first epochs in which only the head learns; then all does", 0, low=0)
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = key("what layers compute in; weights stay float32", "float32")
    accumulate: int = key("parts that a rank's batch is cut into, one forward and backward pass each: memory of a part, step of the whole", 1, low=1)
    reduce: Literal["average", "adasum"] = key("how gradients of ranks become one; adasum (Maleki et al. 2020) needs a power of two of ranks", "average")
    compression: Literal["none", "fp16", "dgc"] = key(
        "of gradients between ranks: half precision, or deep gradient compression (Lin et al. 2017): each rank sends only its largest", "none")
    dgc_sparsity: float = key("compression dgc: share of gradients that are not sent", 0.999, low=0, high=1)
    dgc_warmup: int = key("compression dgc: epochs over which the share rises to that", 4, low=0)
    fusion_mb: int = key("MiB of gradients that travel in one message (0: one message per variable)", 64, low=0, high=1024)
    sync_batchnorm: bool = key("batch normalisation over the rows of all ranks, not of each alone", False)
    timeline: bool = key("write what Horovod did and when to train/timeline.json (for chrome://tracing)", False)
    patience: int | None = key("stop after this many epochs without a better one [null: never]", None, low=1)
    run: int = key("rows that stand together in patches.h5 and are read at one go (1: every row by itself)", 8, low=1)
    pool: int = key("runs that are mixed with each other; a rank holds run x pool rows, over the number of ranks, twice. Best a multiple of batch x ranks",
                    128, low=1)
    readers: int = key("threads per rank that prepare px, besides the one that reads them", 1, low=1)
    stain: Literal["none", "reinhard", "macenko"] = key(
        "bring each patch's colours to a stored reference: mean and spread in L*a*b*, or its two stains; the model asks for the same in inference", "none")
    augment: Augment = key("how a row's look changes from epoch to epoch, drawn by row and epoch; 0: not", Augment())
    mining: Mining = key("hard negatives: normal rows that are called tumour are taken more often", Mining())


@dataclass(frozen=True)
class Infer:
    model: str | None = key("model to use [null: the one that train left]", None, path=True)
    stride: int | None = key("px at the target resolution between windows [null: patch]", None, low=1)
    batch: int = key("patches per forward pass", 64, low=1)
    threads: int | None = key("CPU threads per rank; in one run with training the same number [null: train.threads]", None, low=1)
    tta: Literal["none", "flips", "d4"] = key("mean probability over views of a patch: the 4 flips, or the 8 flips and rotations", "none")
    ranks_per_device: int = key("ranks that share a GPU and divide its memory; without GPUs all ranks infer", 1, low=1)
    interpolation: Literal["nearest", "linear", "cubic"] = key("between windows, for the heatmaps", "linear")
    threshold: float = key("probability that is marked in the pictures", 0.5, low=0, high=1)
    outlines: list[float] = key("probabilities from which on regions are outlined (GeoJSON, XML)", [0.5, 0.9])


@dataclass(frozen=True)
class Detection:
    smoothing: float = key("sigma of the Gaussian over a heatmap, in patches (0: none)", 0.5, low=0, high=10)
    threshold: float = key("a lesion reaches as far as the smoothed probability is at least this", 0.5, above=0, high=1)
    sure: float = key("... and counts only where it is somewhere at least this", 0.9, above=0, high=1)
    least: float = key("FROC: a peak of the smoothed heatmap is a detection from this probability on", 0.1, above=0, high=1)
    distance: float = key("FROC: of peaks nearer to each other than this only the higher is one, um", 200.0, above=0)


@dataclass(frozen=True)
class Evaluate:
    threshold: float = key("a tile is called tumour from this probability on", 0.5, low=0, high=1)
    bootstrap: int = key("resamplings of the slides (at patient level: patients) for the 95 % intervals (0: none)", 1000, low=0)
    forest: int = key("trees of the random forest that classes slides by what their heatmaps show (0: none)", 200, low=0)
    detection: Detection = key("how lesions are seen in a heatmap", Detection())


@dataclass(frozen=True)
class Lime:
    superpixels: int = key("about how many superpixels a patch is cut into (SLIC)", 50, low=2)
    compactness: float = key("of superpixels: the larger, the more they are squares", 10.0, above=0)
    samples: int = key("perturbed pictures per patch and seed", 1000, low=2)
    seeds: list[int] = key("of the random hiding; with several, how far they agree is measured", [0, 1, 2])


@dataclass(frozen=True)
class Concepts:
    patches: int = key("patches that are measured, per slide: half of them tumour where there are", 40, low=2)
    layers: list[str] | None = key("layers to look at [null: of the layers that give maps, the last of each size]", None)
    pooling: Literal["mean", "flatten"] = key("mean: a layer's channels, each averaged over the map; flatten: every place of the map", "mean")
    sensitivity: Literal["tumor", "all"] = key("the patches whose sensitivities are judged", "tumor")
    group: Literal["patient", "slide"] = key("what the folds of the cross-validation never divide", "patient")
    folds: int = key("folds of the cross-validation of R2", 5, low=2)
    permutations: int = key("times that a concept's values are dealt anew to find what chance gives", 1000, low=1)
    alpha: float = key("share of concepts called relevant that may be so by chance (Benjamini-Hochberg)", 0.05, above=0, high=1)


@dataclass(frozen=True)
class Explain:
    methods: list[Literal["cam", "gradcam", "gradcam++", "lime", "rcv"]] = \
        key("what is made; rcv: concepts and regression concept vectors", ["cam", "gradcam", "gradcam++", "lime", "rcv"])
    per_slide: int = key("tiles per slide: so many most certain and so many least certain of each outcome (true or false, positive or negative)", 1, low=1)
    patches: list[int | str] | None = key("instead: rows of predictions.h5, or `SLIDE:X:Y` in level-0 px", None)
    layer: str | None = key("layer whose maps Grad-CAM looks at [null: the last that comes from a convolution]", None)
    sanity: int = key("steps in which the network is made to forget, to see that its maps change (0: not)", 4, low=0)
    batch: int = key("patches per forward pass", 64, low=1)
    lime: Lime = key("perturbed superpixels", Lime())
    concepts: Concepts = key("clinical measures: regression concept vectors", Concepts())


@dataclass(frozen=True)
class Config:
    work: str = key("folder that everything this run makes goes to", path=True)
    seed: int = key("of everything that is drawn", 2020, low=0)
    log_every: float = key("seconds between two lines that say how far a stage is; on a terminal that is always in sight", 10.0, above=0)
    data: Data = key("slides", Data())
    tissue: Tissue = key("where tissue is", Tissue())
    label: Label = key("from tumour polygons to labels", Label())
    extract: Extract = key("Layer 1: patches", Extract())
    train: Train = key("Layer 2: the network", Train())
    infer: Infer = key("Layer 3: heatmaps", Infer())
    evaluate: Evaluate = key("Layer 3: measures", Evaluate())
    explain: Explain = key("Layer 3: why", Explain())


def names(cls: type = Config, prefix: str = "") -> typing.Iterator[str]:
    """The dotted names of all keys and sections."""
    hints = typing.get_type_hints(cls)
    for f in dataclasses.fields(cls):
        yield prefix + f.name
        if dataclasses.is_dataclass(hints[f.name]):
            yield from names(typing.cast(type, hints[f.name]), f"{prefix}{f.name}.")
