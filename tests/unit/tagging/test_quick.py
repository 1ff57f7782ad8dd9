"""Short forms of `tofner tag`, a dry run, and a job's status."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_tagger import publish_tiny
from tofner import cli
from tofner.errors import BadData, BadInput, BadSettings
from tofner.tagging import JobSettings, Tagger, tag_job
from tofner.tagging.formats.streams import MAX_RECORD_BYTES
from tofner.tagging.job.dry import dry_run
from tofner.tagging.job.shards import parse_size
from tofner.tagging.job.status import job_status
from tofner.tagging.quick import arriving, tag_lines, tag_text, wants_colours

TEXT = "Angela Merkel met Obama in New York."
QUIET = JobSettings(quiet=True, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tagger(folder: Path) -> Tagger:
    return Tagger.load(folder, threads=1)


class Pieces:
    """A stream that gives its pieces one by one, as a pipe does."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def read(self, size: int, /) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


def entities(tagger: Tagger, text: str) -> list[dict[str, Any]]:
    return [one.as_record() for one in tagger.tag([text])[0]]


def test_a_text_is_shown_in_brackets_in_colours_or_as_a_record(tagger: Tagger) -> None:
    found = tagger.tag([TEXT])[0]
    assert found
    plain, at = "", 0
    for one in found:
        plain += f"{TEXT[at : one.start]}[{TEXT[one.start : one.end]} {one.label}]"
        at = one.end
    plain += TEXT[at:]
    assert tag_text(tagger, TEXT, as_json=False, colours=False) == plain
    shown = tag_text(tagger, TEXT, as_json=False, colours=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == plain.replace("[", "").replace("]", "")
    assert len({re.search(r"38;5;(\d+)", part)[1] for part in shown.split("\x1b[1;")[1:]}) == len(  # type: ignore[index]
        {one.label for one in found}
    )
    record = tag_text(tagger, TEXT, as_json=True, colours=True)
    assert json.loads(record) == {"text": TEXT, "entities": entities(tagger, TEXT)}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("screen", "variables", "colours"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals(
    screen: io.StringIO, variables: dict[str, str], colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wants_colours(screen) is colours


def test_lines_are_answered_as_they_come(tagger: Tagger) -> None:
    target = io.BytesIO()
    seen: list[int] = []

    class Slow(Pieces):
        def read(self, size: int, /) -> bytes:
            seen.append(target.getvalue().count(b"\n"))
            return super().read(size)

    given = Slow("\ufeffAjax\r\nNew Yo".encode(), b"rk\n\n", b"Obama in Berlin")
    assert tag_lines(tagger, given, target) == 4
    assert seen == [0, 1, 3, 3, 4][: len(seen)]
    rows = [json.loads(line) for line in target.getvalue().splitlines()]
    texts = ["Ajax", "New York", "", "Obama in Berlin"]
    assert rows == [{"text": text, "entities": entities(tagger, text)} for text in texts]


def test_records_of_stdin_keep_their_fields(tagger: Tagger) -> None:
    target = io.BytesIO()
    lines = b'{"id": 1.50, "text": "Ajax"}\n\n{"tokens": ["New", "York"], "x": null}\n'
    assert tag_lines(tagger, Pieces(lines), target, jsonl=True) == 2
    first, second = target.getvalue().splitlines()
    assert first.startswith(b'{"id": 1.50, "text": "Ajax", "entities": [')
    assert second.startswith(b'{"tokens": ["New", "York"], "x": null, "entities": [')
    spans = [one.as_record(of_tokens=True) for one in tagger.tag([["New", "York"]])[0]]
    assert json.loads(second)["entities"] == spans


def test_bad_lines_are_told_with_their_numbers(tagger: Tagger, capsys: pytest.CaptureFixture[str]) -> None:
    target = io.BytesIO()
    long = b"x" * (MAX_RECORD_BYTES + 1)
    pieces = Pieces(b"Ajax\n\xff\n", long[: len(long) // 2], long[len(long) // 2 :], b"more\nMadrid\n")
    with pytest.raises(BadData, match=r"2 bad of 4 records \(stdin:2: byte 0 \(0xff\).*; expected at most 25%"):
        tag_lines(tagger, pieces, target, max_bad="25%")
    assert [json.loads(line)["text"] for line in target.getvalue().splitlines()] == ["Ajax", "Madrid"]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "tofner: stdin:2: byte 0 (0xff) is not UTF-8"
    assert said[1] == f"tofner: stdin:3: a line of more than {MAX_RECORD_BYTES} bytes"
    assert tag_lines(tagger, Pieces(b"Ajax\n\xff\n"), io.BytesIO(), max_bad="1") == 1


@pytest.mark.parametrize("data", [b"", b"a", b"a\n", b"\n\n", b"a\r\nb\n\nc", b"\xef\xbb\xbfa\nb"])
def test_lines_do_not_depend_on_how_they_come(data: bytes) -> None:
    whole = [line.removesuffix(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    if not whole[-1]:
        whole.pop()
    found = [one for lines in arriving(Pieces(*(data[i : i + 1] for i in range(len(data))))) for one in lines]
    assert found == list(enumerate(whole))


def tofner(*arguments: str, text: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tofner.cli", *arguments]
    environment = {**os.environ, "TOFNER_CACHE": "/nonexistent", **variables}
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.integration
def test_the_command_tags_a_text_and_stdin(folder: Path, tagger: Tagger) -> None:
    said = tofner("tag", str(folder), TEXT, "--json")
    assert (said.returncode, said.stderr) == (0, "")
    assert json.loads(said.stdout) == {"text": TEXT, "entities": entities(tagger, TEXT)}
    said = tofner("tag", "--model", str(folder), "-", text="Ajax\nMadrid\n")
    assert (said.returncode, said.stderr) == (0, "")
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert rows == [{"text": text, "entities": entities(tagger, text)} for text in ("Ajax", "Madrid")]
    program = f"{sys.executable} -m tofner.cli tag {folder} - | head -n 1; exit ${{PIPESTATUS[0]}}"
    lines = "Ajax\n" * 10_000
    said = subprocess.run(["bash", "-c", program], input=lines, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (141, "")
    assert json.loads(said.stdout)["text"] == "Ajax"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tag"], "no --model, --input, --output"),
        (["tag", "--model", "m", "--input", "x"], "found no --output; expected --model, --input and --output"),
        (["tag", "m", "--model", "n", "text"], "a MODEL and --model"),
        (["tag", "m", "text", "--output", "x"], "a TEXT beside --input, --output, --prometheus or --dry-run"),
        (["tag", "m", "text", "--format", "conll"], "--format: found conll; expected text"),
        (
            ["tag", "m", "--input", "x", "--output", "y", "--shard-size", "0"],
            "--shard-size: found '0'; expected a size",
        ),
        (["status", "nowhere"], "nowhere: found no plan of a tagging job"),
    ],
)
def test_what_does_not_go_together_is_told(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli, "add_commands", lambda app: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "bytes_"), [("1", 1), ("4096", 4096), ("8M", 8 << 20), ("2 KiB", 2048), ("1.5g", 3 << 29), ("7 b", 7)]
)
def test_sizes(text: str, bytes_: int) -> None:
    assert parse_size(text) == bytes_


@pytest.mark.parametrize("text", ["", "0", "-1", "8T", "M", "1e6", "0.2"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadSettings, match="--shard-size"):
        parse_size(text)


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    rows = [json.dumps({"id": i, "text": f"Merkel met Obama {i} in New York"}) for i in range(400)]
    (source / "a.jsonl").write_text("\n".join(rows) + "\n")
    (source / "b.txt").write_text("Ajax in Madrid\n" * 100)
    with gzip.open(source / "c.conll.gz", "wt") as file:
        file.write("Ajax O\nin O\nMadrid O\n\n" * 100)
    return source


def files_below(path: Path) -> set[Path]:
    return set(path.rglob("*"))


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(folder: Path, posts: Path, tmp_path: Path) -> None:
    before = files_below(tmp_path)
    ticks = iter(float(i) for i in range(100))  # each sample takes a second
    out = tmp_path / "out"
    found = dry_run(str(folder), str(posts), str(out), QUIET, lambda: next(ticks))
    assert files_below(tmp_path) == before
    assert found.files == {"conll": 1, "jsonl": 1, "text": 1}
    assert found.bytes == sum(path.stat().st_size for path in posts.iterdir())
    assert (found.records, found.exact, found.shards, found.shards_done) == (600, True, 3, 0)
    assert found.types == ["LOC", "ORG", "PER"]
    assert found.seconds == 12.0  # 150 records were tagged in 3 s
    tag_job(str(folder), str(posts), str(out), QUIET)
    written = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    assert found.output_bytes == pytest.approx(written, rel=0.5)
    assert found.lines()[1].startswith("input: 3 files (1 conll, 1 jsonl, 1 text), ")
    again = dry_run(str(folder), str(posts), str(out), QUIET)
    assert (again.shards_done, again.seconds) == (3, 0.0)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_dry_run_of_much_is_an_estimate(suffix: str, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / f"big.jsonl{suffix}"
    with (gzip.open if suffix else open)(source, "wt") as file:
        file.writelines(json.dumps({"text": f"Ajax {i:06d}"}) + "\n" for i in range(60_000))
    found = dry_run(str(folder), str(source), str(tmp_path / "o.jsonl"), JobSettings(shard_bytes=400_000, threads=1))
    assert not found.exact
    assert found.records == pytest.approx(60_000, rel=0.1)
    assert f"about {found.records:,} records" in found.lines()[1]
    assert found.shards == (1 if suffix else -(-source.stat().st_size // 400_000))


def test_a_dry_run_refuses_what_the_job_would(folder: Path, posts: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nowhere"):
        dry_run(str(folder), str(tmp_path / "nowhere"), str(tmp_path / "out"), QUIET)
    tag_job(str(folder), str(posts), str(tmp_path / "out"), QUIET)
    with pytest.raises(BadInput, match="the plan of another job"):
        dry_run(str(folder), str(posts / "b.txt"), str(tmp_path / "out"), QUIET)


def test_status_follows_the_books(folder: Path, posts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (posts / "a.jsonl").write_text((posts / "a.jsonl").read_text() + "{\n")
    given: dict[str, Any] = {"quiet": True, "threads": 1, "max_bad": "1", "shard_bytes": 8000}
    tag_job(str(folder), str(posts), str(out), worker="0/2", **given)
    plan = json.loads((out / "_tofner/plan.json").read_text())
    half = job_status(str(out) + "/")
    assert (half.finished, half.shards, half.shards_done) == (False, plan["shards"], (plan["shards"] + 1) // 2)
    receipts = [json.loads(path.read_text()) for path in (out / "_tofner/shards").iterdir()]
    assert half.records == sum(one["records"] for one in receipts)
    tag_job(str(folder), str(posts), str(out), worker="1/2", **given)
    whole = job_status(str(out))
    assert (whole.finished, whole.records, whole.bad, whole.shards_begun) == (True, 600, 1, 0)
    statistics = json.loads((out / "_tofner/statistics.json").read_text())
    assert whole.entities == statistics["entities"]
    slowest = max(json.loads(path.read_text())["seconds"] for path in (out / "_tofner/workers").iterdir())
    assert whole.seconds == slowest
    assert whole.records_per_s == round(600 / slowest, 1)
    assert Path(str(whole.dead_letters)).is_file()


def test_records_a_second_of_an_unfinished_job_are_by_the_times_of_its_books(
    folder: Path, posts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tag_job(str(folder), str(posts), str(out), worker="0/2", **{"quiet": True, "threads": 1})
    books = out / "_tofner"
    os.utime(books / "plan.json", (1000.0, 1000.0))
    for seconds, path in enumerate(sorted((books / "shards").iterdir())):
        os.utime(path, (1010.0 + 15 * seconds,) * 2)
    found = job_status(str(out))
    assert (found.seconds, found.records_per_s) == (25.0, 20.0)  # shards 0 and 2: 400 and 100 records
    assert "500 records, 20 records/s over 25 s" in found.lines()


def test_segments_of_a_shard_that_is_not_done_count(folder: Path, tmp_path: Path) -> None:
    """A job that dies in its second segment has kept the first."""
    rows = [json.dumps({"text": "Ajax", "pad": "x" * 4000}) for _ in range(800)]
    (tmp_path / "in.jsonl").write_text("\n".join(rows[:700]) + "\n{\n" * 90)
    out = tmp_path / "out.jsonl"
    with pytest.raises(BadData, match="--max-bad"):
        tag_job(str(folder), str(tmp_path / "in.jsonl"), str(out), QUIET, max_bad="0")
    segment = json.loads(Path(f"{out}.tofner/segments/00000/00000.json").read_text())
    found = job_status(str(out))
    assert (found.shards_done, found.shards_begun, found.finished) == (0, 1, False)
    assert found.records == segment["counts"]["records"] > 0
