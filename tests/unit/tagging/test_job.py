"""The batch job on local files: formats, shards, restarts, bad records."""

import gzip
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.cli import app
from tofner.errors import BadInput, PassingFault
from tofner.tagging import Tagger, tag_job
from tofner.tagging.job.shards import Worker
from tofner.words.segment import segment

WORDS = "Angela Merkel met Obama in New York , said Reuters . Größe 漢字 🙂 U.N. Ajax".split()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(publish_tiny(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def tagger(model: str) -> Tagger:
    return Tagger.load(model, threads=1)


def sentences(count: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(0, 30))) for _ in range(count)]


def write_jsonl(path: Path, count: int = 200, bad: tuple[int, ...] = ()) -> Path:
    rows = [json.dumps({"id": i, "text": t}, ensure_ascii=False) for i, t in enumerate(sentences(count))]
    for i in bad:
        rows[i] = '{"id": ' + str(i)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def outputs(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in named.items() if not name.startswith("_tofner/")}


def run(model: str, input: Path | str, output: Path | str, **changes: Any) -> Any:
    return tag_job(model, str(input), str(output), threads=1, quiet=True, **changes)


def read_jsonl(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.split(b"\n") if line]


def test_jsonl_keeps_fields_byte_for_byte(model: str, tagger: Tagger, tmp_path: Path) -> None:
    first = '{"b": 1.50, "a": [1, {"x": "\\u00e9"}], "text": "New York \\ud83d\\ude42 Ajax"  }  '
    (tmp_path / "in.jsonl").write_text(f'{first}\r\n\n{{"tokens": ["New", "York"]}}', encoding="utf-8")
    report = run(model, tmp_path / "in.jsonl", tmp_path / "out")
    lines = (tmp_path / "out/in.jsonl").read_bytes().splitlines()
    assert lines[0].startswith(first.rstrip()[:-1].rstrip().encode() + b', "entities": [')
    text, tokens = (json.loads(line) for line in lines)
    expected = tagger.tag([text["text"], tokens["tokens"]])
    assert text["entities"] == [e.as_record() for e in expected[0]]
    assert tokens["entities"] == [e.as_record(of_tokens=True) for e in expected[1]]
    assert (report.complete, report.counts.records, report.counts.bad) == (True, 2, 0)


def test_plain_text_and_compression(model: str, tmp_path: Path) -> None:
    data = "\n".join(sentences(50)).encode()
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.txt").write_bytes(data)
    (source / "b.txt.gz").write_bytes(gzip.compress(data[:1000]) + gzip.compress(data[1000:]))
    (source / "c.txt.zst").write_bytes(zstandard.compress(data[:99]) + zstandard.compress(data[99:]))
    (source / "_ignored.txt").write_text("x")
    run(model, source, tmp_path / "out")
    out = outputs(tmp_path / "out")
    assert sorted(out) == ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst"]
    assert gzip.decompress(out["b.jsonl.gz"]) == out["a.jsonl"]
    assert zstandard.ZstdDecompressor().decompressobj().decompress(out["c.jsonl.zst"]) == out["a.jsonl"]
    assert [row["text"] for row in read_jsonl(out["a.jsonl"])] == data.decode().split("\n")


def test_conll_adds_a_column(model: str, tagger: Tagger, tmp_path: Path) -> None:
    text = "-DOCSTART- X O\n\nNew NN B-LOC\nYork NN I-LOC\n\n\nAjax NN O\n"
    (tmp_path / "in.conll").write_text(text)
    run(model, tmp_path / "in.conll", tmp_path / "out")
    blocks = (tmp_path / "out/in.conll").read_text().split("\n\n")
    assert blocks[0] == "-DOCSTART- X O O"
    assert [line.rsplit(" ", 1)[0] for line in blocks[1].split("\n")] == ["New NN B-LOC", "York NN I-LOC"]
    tags = [line.rsplit(" ", 1)[1] for line in blocks[1].split("\n")]
    assert (tags != ["O", "O"]) == bool(tagger.tag([["New", "York"]])[0])
    run(model, tmp_path / "in.conll", tmp_path / "out.jsonl")
    assert [row["tokens"] for row in read_jsonl((tmp_path / "out.jsonl").read_bytes())] == [["New", "York"], ["Ajax"]]


