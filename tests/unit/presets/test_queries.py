"""Query files."""

from pathlib import Path

import pytest

from tofner.errors import BadSettings
from tofner.presets.query_files import load_queries, shipped

CONLL = ["PER", "ORG", "LOC", "MISC"]


def test_shipped_sets_are_whole() -> None:
    names = ("conll", "span", "conll-guidelines", "span-guidelines")
    assert set(shipped()) == {(name, code) for name in names for code in ("en", "es", "de", "nl")}
    seen: set[str] = set()
    for labelset, language in shipped():
        queries = load_queries(labelset, language)
        assert list(queries) == (CONLL if labelset.startswith("conll") else ["ENTITY"])
        for query in queries.values():
            assert query == " ".join(query.split())
            long = labelset.endswith("guidelines")  # an encoder's window must hold query and context
            fewest, most = (10, 45) if long else (7, 10)
            assert fewest <= len(query.split()) <= most
            assert query not in seen
            seen.add(query)


def test_types_choose_and_order() -> None:
    assert list(load_queries("conll", "de", ["LOC", "PER"])) == ["LOC", "PER"]
    with pytest.raises(BadSettings, match=r"no query for GPE; it has PER, ORG, LOC, MISC.*types\.GPE"):
        load_queries("conll", "en", ["PER", "GPE"])


@pytest.mark.parametrize(
    ("labelset", "language", "message"),
    [
        ("conl", "en", "did you mean conll"),
        ("conll", "esp", "did you mean es"),
        ("span", "it", "language 'it'; expected one of de, en, es, nl"),
        ("nowhere/mine.yaml", "en", "no file nowhere/mine.yaml"),
    ],
)
def test_unknown_names(labelset: str, language: str, message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        load_queries(labelset, language)


def test_own_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "mine.it.yaml").write_text("types:\n  GPE: >-\n    Quali\n    luoghi?\n", encoding="utf-8")
    assert load_queries(str(tmp_path / "mine.it.yaml"), "en") == {"GPE": "Quali luoghi?"}
    assert load_queries(str(tmp_path), "it", ["GPE"]) == {"GPE": "Quali luoghi?"}
    with pytest.raises(BadSettings, match=r"found mine\.it\.yaml; expected one file en\.yaml"):
        load_queries(str(tmp_path), "en")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("types: [PER]", "no mapping `types`"),
        ("types:\n  PER: 3", r"types\.PER: found 3"),
        ("types:\n  PER: ''", r"types\.PER: found ''"),
        ("types: {", "expected YAML"),
        ("", "no mapping"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match=message):
        load_queries(str(tmp_path / "x.yaml"), "en")
