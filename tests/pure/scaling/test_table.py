"""Cases, how they are started, what is kept of a run, and the page at the end."""
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mpicamnet.config import load
from mpicamnet.errors import UserError
from scaling import cases, report, table, table4, transfer
from scaling.__main__ import main
from scaling.calibration import calibrated
from scaling.machine import machine
from scaling.runner import command_of, rows_of
from tests.pure.scaling.test_simulation import measured

LINES = [{"stage": "extract", "phase": p, "ranks": 2, "seconds": {"min": 1.0, "mean": 1.5, "max": 2.0}, "items": n, "bytes": n * 10, "commit": "c", "time": "t"}
         for p, n in (("read", 70), ("wait", 0))]


def test_inside_a_slurm_job_srun_starts_the_ranks_with_pmix_else_mpirun() -> None:
    assert command_of(8, ["prog"], {"SLURM_JOB_ID": "7"}, 2) == ["srun", "--mpi=pmix", "-n", "8", "prog"]
    assert command_of(2, ["prog"], {}, 2) == ["mpirun", "--bind-to", "core", "-n", "2", "prog"]
    assert command_of(3, ["prog"], {}, 2) == ["mpirun", "--bind-to", "none", "--oversubscribe", "-n", "3", "prog"]
    assert command_of(4, ["prog"], {}, 2) == ["mpirun", "--bind-to", "core:overload-allowed", "--map-by", "core", "--oversubscribe", "-n", "4", "prog"]


def test_rows_go_to_csv_and_come_back_as_they_were(tmp_path: Path) -> None:
    case = cases.weak([2], 4096)[0]
    rows = rows_of(LINES, case, 1, {"extract": "abc"}, ("c", "host", 2, 0.5, "now"))
    assert [(r.phase, r.ranks, r.slides, r.tiles, r.items, r.seconds_min, r.seconds_mean, r.seconds_max, r.config_digest) for r in rows] == [
        ("read", 2, 2, 70, 70, 1.0, 1.5, 2.0, "abc"), ("wait", 2, 2, 70, 0, 1.0, 1.5, 2.0, "abc")]
    table.append(tmp_path / "t.csv", rows[:1])
    table.append(tmp_path / "t.csv", rows[1:])
    assert table.read(tmp_path / "t.csv") == rows


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="columns"):
        table.read(tmp_path / "t.csv")


STUDIES = (cases.strong([1], 4096), cases.strong([1], 4096, "jpeg"), cases.table4([1], 4096), cases.figure9([1], ["resnet50"]), cases.figure10([1], [50]),
           cases.heatmap([1]))


@pytest.mark.parametrize("case", [c for study in STUDIES for c in study], ids=lambda c: f"{c.study} {c.label}")
def test_every_case_is_a_config_that_the_program_takes(case: cases.Case, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps({**case.config, "work": "w", "data": {"root": "x", **case.config["data"]}}))
    load(path, [])


@pytest.mark.parametrize("words", ["strong --ranks 0", "strong --ranks -1", "weak --side big", "predict --nodes 1,ten", "table4 --repeats 0"])
def test_a_number_that_is_none_is_refused_in_one_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`mpirun -n 0` would take as many ranks as it likes."""
    assert main(words.split()) == 2
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith("scaling: error: ") and words.split()[1] in line and words.split(",")[-1].split()[-1] in line


def test_table_4_sets_the_paper_beside_what_was_measured_and_marks_what_was_predicted() -> None:
    """18,400 s on one core stands beside the dense slide only; ten and a thousand nodes are predicted, and faster than one core of 1,000 s."""
    rows = [dataclasses.replace(r, study="table4", label="dense, 1 WSI") for r in measured("table4", 1, 200_000, 800.0, 200.0)]
    rows += [dataclasses.replace(rows[0], stage="process", phase=p, seconds_max=s) for p, s in (("wall", 1010.0), ("cpu", 900.0))]
    costs, _ = calibrated(measured("strong", 1, 5329, 8.0, 2.0), machine("laptop"))
    one, ten, thousand = table4.entries(rows, costs, machine("prometheus"))
    assert (one.where, one.seconds, one.measured, one.paper, one.patches) == ("1 core", 1010.0, True, 18400, 200_000)
    assert (ten.where, ten.measured, ten.paper) == ("10 nodes", False, None)
    assert thousand.seconds < ten.seconds < one.seconds


def test_the_page_holds_its_pictures_and_needs_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"png")
    page = report.page("# A & B\n\ntext **bold** `x < y`\n\n| a | b |\n| --- | --- |\n| 1 | 2 \\* |\n\n![p](p.png)\n", tmp_path)
    assert "<h1>A &amp; B</h1>" in page and "<strong>bold</strong> <code>x &lt; y</code>" in page
    assert page.count("<tr>") == 2 and "<th>a</th>" in page and "<td>2 *</td>" in page and "</table>" in page
    assert 'src="data:image/png;base64,cG5n"' in page


def test_a_report_says_when_the_machine_was_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "NODES", (10, 100, 1000))
    monkeypatch.setattr(report, "MACHINES", ("prometheus",))
    monkeypatch.setattr("scaling.predict.PATCHES", 4_300_000)
    rows = [dataclasses.replace(r, load=9.0) for n, s in ((1, 10.0), (2, 6.0)) for r in measured("strong", n, 5329, 0.8 * s, 0.2 * s)]
    table.append(tmp_path / "measured.csv", rows)
    transfer._append(tmp_path / "transfers.csv", transfer.Transfer("scp", 1, 100, 0, 1.0))
    transfer._append(tmp_path / "transfers.csv", transfer.Transfer("scp", 10, 100, 0, 2.0))
    paths = report.write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "shared with other work" in text and "| 2 | 6.00 |" in text
    assert {"strong.png", "phases.png", "figure7.png", "figure8.png"} <= {p.name for p in paths}


def test_without_measurements_the_command_says_what_to_run_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--folder", str(tmp_path)]) == 2
    assert "python -m scaling strong" in capsys.readouterr().err
