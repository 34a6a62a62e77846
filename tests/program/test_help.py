"""The words that help: `--help` that teaches by example, and completion by the shell itself."""
from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mpicamnet.cli import parser
from tests.launch import ROOT, error_line, good, mpicamnet

HEAVY = ("numpy", "yaml", "shtab", "mpi4py", "h5py", "tensorflow", "mpicamnet.config")


def commands() -> list[str]:
    [found] = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return list(found.choices)


@pytest.mark.parametrize("name", commands())
def test_the_help_of_a_command_says_what_it_does_and_shows_examples_that_can_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([name, "--help"])
    said = capsys.readouterr().out
    examples = said.partition("examples:\n")[2]
    lines = [line.strip() for line in examples.splitlines() if f"mpicamnet {name} " in line + " "]
    assert lines, said
    assert said.split("\n\n")[1].strip(), said  # what it does, before the arguments
    for line in lines:
        words = shlex.split(re.split(r" {2,}", line)[0])
        parser().parse_args(words[words.index("mpicamnet") + 1:])
    assert max(map(len, examples.splitlines())) <= 130


def test_help_loads_nothing_heavy() -> None:
    code = ("import sys; from mpicamnet.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
            f"print([m for m in {HEAVY!r} if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_that_of_the_package() -> None:
    version = re.search(r"^version = (.+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert version is not None
    assert good("--version").strip() == f"mpicamnet {version[1]}"


@pytest.fixture(scope="module")
def bash_script() -> str:
    return good("--print-completion", "bash")


@pytest.mark.parametrize(("line", "expected"), [
    ("mpicamnet ext", ["extract"]),
    ("mpicamnet run --from ev", ["evaluate"]),
    ("mpicamnet run --only ", ["evaluate", "explain", "extract", "infer", "report", "train"]),
    ("mpicamnet train --verb", ["--verbose"]),
    ("mpicamnet plan da", ["data.yaml"]),
    ("mpicamnet weights resnet", ["resnet101", "resnet50"]),
    ("mpicamnet synth fo", ["folder/"]),
    ("mpicamnet --print-completion z", ["zsh"]),
])
def test_bash_completes_commands_stages_options_and_files(line: str, expected: list[str], bash_script: str, tmp_path: Path) -> None:
    """Asked as bash itself asks: the words so far in COMP_WORDS, the answers in COMPREPLY. Bash adds the slash of a folder later, or the script does."""
    (tmp_path / "data.yaml").touch()
    (tmp_path / "folder").mkdir()
    words = line.split(" ")
    ask = (bash_script + f"\nCOMP_WORDS=({' '.join(shlex.quote(w) for w in words)}); COMP_CWORD={len(words) - 1}; COMP_LINE={shlex.quote(line)}; "
           f"COMP_POINT={len(line)}; f=$(complete -p mpicamnet | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f mpicamnet {shlex.quote(words[-1])} "
           f"{shlex.quote(words[-2])}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "--norc", "-c", ask], capture_output=True, text=True, cwd=tmp_path, timeout=30)
    found = sorted({word.rstrip("/") for word in done.stdout.split() if not (line.endswith(" ") and word.startswith("-"))})
    assert found == [word.rstrip("/") for word in expected], done.stderr


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh (as root, `apt-get install zsh` installs it)")
def test_zsh_can_read_its_script(tmp_path: Path) -> None:
    path = tmp_path / "_mpicamnet"
    path.write_text(good("--print-completion", "zsh"))
    done = subprocess.run(["zsh", "-n", str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_completion_for_another_shell_is_refused_in_one_line() -> None:
    assert "'bash', 'zsh'" in error_line(mpicamnet("--print-completion", "fish"), 2)


def test_a_key_without_set_before_it_is_refused_with_how_to_write_it() -> None:
    line = error_line(mpicamnet("plan", "c.yaml", "data.patch=96"), 2)
    assert "data.patch=96" in line and "`--set KEY=VALUE`" in line
