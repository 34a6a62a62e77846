"""Every command of README and tutorial is run, on drawn slides of 1,024 px; those that cannot be are held against the program's own words.

A command is one of: run as it stands; read, where it needs a queue (its script, config, command and options must exist); or in the short list of
what needs a network, a site's modules or a file system that a test has not. A command that is none of these fails.
"""
from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mpicamnet import config as cfg
from mpicamnet.cli import parser
from mpicamnet.synth import draw_cohort
from tests.docs.fences import Command, blocks_of, commands_of
from tests.launch import ENVIRONMENT, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN_PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md"]
NOT_RUN = {  # what a command begins with: why it is neither run nor read
    "aws s3 ": "a download of terabytes",
    "module load ": "a cluster's own",
    "export MPICAMNET_PYTHON=": "a cluster's own",
    "export CAMELYON17=/": "a place on the reader's disk: the test has its own",
    "export PATH=$PWD/.venv/bin": "the test has its environment already",
    "lfs setstripe ": "Lustre only",
    "apptainer test ": "an image, which root builds in ten minutes",
    "apptainer build ": "an image, which root builds in ten minutes",
}
QUEUED = ("srun", "sbatch")
TINY: dict[str, dict[str, Any]] = {
    "data": {"patch": 64, "level": 0}, "extract": {"sampling": "random", "per_class": 12, "block": 512}, "train": {"epochs": 1, "batch": 4},
    "infer": {"stride": 64}, "evaluate": {"bootstrap": 20, "forest": 0},
    "explain": {"methods": ["gradcam"], "patches": [0], "sanity": 0},
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that looks like a checkout after `make setup` and `mpicamnet synth`, its configs cut to drawn slides and seconds."""
    top = tmp_path_factory.mktemp("checkout")
    draw_cohort(top / "runs" / "demo-slides", slides=4, size=1024, seed=2020)
    for name in ("Makefile", "install", "jobs", "docs"):
        (top / name).symlink_to(ROOT / name)
    (top / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.yaml"):
        (top / "configs" / path.name).write_text(yaml.safe_dump(_tiny(path)))
    (top / "c.yaml").write_text((top / "configs" / "demo.yaml").read_text().replace("../runs/demo\n", "runs/c\n").replace("../", ""))
    commands = top / "bin"
    commands.mkdir()
    _script(commands / "mpicamnet", f'[ "$1" != synth ] || set -- "$@" --size 1024\nexec {sys.executable} -m mpicamnet "$@"')
    _script(commands / "mpirun", f'exec {_which("mpirun")} --oversubscribe --bind-to none "$@"')
    yield top


@pytest.fixture(autouse=True)
def place_of_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configs name it; nothing is read there."""
    monkeypatch.setenv("CAMELYON17", "/slides")


def _tiny(path: Path) -> dict[str, Any]:
    said = yaml.safe_load(path.read_text())
    for section, values in TINY.items():
        merged = {**said.get(section, {}), **values}
        if section == "data":
            merged["split"] = {"by": "center", "train": [0, 1], "val": [2], "test": [2]}
            merged.pop("mpp", None)
        said[section] = merged
    return dict(said)


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)


def _which(name: str) -> str:
    return subprocess.run(["bash", "-c", f"command -v {name}"], capture_output=True, text=True, check=True).stdout.strip()


def kind(command: Command) -> str:
    """run, read, make or not run; fails where it is none of them."""
    if any(command.text.startswith(begin) for begin in NOT_RUN):
        return "not run"
    words = shlex.split(command.text)
    if words[0] == "make":
        return "make"
    if words[0] in QUEUED or words[0].startswith("jobs/"):
        return "read"
    if words[0] in ("mpicamnet", "mpirun", "source", "export") or words[:3] == ["python", "-m", "mpicamnet.config_reference"]:
        return "run"
    raise AssertionError(f"{command.page}, line {command.line}: nobody runs `{command.text}`: let this test run it, or name it in NOT_RUN")


ALL = [c for page in PAGES for c in commands_of(page)]


