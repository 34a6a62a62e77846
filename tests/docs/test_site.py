"""The documentation as a site: it builds, its links hold, it loads nothing from elsewhere, and what it quotes of the program is there."""
from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.launch import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OF_CHECKOUT = re.compile(r"`((?:configs|jobs|install|mpicamnet|scaling|tests)/[\w./+-]+)`")


def build(into: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(folder / "mkdocs.yml"), "-d", str(into)], capture_output=True,
                          text=True, timeout=120, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("site")
    done = build(into, ROOT)
    assert done.returncode == 0, done.stderr
    return into


def test_every_page_is_in_the_site_and_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in PAGES:
        text = (site / page.relative_to(DOCS).with_suffix(".html")).read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|source|iframe)[^>]*\ssrc="?([^">\s]+)', text) + re.findall(r'<link[^>]*\shref="?([^">\s]+)', text)
        assert loaded and not [url for url in loaded if re.match(r"(https?:)?//", url)]
    assert sum(f.stat().st_size for f in (DOCS / "pictures").iterdir()) < 200_000


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](files.md#nowhere)", "[x](#nowhere)", "[x](/files.md)", "![x](pictures/nowhere.png)"])
def test_a_dead_link_ends_the_build(link: str, tmp_path: Path) -> None:
    said = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump({**said, "nav": ["index.md", "files.md"]}))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "files.md").write_text("# Files\n")
    (tmp_path / "docs" / "index.md").write_text("# Good\n\n[x](files.md#files)\n")
    assert build(tmp_path / "good", tmp_path).returncode == 0
    (tmp_path / "docs" / "index.md").write_text(f"# Bad\n\n{link}\n")
    assert build(tmp_path / "bad", tmp_path).returncode != 0


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_of_the_checkout_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"\w+:", target):
            assert (page.parent / target).exists(), target
    for name in OF_CHECKOUT.findall(text):
        assert (ROOT / name).exists(), name


def test_troubleshooting_quotes_the_program() -> None:
    """Each message of the first table is in the source, as text or as a text with values in it."""
    section = (DOCS / "hpc.md").read_text(encoding="utf-8").partition("## Troubleshooting")[2].partition("What others say")[0]
    quoted = re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)
    assert len(quoted) > 25
    said = [text for path in sorted((ROOT / "mpicamnet").rglob("*.py")) for text in texts_of(path)]
    missing = [q for q in quoted if not any(re.search(pattern_of(q), text) for text in said)]
    assert not missing


def pattern_of(message: str) -> str:
    """A message with <what differs> as a pattern over texts in which NUL stands for values; quoted keys are in backquotes there."""
    parts = [re.escape(part).replace(r"\ ", r"[ `]+") for part in re.split(r"<[^>]*>", message)]
    return r"[`\w: ./-]*\0+[`\w ./-]*".join(parts)


def texts_of(path: Path) -> list[str]:
    """Every string of a module; of an f-string its fixed parts, with NUL for each value."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "\0" for v in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found
