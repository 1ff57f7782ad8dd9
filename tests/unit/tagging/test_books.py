"""What a job keeps: receipts after outputs, nothing done twice, bad records within their limit, sums that add up."""

import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.tiny_tagger import LABELS, make_tokenizer, publish_tiny
from tofner import storage
from tofner.errors import BadData, BadInput, BadSettings, PassingFault
from tofner.tagging import Tagger, tag_job
from tofner.tagging.engine.texts import to_words
from tofner.tagging.formats import parquet, read
from tofner.tagging.job import finish, stats
from tofner.tagging.job import write as write_module
from tofner.tagging.job.ledger import Ledger
from tofner.tagging.job.stats import Counts, Limit
from tofner.words.segment import segment


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(publish_tiny(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def tagger(model: str) -> Tagger:
    return Tagger.load(model, threads=1)


def run(model: str, input: Path, output: Path, **changes: Any) -> Any:
    return tag_job(model, str(input), str(output), threads=1, quiet=True, **changes)


def receipts(output: Path) -> list[str]:
    return sorted(path.stem for path in (output / "_tofner/shards").glob("*.json"))


def receipt(output: Path, number: int) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((output / f"_tofner/shards/{number:05d}.json").read_bytes())
    return value


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def parts(output: Path) -> list[Path]:
    return sorted(output.glob("*.jsonl"))


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Four shards of two lines when cut by 16 bytes."""
    path = tmp_path / "in.txt"
    path.write_text("".join(f"Ajax {i:02d}\n" for i in range(8)))
    return path


@pytest.fixture
def records_(tmp_path: Path) -> Path:
    """Six JSON lines of 20 bytes; 0, 2 and 5 are broken. Three shards when cut by 40 bytes."""
    path = tmp_path / "in.jsonl"
    good, bad = b'{"text": "Obama 1"}\n', b'{"text": "Obama 1" \n'
    path.write_bytes(b"".join(bad if i in (0, 2, 5) else good for i in range(6)))
    return path


def test_a_receipt_is_written_after_the_output_and_the_bad_records(
    model: str, records_: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    commit, write, write_bad = storage.put_new_file, Ledger.write_receipt, Ledger.write_bad

    def committed(path: Path, uri: str) -> str | None:
        steps.append("output")
        return commit(path, uri)

    def marked(self: Ledger, *given: Any) -> None:
        steps.append("receipt")
        write(self, *given)

    def put_aside(self: Ledger, *given: Any) -> None:
        steps.append("bad")
        write_bad(self, *given)

    monkeypatch.setattr(storage, "put_new_file", committed)
    monkeypatch.setattr(Ledger, "write_receipt", marked)
    monkeypatch.setattr(Ledger, "write_bad", put_aside)
    run(model, records_, tmp_path / "out", shard_bytes=40, max_bad="3")
    assert steps == ["bad", "output", "receipt"] * 3


def test_a_death_before_the_receipt_leaves_a_shard_to_be_done_again(
    model: str, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(model, lines, tmp_path / "whole", shard_bytes=16)
    write = Ledger.write_receipt

    def dies(self: Ledger, shard: Any, counts: Any) -> None:
        if shard.number == 2:
            raise PassingFault("gone")
        write(self, shard, counts)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "write_receipt", dies)
        with pytest.raises(PassingFault, match="gone"):
            run(model, lines, tmp_path / "out", shard_bytes=16)
    assert (receipts(tmp_path / "out"), len(parts(tmp_path / "out"))) == (["00000", "00001"], 3)
    assert run(model, lines, tmp_path / "out", shard_bytes=16).complete
    assert [p.read_bytes() for p in parts(tmp_path / "out")] == [p.read_bytes() for p in parts(tmp_path / "whole")]


def test_what_has_a_receipt_is_not_done_again(
    model: str, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    report = run(model, lines, out, shard_bytes=16, worker="1/2")
    assert (receipts(out), report.shards_done, report.complete) == (["00001", "00003"], 2, False)
    assert [row["text"] for path in parts(out) for row in rows_of(path)] == ["Ajax 02", "Ajax 03", "Ajax 06", "Ajax 07"]
    done: list[str] = []
    commit = storage.put_new_file
    monkeypatch.setattr(storage, "put_new_file", lambda path, uri: done.append(Path(uri).name) or commit(path, uri))
    assert run(model, lines, out, shard_bytes=16).complete
    assert done == ["in.part-00000-of-00004.jsonl", "in.part-00002-of-00004.jsonl"]
    assert run(model, lines, out, shard_bytes=16).complete
    assert len(done) == 2


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


ALTERED = [Path.unlink, tear, change]


@pytest.mark.parametrize("alter", ALTERED)
@pytest.mark.parametrize("when", ["before the rest", "when all is done", "for another worker"])
def test_an_output_that_was_altered_after_its_receipt_is_made_again(
    model: str, lines: Path, tmp_path: Path, alter: Any, when: str
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(model, lines, whole, shard_bytes=16)
    run(model, lines, out, shard_bytes=16, worker=None if when == "when all is done" else "1/2")
    alter(out / "in.part-00001-of-00004.jsonl")
    report = run(model, lines, out, shard_bytes=16, worker="0/2" if when == "for another worker" else None)
    assert report.complete
    assert [path.read_bytes() for path in parts(out)] == [path.read_bytes() for path in parts(whole)]


@pytest.mark.parametrize("alter", ALTERED)
def test_a_part_that_was_altered_is_not_joined(model: str, lines: Path, tmp_path: Path, alter: Any) -> None:
    out = tmp_path / "o.jsonl"
    run(model, lines, tmp_path / "whole.jsonl", shard_bytes=16)
    run(model, lines, out, shard_bytes=16, worker="1/2")
    alter(tmp_path / "o.jsonl.tofner/parts/00001")
    assert run(model, lines, out, shard_bytes=16, worker="0/2").complete
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("alter", ALTERED)
def test_a_joined_output_that_was_altered_is_made_again(model: str, lines: Path, tmp_path: Path, alter: Any) -> None:
    out = tmp_path / "o.jsonl"
    run(model, lines, out, shard_bytes=16)
    expected = out.read_bytes()
    alter(out)
    assert run(model, lines, out, shard_bytes=16).complete
    assert out.read_bytes() == expected


def test_an_output_that_somebody_keeps_altering_ends_as_a_passing_fault(
    model: str, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Ledger.write_receipt

    def altered(self: Ledger, shard: Any, counts: Any) -> None:
        write(self, shard, counts)
        if shard.number == 1:
            tear(Path(self.output_of(shard)))

    monkeypatch.setattr(Ledger, "write_receipt", altered)
    with pytest.raises(PassingFault, match=r"part-00001-of-00004.jsonl: changed after it was finished"):
        run(model, lines, tmp_path / "out", shard_bytes=16)


def test_an_input_that_is_another_is_refused_and_named(model: str, tmp_path: Path) -> None:
    """Also in the middle of a large file, with the same size."""
    source = tmp_path / "in"
    source.mkdir()
    for name in "abc":
        (source / f"{name}.txt").write_bytes(b"Ajax\n" * 40_000)
    run(model, source, tmp_path / "out", worker="0/2")
    data = bytearray(b"Ajax\n" * 40_000)
    data[100_000:100_004] = b"Oslo"
    (source / "b.txt").write_bytes(data)
    (source / "c.txt").rename(source / "d.txt")
    said = "3 inputs are others: b.txt is changed, c.txt is gone, d.txt is new"
    with pytest.raises(BadInput, match=said):
        run(model, source, tmp_path / "out", worker="1/2")


@pytest.mark.parametrize("segment", [1, 8])
def test_an_input_that_changes_while_it_is_tagged_is_told(
    model: str, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segment: int
) -> None:
    monkeypatch.setattr(read, "GROUP_RECORDS", 1)
    monkeypatch.setattr(write_module, "SEGMENT_GROUPS", segment)
    add = Counts.add

    def written(self: Counts, *given: Any) -> None:
        lines.write_text("Oslo 00\n" * 8)
        add(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Counts, "add", written)
        with pytest.raises(BadData, match=r"in.txt: found a file that changed while it was tagged"):
            run(model, lines, tmp_path / "out")
    assert receipts(tmp_path / "out") == []
    assert parts(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("suffix", "joined"), [(".txt", False), (".txt.gz", True), (".txt.zst", False), (".parquet", True)]
)
def test_a_killed_worker_goes_on_within_a_shard_with_the_same_bytes_and_statistics(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, joined: bool
) -> None:
    """One shard of 10 groups, in segments of 3; run after run dies, each at a later write of the ledger."""
    monkeypatch.setattr(read, "GROUP_RECORDS", 4)
    monkeypatch.setattr(parquet, "_ROWS", 4)
    monkeypatch.setattr(write_module, "SEGMENT_GROUPS", 3)
    texts = [f"Obama met Merkel {i} in New York" for i in range(40)]
    source = tmp_path / f"in{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"text": [None, *texts[1:]]}), source)
    else:
        data = "\n".join(["\udcff", *texts[1:]]).encode("utf-8", "surrogateescape")
        packed = {".txt": bytes, ".txt.gz": gzip.compress, ".txt.zst": zstandard.compress}[suffix](data)
        source.write_bytes(packed)
    written = suffix if suffix == ".parquet" else suffix.replace("txt", "jsonl")
    whole, out = (tmp_path / (name + written if joined else name) for name in ("whole", "out"))
    run(model, source, whole, max_bad="1")
    tagged = Counter[int]()
    add = Counts.add
    original = storage.write_bytes
    deaths = 0

    def counted(self: Counts, group: Any, *given: Any) -> None:
        tagged.update(row.place for row in group.rows[:1])
        add(self, group, *given)

    monkeypatch.setattr(Counts, "add", counted)
    for kill in range(1, 100):
        calls = [0]

        def dying(uri: str, data: bytes, kill: int = kill, calls: list[int] = calls) -> str:
            calls[0] += 1
            if calls[0] == kill:
                raise KeyboardInterrupt
            return original(uri, data)

        monkeypatch.setattr(storage, "write_bytes", dying)
        try:
            report = run(model, source, out, max_bad="1")
        except KeyboardInterrupt:
            deaths += 1
            continue
        break
    assert report.complete
    assert deaths >= 3
    assert max(tagged.values()) <= 4, "what is in the ledger is not tagged again"
    place = (lambda root: [root]) if joined else (lambda root: [p for p in root.iterdir() if p.is_file()])
    assert [p.read_bytes() for p in place(out)] == [p.read_bytes() for p in place(whole)]
    books = [Path(f"{p}.tofner") if joined else p / "_tofner" for p in (whole, out)]
    timed = ("output", "phases", "words_per_s")
    told = [json.loads((book / "statistics.json").read_text()) for book in books]
    assert {k: v for k, v in told[0].items() if k not in timed} == {k: v for k, v in told[1].items() if k not in timed}
    bad = [rows_of(book / "dead-letter.jsonl") for book in books]
    assert bad[0] == bad[1]
    assert len(bad[0]) == 1
    pages = [re.findall("<p>(.*?)</p>", (book / "sample.html").read_text()) for book in books]
    assert pages[0] == pages[1]
    assert not (books[1] / "segments").exists() or list((books[1] / "segments").rglob("*.json")) == []


@pytest.mark.parametrize("what", ["segments/00000/00000", "segments/00000/00000.json"])
@pytest.mark.parametrize("alter", ALTERED)
def test_a_damaged_segment_is_made_again(
    model: str, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, alter: Any
) -> None:
    monkeypatch.setattr(read, "GROUP_RECORDS", 1)
    monkeypatch.setattr(write_module, "SEGMENT_GROUPS", 2)
    run(model, lines, tmp_path / "whole")

    def dies(self: Ledger, *given: Any) -> None:
        raise PassingFault("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "write_receipt", dies)
        with pytest.raises(PassingFault, match="gone"):
            run(model, lines, tmp_path / "out")
    (tmp_path / "out/in.jsonl").unlink()
    alter(tmp_path / "out/_tofner" / what)
    assert run(model, lines, tmp_path / "out").complete
    assert (tmp_path / "out/in.jsonl").read_bytes() == (tmp_path / "whole/in.jsonl").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff", b'{"shard": 1}', b'{"records": 1e999}', b"9" * 5000],
)
def test_a_damaged_receipt_is_no_receipt(model: str, lines: Path, tmp_path: Path, damage: bytes) -> None:
    out = tmp_path / "out"
    run(model, lines, out, shard_bytes=16, worker="1/2")
    good = json.loads((out / "_tofner/shards/00001.json").read_bytes())
    (out / "_tofner/shards/00001.json").write_bytes(damage)
    (out / "_tofner/shards/00099.json").write_bytes(json.dumps({**good, "shard": 99}).encode())
    assert run(model, lines, out, shard_bytes=16).complete
    assert receipt(out, 1) == good


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("records", -1), ("words", 10**30), ("bytes", "5"), ("bad", True), ("entities", {"PER": None}),
        ("entities", []), ("samples", {}), ("samples", [{}]), ("samples", [5]), ("sha256", None), ("shard", 0),
        ("samples", [{"rank": 1, "text": "a", "cut": False, "entities": [[0, 1, 2]]}]),
    ],
)  # fmt: skip
def test_a_receipt_with_a_damaged_field_is_no_receipt(
    model: str, lines: Path, tmp_path: Path, field: str, value: Any
) -> None:
    out = tmp_path / "out"
    run(model, lines, out, shard_bytes=16, worker="1/2")
    good = receipt(out, 1)
    (out / "_tofner/shards/00001.json").write_text(json.dumps({**good, field: value}))
    assert run(model, lines, out, shard_bytes=16).complete
    assert receipt(out, 1) == good


def test_a_job_of_another_model_is_refused_the_output(model: str, lines: Path, tmp_path: Path) -> None:
    run(model, lines, tmp_path / "out", worker="0/2", shard_bytes=16)
    other = publish_tiny(tmp_path / "other")
    (other / "labels.json").write_text(json.dumps({"labels": [*LABELS[1:], "O"]}))
    with pytest.raises(BadInput, match=r"plan of another job \(fingerprint .*, model "):
        run(str(other), lines, tmp_path / "out", worker="1/2", shard_bytes=16)


def test_parts_and_bad_records_are_joined_in_the_order_of_the_input(
    model: str, records_: Path, lines: Path, tmp_path: Path
) -> None:
    for worker in ("2/3", "0/3", "1/3"):
        run(model, lines, tmp_path / "o.jsonl", shard_bytes=16, worker=worker)
        run(model, records_, tmp_path / "bad", shard_bytes=40, max_bad="3", worker=worker)
    assert [row["text"] for row in rows_of(tmp_path / "o.jsonl")] == [f"Ajax {i:02d}" for i in range(8)]
    dead = rows_of(tmp_path / "bad/_tofner/dead-letter.jsonl")
    assert [row["line"] for row in dead] == [1, 3, 6]
    assert set(dead[0]) == {"file", "line", "reason", "record", "bytes"}


def test_parquet_parts_are_joined_in_the_order_of_the_input(model: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": range(90), "text": ["Ajax"] * 90}), tmp_path / "in.parquet", row_group_size=20)
    run(model, tmp_path / "in.parquet", tmp_path / "o.parquet", shard_bytes=1)
    assert pq.read_table(tmp_path / "o.parquet").column("n").to_pylist() == list(range(90))


def test_a_gzip_file_made_of_parts_carries_no_time(model: str, lines: Path, tmp_path: Path) -> None:
    run(model, lines, tmp_path / "o.jsonl.gz", shard_bytes=16)
    data = (tmp_path / "o.jsonl.gz").read_bytes()
    assert data[4:8] == bytes(4)
    assert len(gzip.decompress(data).splitlines()) == 8


@pytest.mark.parametrize(
    ("text", "limit"),
    [("0", Limit(0)), ("10", Limit(10)), ("1%", Limit(None, 0.01)), (" 2.5 % ", Limit(None, 0.025))],
)
def test_limits(text: str, limit: Limit) -> None:
    assert Limit.parse(text) == limit


@pytest.mark.parametrize("text", ["-1", "101%", "1.5", "%", "1%%", "x", "", "١"])
def test_no_limits(text: str) -> None:
    with pytest.raises(BadSettings, match="max-bad"):
        Limit.parse(text)


def test_a_limit_is_what_may_be() -> None:
    number, share = Limit.parse("3"), Limit.parse("2%")
    assert [number.exceeded(bad, 10**6) for bad in (3, 4)] == [False, True]
    assert [share.exceeded(bad, 200) for bad in (4, 5)] == [False, True]
    assert Limit.parse("0%").exceeded(1, 10**9)
    assert not Limit.parse("100%").exceeded(5, 5)
    assert "at most 2%" in str(share.error(5, 200, "x"))


def gives_up(limit: str, before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Whether a worker gives up in the middle; pairs are good and bad records."""
    kept: list[dict[str, Any]] = []

    def keep() -> list[dict[str, Any]]:
        kept.append({"file": "f", "line": 7, "reason": "why"})
        return kept

    old, new = Counts(records=before[0], bad=before[1]), Counts(records=now[0], bad=now[1])
    said = ""
    try:
        Limit.parse(limit).check_early(old, new, keep)
    except BadData as error:
        said = str(error)
    assert (len(kept) == 1) == bool(said)
    assert not said or f"{before[1] + now[1]} bad of {sum(before) + sum(now)} records (f:7: why)" in said
    return bool(said)


def test_giving_up_early() -> None:
    """At once past a number; past a share when it is past that share of 10,000 records, or of more."""
    assert gives_up("2", (0, 0), (1, 3))
    assert not gives_up("2", (0, 0), (1, 2))
    assert gives_up("2", (5, 2), (1, 1)), "bad records of earlier shards count"
    assert not gives_up("2", (5, 3), (9, 0)), "the end of the job will tell"
    assert not gives_up("1%", (0, 0), (0, 100)), "too early to judge by"
    assert gives_up("1%", (0, 0), (0, 101))
    assert not gives_up("1%", (19_000, 100), (800, 100)), "1 % of 20,000"
    assert gives_up("1%", (19_000, 100), (800, 101))


def test_a_worker_gives_up_in_the_shard_that_is_too_much(model: str, records_: Path, tmp_path: Path) -> None:
    """The bad lines are 1, 3 and 6; shards hold two lines each."""
    with pytest.raises(BadData, match=r"2 bad of 4 records .*in.jsonl:3: .*at most 1;"):
        run(model, records_, tmp_path / "out", shard_bytes=40, max_bad="1")
    assert receipts(tmp_path / "out") == ["00000"]
    assert [row["line"] for row in rows_of(tmp_path / "out/_tofner/bad/00001.jsonl")] == [3]
    with pytest.raises(BadData, match="3 bad of 6 records"):
        run(model, records_, tmp_path / "out", shard_bytes=40, max_bad="2")
    assert receipts(tmp_path / "out") == ["00000", "00001"], "what the first run found counts in the second"
    report = run(model, records_, tmp_path / "out", shard_bytes=40, max_bad="3")
    assert (report.complete, report.counts.records, report.counts.bad) == (True, 3, 3)


def test_a_share_of_few_records_is_judged_at_the_end(model: str, records_: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"3 bad of 6 records .*at most 49%"):
        run(model, records_, tmp_path / "out", shard_bytes=40, max_bad="49%")
    assert len(receipts(tmp_path / "out")) == 3
    assert run(model, records_, tmp_path / "out", shard_bytes=40, max_bad="50%").complete


def test_statistics_are_sums_over_the_outputs(model: str, tagger: Tagger, tmp_path: Path) -> None:
    texts = [f"Obama met Merkel {i} times in New York" for i in range(30)] + ["Madrid " + "x" * 200, ""]
    path, out = tmp_path / "in.jsonl", tmp_path / "out"
    rows = [{"text": text, **({"entities": []} if i < 3 else {})} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:20]) + "{\n" + "".join(map(dump, rows[20:])))
    for worker in ("1/2", "0/2"):
        report = run(model, path, out, shard_bytes=500, max_bad="1", worker=worker)
    told = json.loads((out / "_tofner/statistics.json").read_text())
    made = [row for part in parts(out) for row in rows_of(part)]
    tokenizer = make_tokenizer()
    pieces = [
        sum(min(30, len(tokenizer.encode(word.text, add_special_tokens=False).ids)) for word in segment(text))
        for text in texts
        if text
    ]
    assert max(pieces) > 30
    windows = [tagger.prepare([to_words(text)]) for text in texts]
    assert {name: told[name] for name in stats.ADDED} == {
        "records": 32, "words": sum(len(segment(text)) for text in texts), "bad": 1, "replaced": 3,
        "passed_on": 0, "comments": 0,
        "windows": sum(one.window_count for one in windows), "pieces": sum(one.pieces for one in windows),
        "cut_words": 1, "bytes": sum(part.stat().st_size for part in parts(out)),
    }  # fmt: skip
    assert sum(one.window_count for one in windows[:30]) == 30
    assert sum(one.pieces for one in windows[:30]) == sum(pieces[:30]) + 2 * 30
    entities = Counter(entity["label"] for row in made for entity in row["entities"])
    assert told["entities"] == dict(sorted(entities.items()))
    assert len(entities) > 1
    assert (told["shards"], told["workers"]) == (report.shards, 2)
    assert report.counts.records == 32
    for number, part in enumerate(parts(out)):
        assert receipt(out, number)["sha256"] == hashlib.sha256(part.read_bytes()).hexdigest()
        assert (receipt(out, number)["output"], receipt(out, number)["bytes"]) == (part.name, part.stat().st_size)
        assert receipt(out, number)["records"] == len(rows_of(part))