@pytest.mark.parametrize("command", ALL, ids=lambda c: f"{c.page}:{c.line}")
def test_a_command_on_any_page_is_one_that_the_program_knows(command: Command) -> None:
    how = kind(command)
    if how == "make":
        done = subprocess.run(["make", "-n", *shlex.split(command.text)[1:]], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    if how in ("run", "read") and not command.text.startswith(("export", "source")):
        _read(command)


def _read(command: Command) -> None:
    """Script, config, command and options of a command must exist; overrides must be of keys that exist."""
    words = shlex.split(command.text)
    script = next((w for w in words if re.match(r"jobs/.*\.sh$", w)), None)
    if script is not None:
        assert (ROOT / script).is_file(), script
        if "pipeline" not in script:
            said = re.search(r'^srun "\$\{program\[@\]\}" (\w+) "\$@"(.*)', (ROOT / script).read_text(), re.MULTILINE)
            assert said is not None, script
            words = [said[1], *words[words.index(script) + 1:]]
        else:
            words = ["run", *words[words.index(script) + 1:]]
    else:
        at = max(i for i, w in enumerate(words) if w.endswith("mpicamnet") or w.endswith("mpicamnet.sif"))
        words = words[at + 1:]
    a = parser().parse_args(words)
    config = getattr(a, "config", None)
    if config is not None and config.name not in ("c.yaml", "CONFIG"):
        assert cfg.load(ROOT / config, a.set), config


def shell(text: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT), "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(checkout),
           "CAMELYON17": str(checkout / "runs" / "demo-slides")}
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, cwd=checkout, env=env, timeout=180)


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda p: p.name)
def test_every_command_runs(page: Path, checkout: Path) -> None:
    """In the order of the page, each as it stands, in one checkout: a reader's whole way. `c.yaml` is the reader's own, as far as the demo is."""
    commands = [c for c in commands_of(page) if kind(c) == "run"]
    assert len(commands) > 8
    for c in commands:
        if "c.yaml" in c.text and not (checkout / "runs" / "c").exists():
            shutil.copytree(checkout / "runs" / "demo", checkout / "runs" / "c")
        text = "; ".join([*c.exports, c.text]) if not c.text.startswith("export") else c.text
        text = text.replace("/tmp/slides", str(checkout / "copies"))
        done = shell(text, checkout)
        assert done.returncode == 0, f"{c.page}, line {c.line}: `{c.text}`: exit {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-2500:]}"


def test_a_command_that_nobody_runs_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="nobody runs"):
        kind(Command("wget https://example.org/slides.zip", (), "page.md", 1))
    with pytest.raises(Exception, match="--no-such-option"):
        _read(Command("srun mpicamnet run configs/demo.yaml --no-such-option", (), "page.md", 1))
    with pytest.raises(Exception, match="did you mean"):
        _read(Command("sbatch jobs/train.sh configs/demo.yaml --set train.epoch=1", (), "page.md", 1))


@pytest.fixture(scope="module")
def demo(checkout: Path) -> Path:
    """`work` of the demo: made, unless the pages' own commands have made it."""
    done = shell("mpirun -n 2 mpicamnet run configs/demo.yaml", checkout)
    assert done.returncode == 0, done.stderr
    return checkout / "runs" / "demo"


def section(title: str) -> str:
    """The text of a section of docs/files.md."""
    return (ROOT / "docs" / "files.md").read_text(encoding="utf-8").partition(f"\n## {title}")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("title", "file"), [("patches.h5", "patches.h5"), ("predictions.h5", "infer/predictions.h5"),
                                             ("attributions.h5", "explain/attributions.h5")])
def test_the_page_of_files_names_every_dataset_and_attribute(title: str, file: str, demo: Path) -> None:
    import h5py

    named = set(re.findall(r"`([^`\n]+)`", section("What every output says") + section(title).partition("```")[0]))
    with h5py.File(demo / file, "r") as f:
        held: list[str] = []
        f.visititems(lambda name, thing: held.append(name) if isinstance(thing, h5py.Dataset) else None)
        held = [n for n in held if not (n.startswith("slides/") and "slides/..." in named)]
        unnamed = [n for n in (*held, *f.attrs) if not {n, n.rpartition("/")[2]} & named]
    assert held and not unnamed


def test_the_page_of_files_shows_the_shape_of_evaluation_and_timing(demo: Path) -> None:
    [shown] = [json.loads(body) for _, language, body in blocks_of(section("evaluation.json")) if language == "json"]
    made = json.loads((demo / "evaluate" / "evaluation.json").read_text())
    assert set(shown) == set(made) - {"config", "config_digest", "content_digest"}
    for level in ("tile", "lesion", "slide", "patient"):
        assert set(shown[level]) == set(made[level])
    [line] = [json.loads(body) for _, language, body in blocks_of(section("timing.jsonl")) if language == "json"]
    assert set(line) == set(json.loads((demo / "timing.jsonl").read_text().splitlines()[-1]))


def test_the_python_of_the_pages_runs(demo: Path) -> None:
    blocks = [body for page in PAGES for _, language, body in blocks_of(page.read_text(encoding="utf-8")) if language == "python"]
    assert blocks
    for body in blocks:
        done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, cwd=demo.parents[1], timeout=60)
        assert done.returncode == 0, done.stderr
