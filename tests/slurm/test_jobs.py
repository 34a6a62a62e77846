"""The job scripts on a real SLURM of four nodes: chains, arrays, requeueing, a node that dies."""
from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.launch import good
from tests.program.test_extract import datasets

from .cluster import Cluster, wait_for
from .conftest import Site

MANY = {"sampling": "dense", "stride": 16, "block": 256, "storage": "pixels"}  # some 20,000 patches: seconds of work


@pytest.fixture
def configured(tmp_path: Path, cohort: Path) -> Any:
    """`configured(name, section={...})` writes a config, whose work is a folder of that name, and returns its path."""

    def write(name: str = "c", **sections: Any) -> Path:
        config: dict[str, Any] = {"work": str(tmp_path / name), "data": {"root": str(cohort), "patch": 64, "split": {"by": "slide", "fractions": [.4, .3, .3]}},
                                  "extract": {"sampling": "random", "per_class": 30, "block": 512}, "train": {"epochs": 2, "batch": 8},
                                  "infer": {"stride": 128}, "evaluate": {"bootstrap": 20}}
        for section, values in sections.items():
            config[section] = {**config.get(section, {}), **values}
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(config))
        return path

    return write


def content_digest(work: Path) -> str:
    with h5py.File(work / "patches.h5") as f:
        return str(f.attrs["content_digest"])


def prediction_digest(work: Path) -> str:
    with h5py.File(work / "infer" / "predictions.h5") as f:
        return str(f.attrs["content_digest"])


def alone(config: Path, *words: object) -> str:
    """The content digest that one rank makes, without SLURM, in a work of its own."""
    work = config.with_name(f"{config.stem}-alone")
    good("extract", config, *words, "--set", f"work={work}")
    return content_digest(work)


def test_the_pipeline_goes_from_slides_to_measures_stage_after_stage(site: Site, configured: Any) -> None:
    config = configured()
    said = site.call("jobs/pipeline.sh", config)
    jobs = dict(line.split(": job ") for line in said.splitlines() if ": job " in line)
    assert list(jobs)[:4] == ["extract", "train", "infer", "evaluate"]
    for job in jobs.values():
        site.cluster.wait_until(job, "COMPLETED")
    about = [site.cluster.about(job) for job in jobs.values()]
    assert all(a["EndTime"] <= b["StartTime"] for a, b in zip(about, about[1:], strict=False))
    assert [a["Partition"] for a in about[:4]] == ["cpu", "gpu", "gpu", "cpu"]
    assert [a["NumNodes"] for a in about[:3]] == ["2", "2", "2"]
    assert "on 2 ranks" in site.cluster.said(jobs["extract"])
    work = config.with_suffix("")
    assert json.loads((work / "evaluate" / "evaluation.json").read_text())["schema"] == "mpicamnet.evaluation/1"
    assert content_digest(work) == alone(config)
    again = site.submit("run.sh", config)  # a job for all stages finds all done
    site.cluster.wait_until(again, "COMPLETED")
    assert site.cluster.said(again).count("done before") == len(jobs)


def test_a_stage_that_fails_cancels_those_behind_it(site: Site, configured: Any) -> None:
    config = configured(data={"patch": 100_000})
    jobs = [line.rpartition(" ")[2] for line in site.call("jobs/pipeline.sh", config).splitlines() if ": job " in line]
    assert site.cluster.wait_until(jobs[0], "FAILED") and site.cluster.about(jobs[0])["ExitCode"] == "2:0"
    assert {site.cluster.wait_until(job, "CANCELLED") for job in jobs[1:]} == {"CANCELLED"}
    assert site.cluster.said(jobs[0]).count("mpicamnet: error: a patch of 100000 px is larger than the slide") == 1


@pytest.mark.parametrize(("way", "sampling", "shares"), [("2-slides", "random", 3), ("4-windows", "dense", 4)])
def test_an_array_of_shares_and_merge_give_the_file_of_one_job(site: Site, configured: Any, way: str, sampling: str, shares: int) -> None:
    site.edit(f"ways/{way}-array.sh", array=f"1-{shares}", shares=str(shares))
    array, whole = configured("array"), configured("whole")
    a = site.submit(f"ways/{way}-array.sh", array)
    m = site.submit("merge.sh", array, "--set", f"extract.sampling={sampling}", options=(f"--dependency=afterok:{a}", "--kill-on-invalid-dep=yes"))
    one = site.submit(f"ways/{way}-srun.sh", whole)
    for job in (m, one):
        site.cluster.wait_until(job, "COMPLETED")
    found, expected = (datasets(c) for c in (array, whole))
    assert found == expected and len(expected["label"]) > 100
    assert content_digest(array.with_suffix("")) == content_digest(whole.with_suffix("")) == alone(array, "--set", f"extract.sampling={sampling}")


