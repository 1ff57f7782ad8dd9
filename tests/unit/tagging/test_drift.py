"""Two outputs of tagging side by side, against counts made by hand and plain formulas."""

import gzip
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.tiny_tagger import publish_tiny
from tofner.cli import app
from tofner.errors import BadData
from tofner.tagging import JobSettings, tag_job
from tofner.tagging.drift import BINS, Forms, Side, compare, compare_sides, log_ratio, read_side, stability


def record(text: str, *entities: tuple[str, str, float]) -> dict[str, Any]:
    """A record as `tofner tag` writes it; entities are label, text, score."""
    found = []
    for label, name, score in entities:
        start = text.index(name)
        found.append({"start": start, "end": start + len(name), "label": label, "score": score, "text": name})
    return {"id": "1", "text": text, "entities": found}


def write(path: Path, records: list[dict[str, Any]]) -> str:
    data = "".join(json.dumps(one) + "\n" for one in records).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def test_counts_of_a_side(tmp_path: Path) -> None:
    records = [
        record("Ann met Bob in Oslo", ("PER", "Ann", 0.91), ("PER", "Bob", 0.99), ("LOC", "Oslo", 1.0)),
        record("nobody , no"),
        {"tokens": ["a b", "Oslo"], "entities": [{"label": "LOC", "score": 0, "text": "Oslo", "start_token": 1}]},
    ]
    for name in ("a.jsonl", "b.jsonl.gz"):
        side = read_side(write(tmp_path / name, records))
        assert (side.records, side.words) == (3, 5 + 3 + 2)
        assert side.scores == {"PER": [0] * 9 + [2], "LOC": [1] + [0] * 8 + [1]}
        assert side.rate("PER") == pytest.approx(1000 * 2 / 10)
        assert side.mean_score("LOC") == pytest.approx((0.05 + 0.95) / 2)
        assert side.mean_score("MISC") is None


def side(words: int, counts: dict[str, int], score: float = 0.95, names: str = "n") -> Side:
    """So many entities of each type, each of a name of its own, in `words` words."""
    made = Side()
    for type_, count in counts.items():
        for i in range(count):
            made.add(0, [{"label": type_, "score": score, "text": f"{names}{i}"}])
    made.words = words
    return made


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (side(10_000, {"PER": 200}), side(10_000, {"PER": 290}), []),  # 1.45 times: within the factor
        (side(10_000, {"PER": 200}), side(10_000, {"PER": 320}), ["PER: 32.00 entities per 1,000 words, 20.00 before"]),
        (side(10_000, {"PER": 200}), side(5_000, {"PER": 50}), ["PER: 10.00 entities per 1,000 words, 20.00 before"]),
        (side(10_000, {"PER": 4}), side(10_000, {"PER": 9}), []),  # more than twice, and chance
        (side(10_000, {"PER": 200, "DRUG": 60}), side(10_000, {"PER": 200}), ["DRUG: 0.00 entities"]),
        (side(10_000, {"PER": 200}), side(10_000, {"PER": 200, "DRUG": 60}), ["DRUG: 6.00 entities"]),
        (side(10_000, {"PER": 200}), side(10_000, {"PER": 200}, score=0.5), ["PER: the scores have moved"]),
        (side(10_000, {"PER": 99}), side(10_000, {"PER": 99}, score=0.5), []),  # too few to say
        (side(10_000, {"PER": 200}, names="a"), side(10_000, {"PER": 200}, names="b"), []),  # all are new on both sides
    ],
)
def test_what_counts_as_drift(old: Side, new: Side, told: list[str]) -> None:
    found = compare_sides(old, new, 1.5, 0.15).drifted
    assert len(found) == len(told)
    for line, words in zip(found, told, strict=True):
        assert words in line


def test_the_formulas_are_those_of_the_books() -> None:
    assert log_ratio(30, 60, 1000, 4000) == pytest.approx(
        (math.log(60.5 / 4000) - math.log(30.5 / 1000), math.sqrt(1 / 30.5 + 1 / 60.5))
    )
    p, q = np.array([5, 0, 3, 9]) + 0.5, np.array([1, 7, 2, 2]) + 0.5
    p, q = p / p.sum(), q / q.sum()
    assert stability([5, 0, 3, 9], [1, 7, 2, 2]) == pytest.approx(float(np.sum((q - p) * np.log(q / p))))


def test_new_names_are_counted_against_what_is_usual() -> None:
    old, new = Side(), Side()
    for i in range(400):
        old.add(10, [{"label": "PER", "score": 0.9, "text": f"Name{i % 40}"}])
    for i in range(400):
        new.add(10, [{"label": "PER", "score": 0.9, "text": f"NAME{i % 50}"}])  # by lower case: ten of fifty are new
    found = compare_sides(old, new, 1.5, 0.15)
    assert (found.new_forms, found.expected_new_forms) == (pytest.approx(0.2), 1.0), (
        "each name comes in records of one parity"
    )
    assert found.drifted == []
    every = Side()
    for i in range(400):
        every.add(10, [{"label": "PER", "score": 0.9, "text": f"Name{i // 2 % 40}"}])
    assert compare_sides(every, new, 1.5, 0.15).drifted == ["20.0 % of the mentions are new, 0.0 % would be usual"]
    assert compare_sides(every, new, 1.5, 0.25).drifted == []
    assert compare_sides(every, side(10, {"LOC": 1}, names="Name"), 9, 0.15).new_forms == 1.0, "a form has a type"


