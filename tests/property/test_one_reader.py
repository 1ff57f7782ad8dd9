"""A column file has the same words in training and in tagging, however it is laid out."""

import json
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tiny_tagger import publish_tiny
from tofner.corpora import conll
from tofner.tagging import Tagger, tag_job

WORDS = ["New", "#", "#tag", "10\u00a0000", "-DOCSTART-x", "\u200b", "1", "Ajax", "\u3000x", "a\u2028b", "O"]
COMMENTS = ["# id 12 domain=en", "# text = Angela met Obama .", "# newdoc", "#begin document (x); part 000"]
GAPS = ["\n", " \n", "\u00a0\n", "\u3000\n", "\t\n", "\n\n", "-DOCSTART- -X- O O\n", "\n-DOCSTART- -X- O O\n\n"]


@cache
def model() -> str:
    return str(publish_tiny(Path(tempfile.mkdtemp(prefix="tofner-tiny-"))))


@cache
def tagger() -> Tagger:
    return Tagger.load(model(), threads=1)


@st.composite
def column_files(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """A column file and its sentences."""
    tab = draw(st.booleans())
    words = st.sampled_from([*WORDS, "New York", "# 1"] if tab else WORDS)
    between = draw(st.sampled_from([[], ["NN"], ["NN", "_"]]))
    comments = st.sampled_from([None, None, *COMMENTS])
    text, sentences = draw(st.sampled_from(["", "\ufeff"])), []
    for _ in range(draw(st.integers(1, 6))):
        sentence = draw(st.lists(words, min_size=1, max_size=5))
        for word in sentence:
            if comment := draw(comments):
                text += f"{comment}\n"
            tag = draw(st.sampled_from(["O", "B-PER"]))
            text += ("\t" if tab else draw(st.sampled_from([" ", "  "]))).join([word, *between, tag]) + "\n"
        text += draw(st.sampled_from(GAPS))
        sentences.append(sentence)
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text, sentences


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(column_files(), st.integers(10, 400))
def test_training_and_tagging_read_the_same_words(made: tuple[str, list[list[str]]], size: int) -> None:
    text, sentences = made
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "in.conll")
        path.write_bytes(text.encode())
        read = conll.read(str(path))
        assert [sentence.tokens for sentence in read.sentences] == sentences
        tag_job(model(), str(path), f"{scratch}/out.jsonl", threads=1, quiet=True, shard_bytes=size)
        rows = [json.loads(line) for line in Path(scratch, "out.jsonl").read_text(encoding="utf-8").split("\n") if line]
        assert [row["tokens"] for row in rows] == sentences
        expected = [[entity.as_record(True) for entity in row] for row in tagger().tag(sentences)]
        assert [row["entities"] for row in rows] == expected
        report = tag_job(model(), str(path), f"{scratch}/again", threads=1, quiet=True)
        assert report.counts.comments == read.comments
        # What comes out is a column file again: the same words, and the found tags in place of the old ones.
        again = conll.read(f"{scratch}/again/in.conll")
        assert [sentence.tokens for sentence in again.sentences] == sentences
        assert again.comments == read.comments
        assert again.docstarts == read.docstarts
        assert again.columns == read.columns + 1
