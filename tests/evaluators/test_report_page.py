import json

import pytest

from evaluators.__main__ import main
from evaluators.report_page import page, read_results
from evaluators.reporting import EvaluationResult, Table
from tests.galleries import plain

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def results(tmp_path):
    rows = [["share", "62.5"], [EVIL, "-"]]
    table = Table(f"Title {EVIL}", ["percent", "ours | theirs"], rows)
    EvaluationResult("one", {}, (table,), [EVIL]).write(tmp_path / "one")
    counts = Table("Counts", ["task", "n"], [["numeracy", " 50.0%  (1/2)"], ["distance", "12.25"]])
    EvaluationResult("two", {}, (counts,)).write(tmp_path / "two" / "below")
    plain("red", (2000, 100)).save(tmp_path / "one" / "failures.png")
    (tmp_path / "other.json").write_text('{"evaluation": "no table"}')
    (tmp_path / "broken.json").write_text("{")
    rows = [["1", "2"]]
    (tmp_path / "wrong.json").write_text(
        json.dumps({"evaluation": "w", "table": {"title": "w", "columns": ["a"], "rows": rows}})
    )
    return tmp_path


def test_one_page_of_all_results(results, capsys):
    assert main(["report", str(results), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["one/results.json", "two/below/results.json"]
    html = (results / "report.html").read_text()
    markdown = (results / "report.md").read_text()
    assert "<script" not in html and "&lt;script&gt;" in html and "<script" not in markdown
    assert html.count('class="bar"') == 2 and "width:62.5%" in html and "width:50.0%" in html  # a distance is no share
    assert html.count("<img") == 1 and "data:image/jpeg;base64," in html and 'src="/' not in html and "http" not in html
    assert "ours \\| theirs" in markdown and "| numeracy | 50.0% (1/2) |" in markdown


def test_nothing_to_report(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err


def test_the_page_is_the_same_wherever_the_folder_lies(results, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "folder"
    results.rename(other)
    assert str(other) not in page(other, read_results(other))


def test_markdown_cells_stay_in_their_cells():
    table = Table("t", ["a", "b"], [["x|y", "line\nend"]])
    assert table.to_markdown(["a\nnote"]).splitlines()[2:] == [
        "| a | b |",
        "| --- | ---: |",
        "| x\\|y | line end |",
        "",
        "- a note",
    ]
