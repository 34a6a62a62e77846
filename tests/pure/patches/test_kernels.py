"""Kernels are loaded while slides are planned: the very ones that reading then uses, or loading would be for nothing."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mpicamnet.synth import draw_slide

READ = """
import sys
import numpy as np
from mpicamnet.config import Data, Extract
from mpicamnet.patches import fill, filter
from mpicamnet.slides import catalogue, jpeg_tile
from mpicamnet.slides.resolution import Resolution
fill.load_kernels()
kernels = (filter.scatter, filter.compact, jpeg_tile.decode)
loaded = [len(k.signatures) for k in kernels]
record = catalogue(Data(layout="folder", root=sys.argv[1]))[0]
out = np.zeros((2, 96, 96, 3), np.uint8)
f = fill.Filler(Extract())
f.fill(record, Resolution(0, 1.0, 1.0, None), np.array([0, 96]), np.array([0, 200]), out, (192, 296))
f.close()
filter.compact(out.reshape(2, -1), np.array([False, True]))
print(loaded, [len(k.signatures) for k in kernels], bool(out.any()))
"""


def test_what_is_loaded_beforehand_is_what_reading_uses(tmp_path: Path) -> None:
    draw_slide(tmp_path / "s.tif", 1024, 1024, 1)
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[1, 1, 1] [1, 1, 1] True", done.stdout + done.stderr
