"""Copies on a node's disk: what is sound of them, going on after a kill, damage found."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mpicamnet.errors import SlideError
from mpicamnet.slides import SlideRecord
from mpicamnet.staging.copies import PIECE, SUM, Copy, Source, read_piece, sound_pieces, sources_of


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A file of two whole pieces and a bit."""
    path = tmp_path / "slide.tif"
    path.write_bytes(os.urandom(2 * PIECE + 1000))
    return sources_of(SlideRecord("slide", str(path)))[0]


def copied(folder: Path, source: Source, start: int, stop: int) -> Copy:
    copy = Copy(folder, source, start)
    with open(source.path, "rb") as f:
        for k in range(stop):
            piece = np.zeros(source.size_of(k) + SUM, np.uint8)
            read_piece(f, source, k, piece)
            copy.put(k, piece)
    return copy


def test_a_whole_copy_holds_the_same_bytes_and_says_that_it_is_whole(tmp_path: Path, source: Source) -> None:
    there = tmp_path / "local"
    assert sound_pieces(there, source) == 0
    copied(there, source, 0, 3).finish()
    assert (there / "slide" / "slide.tif").read_bytes() == Path(source.path).read_bytes()
    assert sound_pieces(there, source) == 3 + 1
    assert sorted(p.name for p in (there / "slide").iterdir()) == ["slide.tif", "slide.tif.sums"]


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_killed_copy_goes_on_after_its_last_whole_piece(cut: int, tmp_path: Path, source: Source) -> None:
    there = tmp_path / "local"
    copied(there, source, 0, cut).close()
    with (there / "slide" / "slide.tif.partial").open("ab") as f:
        f.write(b"half a piece")  # written, but not in the sums yet
    assert sound_pieces(there, source) == cut
    copied(there, source, cut, 3).finish()  # pieces before the cut are sent too where another node lacks them
    assert (there / "slide" / "slide.tif").read_bytes() == Path(source.path).read_bytes()


@pytest.mark.parametrize(("at", "sound"), [(5, 0), (PIECE + 5, 1), (2 * PIECE + 999, 2)])
def test_a_flipped_byte_is_found_and_that_piece_made_anew(at: int, sound: int, tmp_path: Path, source: Source) -> None:
    there = tmp_path / "local"
    copied(there, source, 0, 3).finish()
    with (there / "slide" / "slide.tif").open("r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))
    assert sound_pieces(there, source) == sound
    assert not (there / "slide" / "slide.tif").exists()
    copied(there, source, sound, 3).finish()
    assert sound_pieces(there, source) == 4


@pytest.mark.parametrize("change", ["shorter", "longer"])
def test_a_copy_of_another_length_is_not_whole(change: str, tmp_path: Path, source: Source) -> None:
    there = tmp_path / "local"
    copied(there, source, 0, 3).finish()
    path = there / "slide" / "slide.tif"
    path.write_bytes(path.read_bytes()[:-1] if change == "shorter" else path.read_bytes() + b"x")
    assert sound_pieces(there, source) == (2 if change == "shorter" else 3)


def test_a_copy_of_a_file_that_changed_since_is_made_anew(tmp_path: Path, source: Source) -> None:
    there = tmp_path / "local"
    copied(there, source, 0, 3).finish()
    Path(source.path).write_bytes(os.urandom(2 * PIECE + 1000))
    os.utime(source.path, ns=(source.changed + 1, source.changed + 1))
    now = sources_of(SlideRecord("slide", source.path))[0]
    assert sound_pieces(there, now) == 0
    copied(there, now, 0, 3).finish()
    assert (there / "slide" / "slide.tif").read_bytes() == Path(source.path).read_bytes()


def test_a_piece_that_was_damaged_on_its_way_is_not_written(tmp_path: Path, source: Source) -> None:
    copy = Copy(tmp_path / "local", source, 0)
    piece = np.zeros(source.size_of(0) + SUM, np.uint8)
    with open(source.path, "rb") as f:
        read_piece(f, source, 0, piece)
    piece[17] ^= 1
    with pytest.raises(OSError, match="damaged on its way"):
        copy.put(0, piece)
    copy.close()
    assert sound_pieces(tmp_path / "local", source) == 0


def test_a_file_that_became_shorter_meanwhile_is_a_slide_error(tmp_path: Path, source: Source) -> None:
    os.truncate(source.path, PIECE)
    with open(source.path, "rb") as f, pytest.raises(SlideError, match="shorter"):
        read_piece(f, source, 1, np.zeros(PIECE + SUM, np.uint8))


def test_a_slide_of_several_files_is_copied_with_all_of_them(tmp_path: Path) -> None:
    for name in ("m.mrxs", "m/Slidedat.ini", "m/Data0.dat", "other/x", "a.dcm", "b.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    places = {name: [s.place for s in sources_of(SlideRecord(name.split(".")[0], str(tmp_path / name)))] for name in ("m.mrxs", "b.dcm", "none.tif")}
    assert places == {"m.mrxs": ["m/m.mrxs", "m/m/Data0.dat", "m/m/Slidedat.ini"], "b.dcm": ["b/b.dcm", "b/a.dcm"], "none.tif": []}
