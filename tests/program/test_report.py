"""The report as a user meets it: the same page on any number of ranks, whole in a browser, honest about what is missing."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.launch import error_line, good, mpicamnet
from tests.program.conftest import Configure

BROWSER = next((found for name in ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome") if (found := shutil.which(name))), None)
SECTIONS = ["summary", "cohort", "measures", "confusion", "calibration", "montage", "slides", "training", "attributions", "concepts", "timing", "environment"]
SMALL = {"extract": {"sampling": "random", "per_class": 20}}


def page(config: Path) -> str:
    return (config.with_suffix("") / "report.html").read_text(encoding="utf-8")


def timeless(text: str) -> str:
    """The page without what a run's times and ranks are: the section of times, two figures of the summary, the date."""
    text = re.sub(r'<section id="timing">.*?</section>', "", text, flags=re.DOTALL)
    text = re.sub(r"<div><dt>(Time|Ranks)</dt>.*?</div>", "", text)
    return re.sub(r' <span class="made">.*?</span>', "", text)


def test_the_page_is_the_same_on_one_and_on_two_ranks_and_is_made_once(configure: Configure) -> None:
    config = configure("c", **SMALL)
    out = good("run", config, "--only", "extract", "--only", "report", ranks=2)
    two = page(config)
    assert out.startswith("plan: extract, report; 3 slides, ") and "plan:" not in good("run", config, "--only", "extract", "--only", "report")
    assert re.search(r"made, in .*:\n  patches\.h5 +[\d.]+ MB\n  report\.html +[\d.]+ [kM]B\n", out)
    assert "done before" in good("report", config)
    good("run", config, "--only", "report", "--force", "report")
    one = page(config)
    assert timeless(one) == timeless(two)
    assert two.count("data:image/webp") == 6  # three slides, each with its outlines and its tissue
    assert "Not made yet: attribution panels" in two


def test_a_report_of_nothing_says_what_to_run_first(configure: Configure) -> None:
    config = configure("c", **SMALL)
    line = error_line(mpicamnet("report", config), 2)
    assert "patches.h5 is not there" in line and "mpicamnet extract" in line
    assert not (config.with_suffix("") / "report.html").exists()


def test_a_report_of_files_made_with_another_config_is_refused(configure: Configure) -> None:
    config = configure("c", **SMALL)
    good("extract", config)
    line = error_line(mpicamnet("report", config, "--set", "extract.per_class=10"), 2)
    assert "extract.per_class" in line


def test_a_slide_that_cannot_be_read_is_on_the_page_and_the_exit_code_is_3(configure: Configure, cohort: Path, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    shutil.copytree(cohort, slides)
    broken = sorted(slides.glob("center_*/*.tif"))[1]
    broken.write_bytes(b"no slide")
    config = configure("c", data={"root": str(slides)}, **SMALL)
    assert mpicamnet("extract", config).returncode == 3
    done = mpicamnet("report", config, ranks=2)
    assert done.returncode == 3
    text = page(config)
    assert "1 with an error" in text and broken.stem in text and text.count("data:image/webp") == 4


@pytest.mark.skipif(BROWSER is None, reason="no Chromium (as root, `apt-get install chromium` installs it)")
def test_a_browser_shows_all_sections_and_has_nothing_to_complain_of(configure: Configure, tmp_path: Path) -> None:
    """That the browser's complaints would be heard is shown by a page with a mistake in it."""
    config = configure("c", **SMALL)
    good("run", config, "--only", "extract", "--only", "report")
    dom, said = shown(config.with_suffix("") / "report.html", tmp_path)
    assert re.findall(r'<section id="(\w+)"', dom) == SECTIONS
    assert not [line for line in said if "CONSOLE" in line]
    wrong = tmp_path / "wrong.html"
    wrong.write_text("<script>there_is_no_such_thing()</script>")
    assert [line for line in shown(wrong, tmp_path)[1] if "CONSOLE" in line]


def shown(path: Path, folder: Path) -> tuple[str, list[str]]:
    """The document as the browser holds it, and the lines that it logs."""
    assert BROWSER is not None
    done = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder / 'browser'}",
                           "--enable-logging=stderr", "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr.splitlines()