def test_arrays_over_seeds_leave_a_file_per_seed_and_one_job_draws_as_many_patches(site: Site, configured: Any) -> None:
    site.edit("ways/1-seeds-array.sh", array="1-2")
    site.edit("ways/3-slides-seeds-array.sh", array="0-5", slides="3", seeds="2")
    config, one, three = configured(), configured("one"), configured("three")
    jobs = [site.submit("ways/1-seeds-array.sh", config, "--set", "extract.sampling=random")]
    jobs += [site.submit(f"ways/{way}-srun.sh", c) for way, c in (("1-seeds", one), ("3-slides-seeds", three))]
    for job in jobs:
        site.cluster.wait_until(job, "COMPLETED")
    seeds = site.folder / "runs" / "seeds"
    assert content_digest(seeds / "1") == alone(config, "--set", "seed=1")
    (seeds / "1").rename(seeds / "first")
    array = site.submit("ways/3-slides-seeds-array.sh", config)
    merges = [site.submit("merge.sh", config, "--set", f"seed={s}", "--set", f"work=runs/seeds/{s}", options=(f"--dependency=afterok:{array}",))
              for s in (0, 1)]
    for job in merges:
        site.cluster.wait_until(job, "COMPLETED")
    assert content_digest(seeds / "1") == content_digest(seeds / "first") != content_digest(seeds / "0")
    assert content_digest(one.with_suffix("")) == content_digest(three.with_suffix(""))


def at_work(partial: Path, blocks: int = 2_000) -> bool:
    """Whether an extraction has begun to write rows."""
    return partial.exists() and partial.stat().st_blocks > blocks


def test_an_extraction_stopped_by_the_time_limits_signal_is_queued_again_and_goes_on(site: Site, configured: Any) -> None:
    config = configured(extract=MANY)
    work = config.with_suffix("")
    job = site.submit("extract.sh", config)
    wait_for(lambda: at_work(work / "patches.h5.partial"), 60, "rows")
    site.cluster.ask("scancel", "-s", "USR1", job)  # what --signal=USR1@120 sends: to the steps, not to the script
    site.cluster.wait_until(job, "COMPLETED")
    assert site.cluster.about(job)["Restarts"] == "1"
    said = site.cluster.said(job)
    assert "stopped by a signal" in said and "requeued" in said and "going on after" in said
    with h5py.File(work / "patches.h5") as f:
        assert 0 < int(f.attrs["blocks_reused"]) < int(f.attrs["blocks_done"])
    assert content_digest(work) == alone(config)


def test_a_training_stopped_by_the_time_limits_signal_is_queued_again_and_goes_on(site: Site, configured: Any) -> None:
    config = configured(train={"epochs": 4}, extract={"per_class": 100})
    work = config.with_suffix("")
    good("extract", config)
    job = site.submit("train.sh", config)
    wait_for(lambda: (work / "train" / "last").exists() and any((work / "train" / "last").iterdir()), 90, "an epoch")
    site.cluster.ask("scancel", "-s", "USR1", job)
    site.cluster.wait_until(job, "COMPLETED")
    assert site.cluster.about(job)["Restarts"] == "1"
    assert "going on" in site.cluster.said(job)
    assert len((work / "train" / "history.csv").read_text().splitlines()) == 1 + 4
    assert (work / "train" / "model.keras").exists()


def test_a_cancelled_job_is_not_queued_again(site: Site, configured: Any) -> None:
    config = configured(extract=MANY)
    job = site.submit("extract.sh", config)
    wait_for(lambda: at_work(config.with_suffix("") / "patches.h5.partial"), 60, "rows")
    site.cluster.ask("scancel", job)
    assert site.cluster.wait_until(job, "CANCELLED") == "CANCELLED"
    wait_for(lambda: not site.cluster.ask("squeue", "-h", "-j", job).strip(), 30, "its end")
    assert site.cluster.state(job) == "CANCELLED"
    assert not (config.with_suffix("") / "patches.h5").exists()


