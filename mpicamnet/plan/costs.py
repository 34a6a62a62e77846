"""What things cost a core of an ordinary machine (AMD EPYC of 2021, one thread a rank): used where `work` has no times of its own.

Networks: `python -m tests.bench.networks`, batches of 32 of 96 px, a process alone on its core. All else: the run of
configs/pcam_slides.yaml and of the demo on two such cores, and `make bench`.
"""
from __future__ import annotations

import dataclasses
from dataclasses import dataclass

MB = 1e6


@dataclass(frozen=True)
class Network:
    """At 96 px: `train`, `forward`: patches/s of a core; `train_start`, `forward_start`: seconds until the first step is done, imports not counted;
    `*_held`: bytes of a rank without its patches, `*_patch`: bytes more for each patch of a batch; `parameters`."""

    train: float
    forward: float
    train_start: float
    forward_start: float
    train_held: float
    train_patch: float
    forward_held: float
    forward_patch: float
    parameters: int


SIDE = 96  # px that the networks were measured at: cost goes with the area
NETWORKS = {
    "camnet_small": Network(326, 885, 0.9, 0.5, 773 * MB, 2.02 * MB, 715 * MB, 1.20 * MB, 97_793),
    "resnet50": Network(18, 68, 10.4, 2.3, 1329 * MB, 26.30 * MB, 1097 * MB, 2.30 * MB, 23_589_761),
    "resnet101": Network(9, 37, 22.4, 4.0, 1811 * MB, 42.86 * MB, 1385 * MB, 3.97 * MB, 42_660_225),
    "googlenet": Network(34, 186, 7.7, 2.3, 946 * MB, 7.43 * MB, 823 * MB, 1.50 * MB, 5_974_577),
    "inception_v3": Network(40, 147, 14.8, 4.2, 1403 * MB, 13.57 * MB, 1086 * MB, 2.35 * MB, 21_804_833),
    "densenet121": Network(21, 82, 18.2, 3.2, 1309 * MB, 36.38 * MB, 931 * MB, 3.90 * MB, 7_038_529),
    "inception_resnet_v2": Network(18, 64, 29.9, 5.7, 2348 * MB, 28.34 * MB, 1609 * MB, 4.10 * MB, 54_338_273),
    "efficientnet_lite0": Network(72, 395, 6.1, 1.1, 989 * MB, 16.23 * MB, 797 * MB, 2.47 * MB, 3_414_305),
}
LOADED = 0.8  # of that speed is left where each core has a rank, which also reads: efficientnet_lite0 0.78, camnet_small 0.94
IMPORTS = 3.0  # seconds, once in a process: TensorFlow and Keras

FILE_TILE = 512  # px: what most slides are cut into
EXTRACT_START, SLIDE_SECONDS = 0.5, 0.1  # seconds: compiled code is loaded; a slide of 3,500 px is opened and its mask is made
PX_PER_SECOND = 200e6  # read, filtered and written (README: 280 to 289 Mpx/s in the page cache)
COLUMNS, PATCHES_HEAD = 53, 1e6  # bytes of a row beside its px: place, slide, label, shares, digest; of patches.h5 beside its rows
PYTHON = 150 * MB  # of a rank with NumPy, HDF5 and MPI

TRAIN_FILES = 0.1 * MB  # curves, history

TILE, SLIDE_FILES = 28.0, 1.2 * MB  # bytes in predictions.h5; picture, TIFF and outlines of a slide
SLIDE_DRAWN, RASTER_PX, RASTER_BYTES = 0.7, 2e-7, 0.15  # seconds of a slide, and of a px of its heatmap; bytes of a px

EVALUATE_START, REPLICATE, REPLICATE_TILE = 0.6, 0.5e-3, 1e-7  # seconds: figures; a resampling, and of each tile in it
EVALUATE_FILES, TILE_HELD = 0.25 * MB, 200.0

CONCEPTS, PANEL = 0.035, 0.8  # seconds of a patch of 96 px whose nuclei are segmented; of a panel
REGRESS, SANITY = 2.5, 0.5  # seconds of all layers; of one step of forgetting
PANEL_BYTES, MAPS_PX, CONCEPT_FILES = 0.33 * MB, 5.4, 5.0 * MB  # bytes of a panel; of its maps, for each px of the patch; of concepts' figures

MOST_PANELS = 24  # shown in the report
REPORT_START, PANEL_SHRUNK, CARD_SECONDS = 1.0, 0.25, 0.12  # seconds
REPORT_FILE, PANEL_SHOWN, CARD, REPORT_MOST = 1.0 * MB, 60_000.0, 110_000.0, 15 * MB  # bytes


def of(model: str) -> Network:
    """What a network costs a rank among others."""
    alone = NETWORKS[model]
    return dataclasses.replace(alone, train=alone.train * LOADED, forward=alone.forward * LOADED)


def area(side: int) -> float:
    """How many times as large as those measured patches of `side` px are."""
    return (side / SIDE) ** 2
