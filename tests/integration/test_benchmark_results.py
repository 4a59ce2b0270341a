"""The results of `make bench`: kept by version, found again, and compared with earlier ones."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.history import (
    BenchmarkResults,
    Measured,
    comparison_lines,
    earlier_results,
    read_results,
    results_of,
    write_results,
)
from benchmarks.measure import Kind, Row, ratio_row

HEAD = ["| measured | 0.1.0, Python 3.11.7, 2 cores | now | |", "| --- | --- | --- | --- |"]


def results(version: str, ratios: Mapping[str, float] | None = None) -> BenchmarkResults:
    rows = {name: Measured(value, "x", Kind.RATIO) for name, value in (ratios or {}).items()}
    return BenchmarkResults(version, "3.11.7", 2, rows)


def test_a_file_holds_the_rows_by_name_and_where_they_were_measured(tmp_path: Path) -> None:
    """Its Python and its cores, and nothing else of the machine; a row without a value is left out."""
    rows = [
        ratio_row("plan", 1.25, "yaml.safe_load (0.8 s)", "2 s", detail="1.0 s"),
        Row("one search", 0.5, "s", Kind.TIME, "opened in 2.0 s", "1 s"),
        Row("peak memory", 120.0, "MiB", Kind.MEMORY, "100 MiB at 100"),
        Row("in a browser", None, "x", Kind.RATIO, "there is no Chromium here"),
    ]

    path = write_results(results_of(rows, version="0.3.0"), tmp_path / "results")

    written = json.loads(path.read_text())
    assert path.name == "0.3.0.json"
    assert set(written) == {"version", "python", "cores", "rows"}
    assert written["rows"] == {
        "plan": {"value": 1.25, "unit": "x", "kind": "ratio"},
        "one search": {"value": 0.5, "unit": "s", "kind": "time"},
        "peak memory": {"value": 120.0, "unit": "MiB", "kind": "memory"},
    }


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Every row with its kind."""
    written = results("0.1.0", {"plan": 1.25})

    assert read_results(write_results(written, tmp_path)) == written


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([], []),
        (["0.8.0", "0.9.0", "0.11.0"], ["0.9.0"]),
        (["0.2.0", "0.9.0", "0.10.0rc1"], ["0.10.0rc1"]),
        (["0.9.0", "0.10.0"], ["0.9.0", "0.10.0"]),
        (["0.11.0", "1.0.0"], []),
    ],
    ids=["none", "counted as numbers", "a release candidate", "its own, too", "only newer ones"],
)
def test_a_run_is_compared_with_the_newest_earlier_version(tmp_path: Path, there: list[str], found: list[str]) -> None:
    """And with its own version's results before they are replaced; never with those of a newer one."""
    for version in there:
        write_results(results(version), tmp_path)
    (tmp_path / "notes.json").write_text("{}")

    earlier = earlier_results(tmp_path, version="0.10.0")

    assert [each.version for each in earlier] == [version for version in there if version in found]


def test_nothing_is_compared_where_no_run_was_kept(tmp_path: Path) -> None:
    """Not even the folder has to be there."""
    assert earlier_results(tmp_path / "results", version="0.10.0") == []


@pytest.mark.parametrize(
    ("before", "now", "higher_is_better", "mark"),
    [
        (1.0, 1.11, False, "worse"),
        (1.0, 1.09, False, ""),
        (1.0, 0.5, False, ""),
        (2.0, 1.79, True, "worse"),
        (2.0, 1.81, True, ""),
        (2.0, 4.0, True, ""),
    ],
)
def test_what_is_worse_by_more_than_a_tenth_is_marked(
    before: float, now: float, higher_is_better: bool, mark: str
) -> None:
    """Some ratios are the better the lower they are, others the higher."""
    row = ratio_row("plan", now, "yaml.safe_load", higher_is_better=higher_is_better)

    lines = comparison_lines([row], results("0.1.0", {"plan": before}))

    assert list(lines) == [*HEAD, f"| plan | {before:g} | {now:g} | {mark} |"]