def test_few_forms_stand_for_many() -> None:
    random_ = random.Random(5)
    exact, few, old_exact, old_few = Forms(), Forms(2000), Forms(), Forms(500)
    for i in range(40_000):
        form = f"form {random_.randrange(30_000)}"
        exact.add(form, i)
        few.add(form, i)
        if i % 3:
            old_exact.add(f"form {random_.randrange(20_000)}", i)
            old_few.add(f"form {random_.randrange(20_000)}", i)
    assert len(few.counts) <= 2000
    assert len(old_few.counts) <= 500
    assert few.own_share() == pytest.approx(exact.own_share(), abs=0.05)
    assert few.new_share(old_few) == pytest.approx(exact.new_share(old_exact), abs=0.05)


def test_what_a_tagging_job_wrote_is_read_from_every_format(tmp_path: Path) -> None:
    model = publish_tiny(tmp_path / "models")
    texts = [{"id": str(i), "text": f"Tom met Ann in Oslo {i}"} for i in range(30)]
    write(tmp_path / "in.jsonl", texts)
    tag_job(str(model), str(tmp_path / "in.jsonl"), str(tmp_path / "out"), JobSettings())
    statistics = json.loads((tmp_path / "out" / "_tofner" / "statistics.json").read_text())
    seen = read_side(str(tmp_path / "out"))
    assert (seen.records, seen.words) == (30, statistics["words"])
    assert {type_: seen.count(type_) for type_ in seen.scores} == {k: n for k, n in statistics["entities"].items() if n}
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(texts), tmp_path / "in.parquet")
    tag_job(str(model), str(tmp_path / "in.parquet"), str(tmp_path / "out2"), JobSettings())
    found = compare(str(tmp_path / "out"), str(tmp_path / "out2"))
    assert found.drifted == []
    assert found.new_forms == 0.0
    assert all((row.old, row.old_rate, row.old_score) == (row.new, row.new_rate, row.new_score) for row in found.types)
    (tmp_path / "out" / "_tofner" / "complete.json").unlink()
    with pytest.raises(BadData, match="a finished job"):
        read_side(str(tmp_path / "out"))


GOOD = {"text": "Ann", "entities": [{"label": "PER", "score": 0.5, "text": "Ann"}]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "a.jsonl:2: found JSONDecodeError"),
        (b"[1]", "a.jsonl:2: found AttributeError"),
        (b'{"text": "Ann"}', "a.jsonl:2: found KeyError 'entities'"),
        (b'{"text": "Ann", "entities": [{"label": "PER"}]}', "a.jsonl:2: found KeyError 'score'"),
        (b'{"text": "Ann", "entities": [{"label": "PER", "score": 7, "text": "Ann"}]}', "a.jsonl:2: found score 7"),
        (b'{"text": 3, "entities": []}', "a.jsonl:2: found TypeError"),
        (b"[" * 100_000, "a.jsonl:2: found"),
        (b" " * 3_000_000 + b"{}", "a.jsonl:2: found more than 2097152 bytes"),
        (b"\xff", "a.jsonl:2: found UnicodeDecodeError"),
    ],
)
def test_what_is_no_output_is_told_with_its_line(tmp_path: Path, line: bytes, message: str) -> None:
    place = tmp_path / "a.jsonl"
    place.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(BadData) as error:
        read_side(str(place))
    assert message in str(error.value)


def test_other_formats_and_empty_outputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ann B-PER\n")
    with pytest.raises(BadData, match="tag into JSONL or Parquet"):
        read_side(str(tmp_path / "a.conll"))
    with pytest.raises(BadData, match="no words"):
        read_side(write(tmp_path / "b.jsonl", [{"text": "", "entities": []}]))


def test_command_says_it_in_words_by_exit_code_and_for_prometheus(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", [record(f"Ann {i}", ("PER", "Ann", 0.95)) for i in range(200)])
    new = write(tmp_path / "new.jsonl", [record(f"Ann {i}") for i in range(200)])
    metrics = tmp_path / "node" / "tofner.prom"
    done = CliRunner().invoke(app, ["compare", old, new, "--prometheus", str(metrics)])
    assert done.exit_code == 3
    assert "drifted  PER: 0.00 entities per 1,000 words, 500.00 before" in done.output
    lines = metrics.read_text().splitlines()
    assert 'tofner_entities_per_1000_words{side="old",type="PER"} 500' in lines
    assert "tofner_drifted 1" in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    same = CliRunner().invoke(app, ["compare", old, old, "--json"])
    assert same.exit_code == 0
    assert json.loads(same.output)["types"][0]["psi"] == 0.0
    assert len(json.loads(same.output)["types"]) == 1
    assert BINS == 10