def test_a_node_that_dies_ends_the_job_and_the_rest_of_the_cluster_goes_on_with_it(site: Site, configured: Any) -> None:
    config = configured(extract=MANY)
    work = config.with_suffix("")
    job = site.submit("extract.sh", config, options=("--nodelist=n3,n4",))
    wait_for(lambda: at_work(work / "patches.h5.partial"), 60, "rows")
    site.cluster.hosts.cut_power("n4")
    try:
        wait_for(lambda: site.cluster.about(job)["Restarts"] == "1" or site.cluster.state(job) in ("NODE_FAIL", "FAILED"), 60, "the job's end")
        site.cluster.ask("scontrol", "update", f"job={job}", "ReqNodeList=")
        site.cluster.wait_until(job, "COMPLETED")
        assert content_digest(work) == alone(config)
    finally:
        site.cluster.boot("n4")
        wait_for(lambda: "idle" in site.cluster.ask("sinfo", "-h", "-n", "n4", "-o", "%T"), 30, "n4")


def test_ranks_that_srun_starts_without_pmix_are_refused_in_one_line(site: Site, configured: Any) -> None:
    env = site.folder / "jobs" / "env.sh"
    text = env.read_text()
    for kind in ("none", "pmi2"):
        env.write_text(text.replace("SLURM_MPI_TYPE=pmix", f"SLURM_MPI_TYPE={kind}"))
        job = site.submit("extract.sh", configured())
        site.cluster.wait_until(job, "FAILED")
        said = site.cluster.said(job)
        assert said.count("mpicamnet: error:") == 1 and "srun --mpi=pmix" in said, said
        assert site.cluster.about(job)["ExitCode"] == "2:0"


def test_a_rank_that_is_killed_ends_the_job(site: Site, configured: Any) -> None:
    config = configured(extract=MANY)
    job = site.submit("extract.sh", config, options=("--nodelist=n1,n2",))
    wait_for(lambda: at_work(config.with_suffix("") / "patches.h5.partial"), 60, "rows")
    site.cluster.hosts.run("n2", "pkill", "-KILL", "-f", f"mpicamnet extract {config}")  # that node's processes only
    assert site.cluster.wait_until(job, "FAILED", seconds=60) == "FAILED"


def test_slides_are_copied_to_every_nodes_own_disk_and_change_no_result(site: Site, configured: Any) -> None:
    plain, staged = configured(), configured("staged", data={"stage": str(site.cluster.folder / "local" / "slides")})
    job = site.submit("extract.sh", staged, options=("--nodelist=n1,n2",))
    site.cluster.wait_until(job, "COMPLETED")
    read = re.search(r"staging: 3 files, (.*), in .* on 2 nodes; (.*) read now", site.cluster.said(job))
    assert read is not None and read[1] == read[2], site.cluster.said(job)  # each byte once, though both nodes have all of them
    disks = [site.cluster.hosts.disk(n) / "slides" for n in ("n1", "n2")]
    copies = [{p.name: p.read_bytes() for p in sorted(disk.glob("*/*.tif"))} for disk in disks]
    assert copies[0] == copies[1] == {p.name: p.read_bytes() for p in sorted(Path(json.loads(plain.read_text())["data"]["root"]).glob("center_*/*.tif"))}
    good("extract", plain)
    assert datasets(staged) == datasets(plain)
    shutil.rmtree(next(disks[1].glob("patient*")))  # a node that lacks one slide gets that one
    again = site.submit("extract.sh", staged, "--set", "extract.per_class=29", options=("--nodelist=n1,n2",))
    site.cluster.wait_until(again, "COMPLETED")
    found = re.search(r"on 2 nodes; (.*) read now", site.cluster.said(again))
    assert found is not None and found[1] not in ("0 B", read[1])
    assert {p.name: p.read_bytes() for p in sorted(disks[1].glob("*/*.tif"))} == copies[0]


def test_a_link_of_100_mbit_changes_no_digest(slow_cluster: Cluster, configured: Any, tmp_path: Path) -> None:
    site = Site(tmp_path, slow_cluster)
    config = configured(train={"epochs": 1}, data={"stage": str(slow_cluster.folder / "local")})
    job = site.submit("run.sh", config, "--only", "extract", "--only", "train", "--only", "infer")
    slow_cluster.wait_until(job, "COMPLETED")
    plain = configured("plain", train={"epochs": 1})
    good("run", plain, "--only", "extract", "--only", "train", "--only", "infer", ranks=2, timeout=400)
    assert datasets(config) == datasets(plain)
    found, expected = (prediction_digest(c.with_suffix("")) for c in (config, plain))
    assert found == expected
