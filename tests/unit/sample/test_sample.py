"""The generated sample corpora."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tofner.check.files import RoleFile, run_check
from tofner.corpora import conll, squad
from tofner.sample import generate, microblog
from tofner.sample import news as newswire
from tofner.words.segment import segment
from tofner.words.spans import tags_to_spans

TYPES = ["PER", "ORG", "LOC", "MISC"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    generate.write_sample(path)
    return path


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def names(root: Path, uri: str) -> set[str]:
    sentences = conll.read(str(root / uri)).sentences
    return {" ".join(s.tokens[a:b]).lower() for s in sentences for a, b, _ in tags_to_spans(s.tags or [])}


def test_a_seed_gives_the_same_files(root: Path, tmp_path: Path) -> None:
    generate.write_sample(tmp_path)
    assert files(tmp_path) == files(root)
    generate.write_sample(tmp_path, seed=7)
    assert all(files(tmp_path)[name] != content for name, content in files(root).items())


def test_files_and_sizes(root: Path) -> None:
    sizes = {}
    for name in files(root):
        read = (
            conll.read(str(root / name)).sentences if name.startswith("ner") else squad.read(str(root / name)).examples
        )
        sizes[name.removesuffix(".conll").removesuffix(".json")] = len(read)
    expected = {f"ner/sample-news/{split}": size for split, size in generate.NEWS_SIZES.items()}
    expected |= {f"ner/sample-microblog/{split}": size for split, size in generate.MICROBLOG_SIZES.items()}
    expected |= {f"mrc/sample-{d}-qa/{s}": n for d in ("news", "microblog") for s, n in generate.QA_SIZES.items()}
    assert sizes == expected


def test_the_check_finds_nothing_wrong(root: Path) -> None:
    roles = []
    for name in files(root):
        kind, set_, file = name.split("/")
        roles.append(RoleFile(name, kind, set_, file.split(".")[0], str(root / name), types=TYPES))  # type: ignore[arg-type]
    report = run_check(roles)
    assert not report.problems
    by_name = {row.name: row for row in report.files}
    assert by_name["sample-news/train"].scheme == "IOB1"
    assert by_name["sample-news/train"].docstarts > 50
    assert by_name["sample-microblog/train"].scheme == "BIO2"
    for row in report.files:
        if row.kind == "ner":
            assert min(row.entities.values()) > 25
            assert (row.repaired_tags, row.repeated) == (0, 0)
        else:
            assert (row.widened_answers, row.unanswerable) == (0, 0)


def test_words_are_cut_as_raw_text_would_be(root: Path) -> None:
    for name in files(root):
        if name.startswith("ner"):
            for sentence in conll.read(str(root / name)).sentences:
                assert [word.text for word in segment(" ".join(sentence.tokens))] == sentence.tokens


def test_adjacent_entities_of_one_type_stay_apart(root: Path) -> None:
    fixtures = [s for s in conll.read(str(root / "ner/sample-news/train.conll")).sentences if s.tokens[0] == "Fixtures"]
    assert fixtures
    assert all([span.type for span in tags_to_spans(s.tags or [])] == ["ORG"] * 4 for s in fixtures)


def test_the_target_is_another_domain(root: Path) -> None:
    news, posts = names(root, "ner/sample-news/train.conll"), names(root, "ner/sample-microblog/train.conll")
    tested = names(root, "ner/sample-microblog/test.conll")
    assert len(posts & news) < 0.35 * len(posts)
    assert 0.15 < len(tested - posts) / len(tested) < 0.75
    forms = {form.text for form in newswire.FORMS} & {form.text for form in microblog.FORMS}
    assert not forms


def test_common_words_are_names_only_in_the_right_place(root: Path) -> None:
    uses: Counter[bool] = Counter()
    for sentence in conll.read(str(root / "ner/sample-microblog/train.conll")).sentences:
        text = " ".join(sentence.tokens).lower()
        if "wet paint" in text:
            at = text.split().index("wet")
            uses[(sentence.tags or [])[at] != "O"] += 1
    assert min(uses[True], uses[False]) >= 5


def test_questions_hold_no_answer(root: Path) -> None:
    for path in (root / "mrc").rglob("*.json"):
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    assert "{" not in qa["question"]
                    assert qa["answers"][0]["text"] not in qa["question"]


def test_forms_use_known_slots() -> None:
    for forms, kinds in ((newswire.FORMS, newswire.KINDS), (microblog.FORMS, microblog.KINDS)):
        for form in forms:
            slots = dict(generate._SLOT.findall(form.text))
            assert set(slots.values()) <= set(kinds)
            for slot, question in form.questions.items():
                assert kinds[slots[slot]].type
                assert set(dict(generate._SLOT.findall(question))) <= set(slots) - {slot}