def test_conll_comments_and_tabs(model: str, tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text("# id = 1\nNew York\tx\n#\tO\nAjax\tO\n")
    run(model, tmp_path / "in.tsv", tmp_path / "out")
    lines = (tmp_path / "out/in.tsv").read_text().split("\n")
    assert lines[0] == "# id = 1"
    assert [line.split("\t")[:2] for line in lines[1:4]] == [["New York", "x"], ["#", "O"], ["Ajax", "O"]]


def test_parquet(model: str, tagger: Tagger, tmp_path: Path) -> None:
    texts: list[str | None] = [*sentences(3000), None]
    table = pa.table({"n": list(range(3001)), "text": texts, "entities": ["old"] * 3001})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=700)
    run(model, tmp_path / "in.parquet", tmp_path / "whole")
    report = run(model, tmp_path / "in.parquet", tmp_path / "out", shard_bytes=1000)
    assert (report.shards, report.counts.bad, report.counts.replaced) == (5, 1, 3000)
    parts = [pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    got = pa.concat_tables(parts)
    assert got.equals(pq.read_table(tmp_path / "whole/in.parquet"))
    assert got.column("n").to_pylist() == list(range(3000))
    assert got.column("entities").to_pylist()[7] == [e.as_record() for e in tagger.tag(texts[7:8])[0]]  # type: ignore[arg-type]
    (dead,) = read_jsonl((tmp_path / "out/_tofner/dead-letter.jsonl").read_bytes())
    assert (dead["row"], dead["reason"]) == (3000, "`text` is null, not a string")
    run(model, tmp_path / "in.parquet", tmp_path / "one.parquet", shard_bytes=1000)
    assert pq.read_table(tmp_path / "one.parquet").equals(got)


def test_parquet_tokens(model: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"tokens": [["New", "York"], [], ["Ajax", None]]}), tmp_path / "in.parquet")
    run(model, tmp_path / "in.parquet", tmp_path / "out", max_bad="50%")
    assert pq.read_table(tmp_path / "out/in.parquet").column("tokens").to_pylist() == [["New", "York"], []]


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".conll"])
def test_any_number_of_workers_gives_the_same_bytes(model: str, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"in{suffix}"
    if suffix == ".conll":
        blocks = ("\n".join(f"{word}\tO" for word in text.split()) for text in sentences(200) if text)
        path.write_text("\n\n".join(blocks))
    else:
        write_jsonl(path) if suffix == ".jsonl" else path.write_text("\n".join(sentences(200)))
    size = path.stat().st_size // 20
    results = []
    for count in (1, 2, 4, 8):
        out = tmp_path / f"out{count}"
        for i in random.Random(count).sample(range(count), count):
            run(model, path, out, worker=f"{i}/{count}", shard_bytes=size)
        assert (out / "_tofner/complete.json").is_file()
        results.append(outputs(out))
    assert len(results[0]) >= 20
    assert all(result == results[0] for result in results)
    whole = tmp_path / "whole"
    run(model, path, whole)
    (joined,) = outputs(whole).values()
    assert joined == b"".join(results[0][name] for name in sorted(results[0]))


def test_output_file_is_joined(model: str, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl")
    run(model, path, tmp_path / "out")
    for i in (1, 0):
        report = run(model, path, tmp_path / "o.jsonl.gz", worker=f"{i}/2", shard_bytes=2000)
        assert report.complete == (i == 0)
        assert (tmp_path / "o.jsonl.gz").exists() == (i == 0)
    assert gzip.decompress((tmp_path / "o.jsonl.gz").read_bytes()) == (tmp_path / "out/in.jsonl").read_bytes()
    assert not (tmp_path / "o.jsonl.gz.tofner/parts").exists()
    again = run(model, path, tmp_path / "o.jsonl.gz", shard_bytes=2000)
    assert again.complete
    assert again.counts.records == 200


def test_processes_give_the_same_bytes(model: str, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", 60)
    run(model, path, tmp_path / "one", shard_bytes=1000)
    run(model, path, tmp_path / "two", shard_bytes=1000, processes=2)
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")


def test_a_stopped_job_does_only_what_is_missing(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "in.jsonl")
    run(model, path, tmp_path / "whole", shard_bytes=1000)
    original, calls = storage.put_new_file, [0]

    def failing(path: Path, uri: str) -> str | None:
        calls[0] += 1
        if calls[0] == 4:
            raise OSError("out of luck")
        return original(path, uri)

    monkeypatch.setattr(storage, "put_new_file", failing)
    with pytest.raises(PassingFault, match="out of luck"):
        run(model, path, tmp_path / "out", shard_bytes=1000)
    assert len(outputs(tmp_path / "out")) == 3
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.jsonl")}
    report = run(model, path, tmp_path / "out", shard_bytes=1000)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    assert all(p.stat().st_mtime_ns == time for p, time in before.items())
    assert report.counts.records == 200
    assert not (tmp_path / "out/_tofner/tmp").exists()


def test_bad_records_are_put_aside_with_their_lines(model: str, tmp_path: Path) -> None:
    bad = (0, 17, 18, 100, 199)
    path = write_jsonl(tmp_path / "in.jsonl", 200, bad)
    report = run(model, path, tmp_path / "out", max_bad="5", shard_bytes=777)
    rows = read_jsonl((tmp_path / "out/_tofner/dead-letter.jsonl").read_bytes())
    assert [row["line"] for row in rows] == [i + 1 for i in bad]
    assert all(row["file"] == str(path) and "broken JSON" in row["reason"] for row in rows)
    done = [
        row["id"] for name in sorted(outputs(tmp_path / "out")) for row in read_jsonl(outputs(tmp_path / "out")[name])
    ]
    assert done == [i for i in range(200) if i not in bad]
    assert report.dead_letters == str(tmp_path / "out/_tofner/dead-letter.jsonl")
    with pytest.raises(BadInput, match="5 bad of"):
        run(model, path, tmp_path / "out2", max_bad="4", shard_bytes=777)
    with pytest.raises(BadInput, match="at most 1%"):
        run(model, path, tmp_path / "out3", shard_bytes=777)
    report = run(model, path, tmp_path / "out3", shard_bytes=777, max_bad="3%")
    assert outputs(tmp_path / "out3") == outputs(tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]", "JSON list, not an object"),
        (b"null", "JSON null"),
        (b"{}", "neither `text` nor `tokens`"),
        (b'{"text": "a", "tokens": []}', "both"),
        (b'{"text": 5}', "`text` is int"),
        (b'{"tokens": "a b"}', "`tokens` is str"),
        (b'{"tokens": ["a", 1]}', "token 1 is int"),
        (b'{"text": "\\ud800"}', "surrogate"),
        (b'{"tokens": ["a", "x\\udfff"]}', "token 1 has half a surrogate pair at character 1"),
        (b'{"text": "\xff"}', "byte 10 (0xff) is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_reasons(model: str, tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "Ajax"}\n' + line + b"\n")
    run(model, tmp_path / "in.jsonl", tmp_path / "out", max_bad="1")
    (dead,) = read_jsonl((tmp_path / "out/_tofner/dead-letter.jsonl").read_bytes())
    assert reason in dead["reason"]
    assert (dead["line"], dead["bytes"]) == (2, len(line))


def test_a_line_over_the_limit_is_bad_and_not_held(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tofner.tagging.formats.streams.MAX_RECORD_BYTES", 1000)
    long = json.dumps({"text": "x" * 600_000})
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n' + long + '\n{"text": "b"}\n')
    run(model, tmp_path / "in.jsonl", tmp_path / "out", max_bad="1")
    assert [row["text"] for row in read_jsonl((tmp_path / "out/in.jsonl").read_bytes())] == ["a", "b"]


def test_entities_of_the_input_are_replaced_and_counted(model: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "Ajax", "entities": [1], "x": 2}\n')
    assert run(model, tmp_path / "in.jsonl", tmp_path / "out").counts.replaced == 1
    (row,) = read_jsonl((tmp_path / "out/in.jsonl").read_bytes())
    assert list(row) == ["text", "x", "entities"]
    assert row["entities"] != [1]


def truncated_gzip(folder: Path) -> None:
    (folder / "in.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 1000)[:-20])


def truncated_zstd(folder: Path) -> None:
    (folder / "in.jsonl.zst").write_bytes(zstandard.compress(random.Random(0).randbytes(5000))[:-20])


def not_parquet(folder: Path) -> None:
    (folder / "in.parquet").write_bytes(b"no parquet at all")


def other_columns(folder: Path) -> None:
    pq.write_table(pa.table({"words": ["x"]}), folder / "in.parquet")


def numbers_as_text(folder: Path) -> None:
    pq.write_table(pa.table({"text": [1]}), folder / "in.parquet")


def unknown_suffix(folder: Path) -> None:
    (folder / "in.doc").write_text("x")


def same_output_name(folder: Path) -> None:
    (folder / "a.txt").write_text("x")
    (folder / "a.jsonl").write_text("{}")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (truncated_gzip, "broken or cut gz"),
        (truncated_zstd, "broken or cut zst"),
        (not_parquet, "a whole Parquet file"),
        (other_columns, "a column `text` or a column `tokens`"),
        (numbers_as_text, "expected strings"),
        (unknown_suffix, "suffix"),
        (same_output_name, "output name"),
        (lambda folder: None, "no files"),
    ],
)
def test_unusable_inputs(model: str, tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    with pytest.raises(BadInput, match=said):
        run(model, tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists() or outputs(tmp_path / "out") == {}


def test_unusable_settings(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", 3)
    for changes, said in [
        ({"worker": "2/2"}, "i/n"),
        ({"worker": "x"}, "i/n"),
        ({"max_bad": "-1"}, "max-bad"),
        ({"max_bad": "101%"}, "max-bad"),
        ({"format": "xml"}, "--format"),
        ({"processes": 0}, "--processes"),
        ({"shard_bytes": 0}, "--shard-bytes"),
    ]:
        with pytest.raises(BadInput, match=said):
            run(model, path, tmp_path / "out", **changes)
    with pytest.raises(BadInput, match="outside the input"):
        run(model, tmp_path, tmp_path)
    with pytest.raises(BadInput, match="no such file or folder"):
        run(model, tmp_path / "none", tmp_path / "out")
    with pytest.raises(BadInput, match="written as conll"):
        run(model, path, tmp_path / "out.conll")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    with pytest.raises(BadInput, match="TOFNER_WORKERS"):
        run(model, path, tmp_path / "out")
    monkeypatch.setenv("TOFNER_WORKERS", "4")
    assert Worker.parse(None) == Worker(1, 4)
    assert Worker.parse("0/2") == Worker(0, 2)


def test_another_job_is_refused_the_output(model: str, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", 30)
    run(model, path, tmp_path / "out")
    shutil.copy(path, tmp_path / "copy")
    path.write_text(path.read_text() + '{"text": "one more"}\n')
    with pytest.raises(BadInput, match="plan of another job"):
        run(model, path, tmp_path / "out")
    shutil.copy(tmp_path / "copy", path)
    with pytest.raises(BadInput, match="shard_bytes"):
        run(model, path, tmp_path / "out", shard_bytes=500)
    assert run(model, path, tmp_path / "out").complete


def test_globs(model: str, tmp_path: Path) -> None:
    for name in ("a/x.txt", "a/b/y.txt", "z.txt", "a/n.jsonl"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text('{"text": "Ajax"}')
    run(model, f"{tmp_path}/in/**/*.txt", tmp_path / "o1")
    assert sorted(outputs(tmp_path / "o1")) == ["a/b/y.jsonl", "a/x.jsonl", "z.jsonl"]
    run(model, f"{tmp_path}/in/a/*.txt", tmp_path / "o2")
    assert sorted(outputs(tmp_path / "o2")) == ["x.jsonl"]


def test_statistics_and_page(model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("New York <script> & Ajax\n" * 40)
    report = run(model, path, tmp_path / "out")
    stats = json.loads(Path(report.statistics).read_text())
    assert stats["records"] == 40
    assert stats["words"] == 40 * 7
    assert stats["windows"] == 40
    assert sum(stats["entities"].values()) == sum(
        len(row["entities"]) for row in read_jsonl((tmp_path / "out/in.jsonl").read_bytes())
    )
    assert {"load", "read", "prepare", "run", "write"} <= stats["phases"].keys()
    page = Path(report.page).read_text()
    assert "&lt;" in page
    assert "<script" not in page
    assert page.count("<p>") == 20


def test_metrics_are_those_of_the_output_as_prometheus_reads_them(model: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", 50, bad=(3,))
    metrics = tmp_path / "node/tag.prom"
    command = ["tag", "--model", model, "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--max-bad", "1", "--prometheus", str(metrics), "-q"])
    assert done.exit_code == 0, done.output
    families = list(text_string_to_metric_families(metrics.read_text(encoding="utf-8")))
    assert all(one.documentation and one.type == "gauge" for one in families)
    samples = [sample for one in families for sample in one.samples]
    found = {sample.name: sample.value for sample in samples if not sample.labels}
    rows = read_jsonl((tmp_path / "out/in.jsonl").read_bytes())
    types = Counter(entity["label"] for row in rows for entity in row["entities"])
    assert {s.labels["type"]: s.value for s in samples if s.name == "tofner_tag_entities"} == types
    assert types
    size = (tmp_path / "out/in.jsonl").stat().st_size
    words = sum(len(segment(row["text"])) for row in rows)
    expected = {"complete": 1, "shards": 1, "shards_done": 1, "records": 49, "bad_records": 1}
    expected |= {"bytes": size, "words": words}
    assert {name: found[f"tofner_tag_{name}"] for name in expected} == expected
    assert found["tofner_tag_seconds"] > 0


def test_an_empty_file(model: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"")
    assert run(model, tmp_path / "in.jsonl", tmp_path / "out").complete
    assert (tmp_path / "out/in.jsonl").read_bytes() == b""


def test_a_name_with_brackets_that_is_there_is_no_pattern(model: str, tmp_path: Path) -> None:
    for name in ("a[1].txt", "a1.txt"):
        (tmp_path / name).write_text(name)
    run(model, tmp_path / "a[1].txt", tmp_path / "o1")
    assert sorted(outputs(tmp_path / "o1")) == ["a[1].jsonl"]
    (tmp_path / "b[x]").mkdir()
    (tmp_path / "b[x]/y.txt").write_text("y")
    run(model, tmp_path / "b[x]", tmp_path / "o2")
    assert sorted(outputs(tmp_path / "o2")) == ["y.jsonl"]
    (tmp_path / "a[1].txt").unlink()
    run(model, tmp_path / "a[1].txt", tmp_path / "o3")
    assert sorted(outputs(tmp_path / "o3")) == ["a1.jsonl"]


def test_linked_folders_are_read(model: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/x.txt").write_text("x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/a.txt").symlink_to(tmp_path / "elsewhere/deep/x.txt")
    run(model, tmp_path / "in", tmp_path / "out")
    assert sorted(outputs(tmp_path / "out")) == ["a.jsonl", "linked/deep/x.jsonl"]
    (tmp_path / "in/round").symlink_to(tmp_path / "in")
    with pytest.raises(BadInput, match="round: found a link to a folder that holds it"):
        run(model, tmp_path / "in", tmp_path / "out2")
    (tmp_path / "in/round").unlink()
    (tmp_path / "in/gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="gone: found a link to nothing"):
        run(model, tmp_path / "in", tmp_path / "out2")


@pytest.mark.parametrize("name", ["tagged", "all.jsonl"])
def test_an_output_among_the_inputs_is_no_input(model: str, tmp_path: Path, name: str) -> None:
    """So that the same command goes on after a kill."""
    (tmp_path / "in").mkdir()
    write_jsonl(tmp_path / "in/a.jsonl", 40)
    for i in range(2):
        report = run(model, tmp_path / "in", tmp_path / "in" / name, shard_bytes=1000, worker=f"{i}/2")
    assert (report.complete, report.counts.records) == (True, 40)
    again = run(model, tmp_path / "in", tmp_path / "in" / name, shard_bytes=1000)
    assert (again.complete, again.counts.records) == (True, 40)
    (tmp_path / "in/mine").mkdir()
    write_jsonl(tmp_path / "in/mine/b.jsonl", 3)
    with pytest.raises(BadInput, match="an output outside the input"):
        run(model, tmp_path / "in", tmp_path / "in/mine")


def test_the_error_names_the_reason(model: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("{}\n")
    with pytest.raises(
        BadInput, match=r"1 bad of 1 records \(.*in.jsonl:1: neither `text` nor `tokens`; .*00000.jsonl\)"
    ):
        run(model, tmp_path / "in.jsonl", tmp_path / "out")


def test_an_output_that_cannot_be_made_is_told(model: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", 3)
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput) as error:
        run(model, tmp_path / "in.jsonl", tmp_path / "file/out")
    assert "no such file" not in str(error.value)
    assert str(tmp_path / "file/out") in str(error.value)
