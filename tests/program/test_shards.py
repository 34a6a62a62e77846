"""An extraction in shares, each a job of its own, then `merge`: the file that one job makes, or a line that names what is missing."""
from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.launch import begin, end, error_line, good, mpicamnet, ranks_of
from tests.program.conftest import Configure
from tests.program.test_extract import attribute, datasets, digest_by_the_specification, made


def share(config: Path, k: int, n: int, ranks: int = 0) -> str:
    return good("extract", config, "--set", f"extract.shard={k}/{n}", ranks=ranks)


@pytest.mark.parametrize(("sampling", "storage", "shares", "more"), [
    ("dense", "pixels", 4, {}), ("dense", "jpeg", 2, {}), ("dense", "coords", 3, {}), ("dense", "pixels", 3, {"io": "collective"}),
    ("random", "pixels", 2, {}), ("random", "jpeg", 5, {}),  # more shares than the 3 slides: some are empty
])
def test_merged_shares_are_byte_for_byte_what_one_job_makes(configure: Configure, sampling: str, storage: str, shares: int, more: dict[str, Any]) -> None:
    extract = {"sampling": sampling, "storage": storage, "per_class": 25, "block": 600, "buffer": 1, **more}
    whole, parts = configure("whole", extract=extract), configure("parts", extract=extract)
    good("extract", whole, ranks=2)
    for k in range(1, shares + 1):
        share(parts, k, shares, ranks=k % 3)
    good("merge", parts, ranks=2)
    expected, found = datasets(whole), datasets(parts)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    with h5py.File(made(whole)) as f, h5py.File(made(parts)) as g:
        assert [name for name in f["slides"] if f["slides"][name].dtype != g["slides"][name].dtype] == []
    assert attribute(parts, "content_digest") == attribute(whole, "content_digest") == digest_by_the_specification(made(parts))
    assert attribute(parts, "blocks_done") == attribute(whole, "blocks_done")
    assert "done before" in good("extract", parts) and "done before" in good("merge", parts)
    assert not list(parts.with_suffix("").glob("*.partial"))


def test_dense_shares_divide_one_slide_evenly(configure: Configure) -> None:
    c = configure(extract={"block": 256})
    rows = []
    for k in (1, 2, 3):
        share(c, k, 3)
        with h5py.File(c.with_suffix("") / "shards" / f"{k}-of-3" / "patches.h5") as f:
            rows.append(len(f["slide"]))
    good("merge", c)
    assert sum(rows) == len(h5py.File(made(c))["slide"])
    assert max(rows) <= 1.35 * min(rows), rows  # whole blocks of at most 4 windows, some of which the filter drops


def test_shares_of_one_work_run_at_the_same_time(configure: Configure) -> None:
    c = configure()
    jobs = [begin(0, sys.executable, "-m", "mpicamnet", "extract", c, "--set", f"extract.shard={k}/2") for k in (1, 2)]
    assert [end(p, 120).returncode for p in jobs] == [0, 0]
    good("merge", c)


def test_merge_names_the_shares_that_are_missing_or_not_finished(configure: Configure) -> None:
    c = configure()
    line = error_line(mpicamnet("merge", c, ranks=2), 2)
    assert "there are no shares" in line and "extract.shard: K/N" in line
    share(c, 3, 4)
    half = c.with_suffix("") / "shards" / "2-of-4"
    half.mkdir()
    (half / "patches.h5.partial").write_bytes(b"")
    line = error_line(mpicamnet("merge", c, ranks=2), 2)
    assert "of 4 shares, 1 and 4 are missing and 2 is not finished" in line and "extract.shard=1/4" in line
    assert not made(c).exists()


def test_shares_of_two_cuts_are_not_mixed(configure: Configure) -> None:
    c = configure(extract={"sampling": "random", "per_class": 5})
    share(c, 1, 1)
    share(c, 1, 2)
    assert "there are shares of 1 and of 2" in error_line(mpicamnet("merge", c), 2)
    assert "2 is missing" in error_line(mpicamnet("merge", c, "--set", "extract.shard=1/2"), 2)
    good("merge", c, "--set", "extract.shard=1/1")
    assert "done before" in good("extract", c)


def test_a_share_of_another_config_or_in_anothers_place_is_refused(configure: Configure) -> None:
    c = configure(extract={"sampling": "random", "per_class": 5})
    share(c, 1, 2)
    good("extract", c, "--set", "extract.shard=2/2", "--set", "extract.per_class=6")
    line = error_line(mpicamnet("merge", c), 2)
    assert "share 2/2" in line and "extract.per_class was 6, is 5" in line
    shards = c.with_suffix("") / "shards"
    shutil.copy(shards / "1-of-2" / "patches.h5", shards / "2-of-2" / "patches.h5")
    assert "this is not share 2/2 but 1/2" in error_line(mpicamnet("merge", c), 2)


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_a_share_that_is_none_is_exit_2(configure: Configure, text: str) -> None:
    assert f"`extract.shard` is {text}" in error_line(mpicamnet("extract", configure(), "--set", f"extract.shard={text}"), 2)


def test_only_extract_works_on_a_share(configure: Configure) -> None:
    assert "only `mpicamnet extract` works on a share" in error_line(mpicamnet("run", configure(), "--set", "extract.shard=1/2", ranks=2), 2)


def test_a_slide_that_cannot_be_read_is_left_out_of_its_share_and_named_by_merge(configure: Configure, cohort: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(cohort, tmp_path / "root"))
    sorted(root.glob("center_*/*.tif"))[0].write_text("not a slide\n")
    sections: dict[str, Any] = {"data": {"root": str(root)}, "extract": {"sampling": "random", "per_class": 10}}
    whole, parts = configure("whole", **sections), configure("parts", **sections)
    assert mpicamnet("extract", whole).returncode == 3
    codes = [mpicamnet("extract", parts, "--set", f"extract.shard={k}/3").returncode for k in (1, 2, 3)]
    assert codes == [3, 0, 0]
    p = mpicamnet("merge", parts, ranks=2)
    assert p.returncode == 3 and p.stderr.count("slide left out") == 1
    assert datasets(parts) == datasets(whole)


def test_a_stopped_merge_goes_on_on_another_number_of_ranks(configure: Configure) -> None:
    extract = {"stride": 24, "block": 512, "buffer": 8}
    c = configure(extract=extract)
    for k in (1, 2):
        share(c, k, 2, ranks=2)
    partial = made(c).with_name("patches.h5.partial")
    for attempt in range(20):  # until a signal meets it in mid-work
        p = begin(2, sys.executable, "-m", "mpicamnet", "merge", c)
        while p.poll() is None and not (partial.exists() and partial.stat().st_blocks > 4_000 * (attempt + 1)):
            time.sleep(0.002)
        for victim in ranks_of(p.pid)[:1]:
            os.kill(victim, signal.SIGUSR1)
        code = end(p, 60).returncode
        if code == 75:
            break
        made(c).unlink()
    assert code == 75
    assert "going on after" in good("merge", c, ranks=3)
    assert digest_by_the_specification(made(c)) == attribute(c, "content_digest")
