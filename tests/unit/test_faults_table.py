"""docs/faults.md says what the tests hold."""

from pathlib import Path

from tests.faults import rows

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_in_the_documents_is_that_of_the_tests() -> None:
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    first = lines.index(rows()[0])
    assert lines[first : first + len(rows())] == rows()
    assert not lines[first + len(rows())].startswith("|")