def test_only_what_is_in_both_and_of_no_machine_is_compared() -> None:
    """Not times, rows that are new or gone, nor what was not measured; but how good pictures are is."""
    earlier = BenchmarkResults(
        "0.1.0",
        "3.11.7",
        2,
        {
            "plan": Measured(1.0, "x", Kind.RATIO),
            "gone": Measured(1.0, "x", Kind.RATIO),
            "search": Measured(1.0, "s", Kind.TIME),
            "browser": Measured(1.0, "x", Kind.RATIO),
            "banding": Measured(0.5, "CAMBI", Kind.QUALITY),
        },
    )
    rows = [
        ratio_row("plan", 1.0, "yaml.safe_load"),
        ratio_row("new", 9.0, "nothing"),
        Row("search", 9.0, "s", Kind.TIME, "opening"),
        Row("browser", None, "x", Kind.RATIO, "there is no Chromium here"),
        Row("banding", 0.75, "CAMBI", Kind.QUALITY, "one encoding"),
    ]

    assert list(comparison_lines(rows, earlier)) == [*HEAD, "| plan | 1 | 1 |  |", "| banding | 0.5 | 0.75 | worse |"]


def test_there_is_no_table_where_nothing_can_be_compared() -> None:
    """Not even its head."""
    assert list(comparison_lines([ratio_row("new", 1.0, "nothing")], results("0.1.0"))) == []


@pytest.mark.parametrize(
    ("row", "figure"),
    [
        (ratio_row("plan", 1.2345, "yaml.safe_load", detail="0.8 s"), "1.23 x (0.8 s)"),
        (ratio_row("times as fast", 1234.5, "a loop"), "1,234 x"),
        (Row("one search", 0.04321, "s", Kind.TIME, "opening"), "0.0432 s"),
        (Row("browser", None, "x", Kind.RATIO, "no Chromium"), "not measured"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_figure_has_three_digits_its_unit_and_its_details(row: Row, figure: str) -> None:
    """As the table of `make bench` shows it."""
    assert row.figure == figure


def test_only_a_run_of_all_parts_is_kept(tmp_path: Path) -> None:
    """Parts that are named are measured and compared alone."""
    folder = tmp_path / "results"
    parts = {
        "planning": lambda _: iter([ratio_row("plan", 1.0, "yaml.safe_load")]),
        "searching": lambda _: iter([ratio_row("search", 1.0, "opening")]),
    }

    main(["planning"], parts=parts, results=folder)
    kept = folder.exists()
    main([], parts=parts, results=folder)

    assert not kept
    assert [list(read_results(path).rows) for path in folder.iterdir()] == [["plan", "search"]]


def test_a_long_part_is_measured_where_it_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And not in a whole run."""
    parts = {"planning": lambda _: iter([ratio_row("plan", 1.0, "yaml.safe_load")])}
    long_parts = {"growing": lambda _: iter([ratio_row("memory", 1.0, "of a tenth")])}

    main([], parts=parts, long_parts=long_parts, results=tmp_path)
    whole = capsys.readouterr().out
    main(["growing"], parts=parts, long_parts=long_parts, results=tmp_path)
    named = capsys.readouterr().out

    assert ("| plan |" in whole, "| memory |" in whole) == (True, False)
    assert ("| plan |" in named, "| memory |" in named) == (False, True)


def test_a_later_run_of_the_same_version_is_compared_with_the_earlier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The comparison stands on stdout, below the table."""
    main([], parts={"planning": lambda _: iter([ratio_row("plan", 1.0, "yaml.safe_load")])}, results=tmp_path)
    main([], parts={"planning": lambda _: iter([ratio_row("plan", 1.5, "yaml.safe_load")])}, results=tmp_path)

    assert "| plan | 1 | 1.5 | worse |" in capsys.readouterr().out


def test_a_part_that_does_not_exist_is_named_with_those_that_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured."""
    with pytest.raises(SystemExit):
        main(["planing"], parts={"planning": lambda _: iter(())}, long_parts={}, results=tmp_path)

    assert "there is no part 'planing'; choose from planning" in capsys.readouterr().err