def dump(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def test_a_worker_tells_of_its_own_shards(model: str, lines: Path, tmp_path: Path) -> None:
    report = run(model, lines, tmp_path / "out", shard_bytes=16, worker="1/4")
    told = json.loads((tmp_path / "out/_tofner/workers/worker-1-of-4.json").read_text())
    assert (told["worker"], told["records"], told["words"]) == ("1/4", 2, 4)
    assert (report.counts.records, report.complete, report.page) == (2, False, None)
    report = run(model, lines, tmp_path / "out", shard_bytes=16, worker="2/4")
    assert (report.counts.records, report.shards_done, report.shards) == (2, 2, 4)


def test_a_worker_without_shards_names_no_statistics(model: str, lines: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = run(model, lines, out, shard_bytes=16, worker="6/7")
    assert (report.statistics, report.shards_done) == (None, 0)
    for _ in range(2):  # the second time there is nothing left for it
        report = run(model, lines, out, shard_bytes=16, worker="1/7")
        assert json.loads(Path(report.statistics).read_bytes())["records"] == 2


def test_sentences_without_words_are_passed_on(model: str, tmp_path: Path) -> None:
    (tmp_path / "in.conll").write_text("-DOCSTART- O\n\nNew O\nYork O\n\n-DOCSTART- O\n\nAjax O\n")
    report = run(model, tmp_path / "in.conll", tmp_path / "out")
    assert (report.counts.records, report.counts.passed_on, report.counts.words) == (4, 2, 3)


def test_the_page_shows_the_records_of_the_smallest_hashes(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record's hash is the CRC-32 of `shard:number`, its number among the good ones; groups and bad ones do not
    matter."""
    monkeypatch.setattr(read, "GROUP_RECORDS", 7)
    path, out = tmp_path / "in.txt", tmp_path / "out"
    path.write_bytes(b"\xff\n" + b"".join(b"Ajax %03d\n" % i for i in range(120)) + b"\n\n")
    run(model, path, out, max_bad="1", shard_bytes=600)
    per_shard = [receipt(out, n)["records"] for n in range(2)]
    ranks = [[(zlib.crc32(f"{n}:{i}".encode()), n, i) for i in range(count)] for n, count in enumerate(per_shard)]
    before = [0, per_shard[0]]
    texts = [f"Ajax {i:03d}" for i in range(120)] + ["", ""]
    for n in range(2):
        best = [(rank, texts[before[n] + i]) for rank, _, i in sorted(ranks[n]) if texts[before[n] + i]][:20]
        assert [(row["rank"], row["text"]) for row in receipt(out, n)["samples"]] == best
    both = sorted((row["rank"], row["text"]) for n in range(2) for row in receipt(out, n)["samples"])
    shown = re.findall("<p>(.*?)</p>", (out / "_tofner/sample.html").read_text())
    assert [re.sub("<small>.*?</small>|<[^>]+>", "", row) for row in shown] == [text for _, text in both]
    assert len(shown) == 40


def test_a_sample_of_tokens_is_marked_in_its_joined_text(model: str, tagger: Tagger, tmp_path: Path) -> None:
    tokens = "New York Ajax Madrid Obama".split()
    (tmp_path / "in.jsonl").write_text(json.dumps({"tokens": tokens}) + "\n")
    run(model, tmp_path / "in.jsonl", tmp_path / "out")
    (sample,) = receipt(tmp_path / "out", 0)["samples"]
    (found,) = tagger.tag([tokens])
    assert found
    assert [(sample["text"][a:b], label) for a, b, label, _ in sample["entities"]] == [(e.text, e.label) for e in found]


def test_a_long_sample_is_cut_and_says_so(tmp_path: Path, model: str) -> None:
    (tmp_path / "in.txt").write_text("Ajax " * 399 + "\n" + "Ajax " * 400 + "\n" + "Ajax " * 401 + "\n")
    run(model, tmp_path / "in.txt", tmp_path / "out")
    samples = sorted(receipt(tmp_path / "out", 0)["samples"], key=lambda row: (len(row["text"]), row["cut"]))
    assert [(len(row["text"]), row["cut"]) for row in samples] == [(1995, False), (2000, False), (2000, True)]
    assert all(end <= 2000 for row in samples for _, end, *_ in row["entities"])


def test_a_second_worker_that_finishes_with_the_first_reports_the_same(
    model: str, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other worker joins the parts and removes them while this one is about to; this one sees that all is done."""
    out = tmp_path / "o.jsonl"
    join = finish.join_outputs  # type: ignore[attr-defined]

    def overtaken(parts: list[str], uri: str, *given: Any) -> None:
        storage.put_file(join(parts, uri, *given), uri)
        storage.write_bytes(f"{out}.tofner/complete.json", b'{"shards": 4}')
        raise PassingFault("the parts are gone")

    monkeypatch.setattr(finish, "join_outputs", overtaken)
    assert run(model, lines, out, shard_bytes=16).complete
    monkeypatch.setattr(finish, "join_outputs", join)
    assert len(rows_of(out)) == 8
