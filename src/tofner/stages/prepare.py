"""Reads, checks and converts every corpus to train on (paper, sections 3.3.1, 4.1 and 4.2).

    target_text.parquet    D_t,no   words only: the reader drops target tags unread, so no later stage can meet them
    source_text.parquet    D_s,no   words of the source NER sentences
    source_ner.parquet     D_s,n    and source_ner_dev.parquet; translated_ner.parquet where the role is filled, or the
                                    source is translated word by word (`translated`)
    target_mrc.parquet     D_t,m    and target_mrc_dev.parquet
    source_mrc.parquet     D_s,m    and source_mrc_dev.parquet; translated_mrc.parquet, made of it likewise
    target_ner.parquet     labelled target sentences to train on, where a run has the role: the only target labels here

D_s,nm, source NER as MRC, is made where it is used, by the mrc stage: of source_ner and its kin or, where questions ask
for types that are not the tagger's, of source_ner_typed, source_ner_dev_typed and translated_ner_typed. A file that
would be empty is not written.
"""

from collections.abc import Iterable, Sequence

from tofner.corpora import data_root, read
from tofner.corpora.corpus import write_mrc, write_ner, write_text
from tofner.corpora.data_root import Content
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.halves import halves
from tofner.corpora.labels import map_types, unknown_type
from tofner.errors import BadData, Problem
from tofner.stages import sets
from tofner.stages.config import TYPED, Labelled, PrepareConfig
from tofner.stages.translated import translate_source
from tofner.stages.work import Report, Work


def run(config: PrepareConfig, work: Work) -> Report:
    root = work.uri("data")
    report = Report()
    report.notes += config.notes
    ner = {
        "source_ner": _ner(root, "source_ner", config.source_ner.train, config, report),
        "source_ner_dev": _ner(root, "source_ner_dev", config.source_ner.dev, config, report),
        "translated_ner": _ner(root, "translated_ner", config.translated, config, report),
    }
    typed = _typed(root, config, report) if config.question_types else {}
    translates = config.translate is None or "ner" in config.translate.data
    source_text = ["source_ner", "translated_ner"] if translates else ["source_ner"]
    mrc = {
        "target_mrc": _questions(root, "target_mrc", config.target_mrc.train, report),
        "target_mrc_dev": _questions(root, "target_mrc_dev", config.target_mrc.dev, report),
        "source_mrc": _questions(root, "source_mrc", config.source_mrc.train, report),
        "source_mrc_dev": _questions(root, "source_mrc_dev", config.source_mrc.dev, report),
    }
    if config.translate and config.translate.dictionary:
        translate_source(root, config.translate, config.translated, report, ner, typed, mrc)
    text = {
        "target_text": _words(root, "target_text", config.target_text, report),
        "source_text": [Sentence(s.id, s.tokens) for name in source_text for s in ner[name]],
    }
    own, measuring = _target(root, config, report)
    if not text["target_text"]:
        raise BadData(Problem(root, "no target sentence", "at least one", "check roles.target_text"))
    for name, sentences in text.items():
        write_text(work.output / f"{name}.parquet", sentences)
    for name, sentences in (ner | typed | {"target_ner": own}).items():
        if sentences:
            write_ner(work.output / f"{name}.parquet", sentences)
    for name, examples in mrc.items():
        if examples:
            write_mrc(work.output / f"{name}.parquet", examples)
    parts: dict[str, Sequence[object]] = {**text, **ner, **mrc}
    report.counts.update({name: len(items) for name, items in parts.items() if items})
    report.details["overlaps"] = [
        sets.overlap("source_text", text["source_text"], "target_text", text["target_text"]),
        sets.overlap("source_ner", ner["source_ner"], "source_ner_dev", ner["source_ner_dev"]),
        sets.overlap("target_mrc", mrc["target_mrc"], "target_mrc_dev", mrc["target_mrc_dev"]),
        sets.overlap("source_mrc", mrc["source_mrc"], "source_mrc_dev", mrc["source_mrc_dev"]),
    ]
    if config.target_ner:
        rows = {"target_ner, trained on": own, "target_ner, measured on": measuring}
        shared = [sets.overlap("target_text", text["target_text"], name, part) for name, part in rows.items()]
        report.details["overlaps"] += shared
        report.counts |= {"target_ner": len(own)} if own else {}
        report.notes += target_notes(len(own), len(measuring), shared[1]["shared"], config.target_ner)
    report.summary = (
        f"{len(report.details['sets'])} sets: {len(text['target_text'])} target sentences, {len(ner['source_ner'])} "
        f"labelled source sentences, {sum(map(len, mrc.values()))} questions"
    )
    return report


def _target(root: str, config: PrepareConfig, report: Report) -> tuple[list[Sentence], list[Sentence]]:
    """Labelled target sentences to train on, and those that measure; where all measure, no label is looked at."""
    given = config.target_ner
    if given is None:
        return [], []
    if not given.train_share:
        return [], _words(root, "target_ner", given.sets, Report())  # `gold` tells of these files
    return halves(_ner(root, "target_ner", given.sets, config, report), given.train_share, given.split_seed)


def target_notes(train: int, test: int, known: int, given: Labelled) -> list[str]:
    """What a reader of scores must know: that target labels were trained on, and what the others measure.

    Args:
        known: of those that measure, how many stand in the unlabelled text too.
    """
    notes = []
    if train:
        word = "sentence is" if train == 1 else "sentences are"
        notes.append(f"{train} labelled target {word} trained on (roles.target_ner): this is no zero-resource run")
    if train and test:
        part = f"{100 * given.train_share:g} % train, the others measure (seed {given.split_seed})"
        notes.append(f"roles.target_ner is divided: {part}; {test} sentences measure")
    if known:
        what = (
            f"{known} of the {test} sentences of roles.target_ner that measure also stand in the unlabelled target text"
        )
        notes.append(f"transductive: {what}; such scores do not compare with others")
    return notes


def _typed(root: str, config: PrepareConfig, report: Report) -> dict[str, list[Sentence]]:
    """The source once more, with the types that questions ask for; of its files nothing is said again but drops."""
    said = Report()
    splits = {
        "source_ner": config.source_ner.train,
        "source_ner_dev": config.source_ner.dev,
        "translated_ner": config.translated,
    }
    found = {
        f"{name}{TYPED}": read_labelled(root, name, given, config.question_types, config.question_map, said)
        for name, given in splits.items()
    }
    _count(report, "dropped_entities_of_questions", said.counts.get("dropped_entities", 0))
    return found


def read_labelled(
    root: str, part: str, splits: Iterable[str], types: Sequence[str], label_map: dict[str, str | None], report: Report
) -> list[Sentence]:
    """Labelled sentences of several files with the tagger's types; repairs and dropped entities are counted, and the
    report gets a row a file.

    Raises:
        BadData: a file is wrong or has a type that the tagger does not know.
    """
    sentences: list[Sentence] = []
    for split in splits:
        file = read.read_labelled(_place(root, "ner", split))
        mapped = map_types(file.sentences, label_map, types)
        if mapped.unknown:
            raise BadData(
                [
                    unknown_type(type_, count, file.uri, file.lines[first], types)
                    for type_, (count, first) in sorted(mapped.unknown.items())
                ]
            )
        _count(report, "repaired_tags", file.repaired_tags)
        _count(report, "widened_entities", file.widened)
        _count(report, "dropped_entities", mapped.dropped.total())
        sentences += mapped.sentences
        row = sets.labelled_row(part, split, file, mapped.sentences, mapped.dropped.total())
        report.details.setdefault("sets", []).append(row)
    return sentences


def _ner(root: str, part: str, splits: Iterable[str], config: PrepareConfig, report: Report) -> list[Sentence]:
    return read_labelled(root, part, splits, config.types, config.label_map, report)


def _words(root: str, part: str, splits: Iterable[str], report: Report) -> list[Sentence]:
    sentences: list[Sentence] = []
    for split in splits:
        file = read.read_text(_place(root, "text", split))
        _count(report, "blank_lines", file.blank_lines)
        sentences += file.sentences
        report.details.setdefault("sets", []).append(sets.text_row(part, split, file))
    return sentences


def _questions(root: str, part: str, splits: Iterable[str], report: Report) -> list[MrcExample]:
    examples: list[MrcExample] = []
    for split in splits:
        file = read.read_questions(_place(root, "mrc", split))
        _count(report, "widened_answers", file.widened)
        _count(report, "merged_answers", file.merged)
        examples += file.examples
        report.details.setdefault("sets", []).append(sets.questions_row(part, split, file))
    return examples


def _place(root: str, kind: Content, split: str) -> str:
    return data_root.locate(root, kind, *split.split("/"))


def _count(report: Report, name: str, number: int) -> None:
    if number:
        report.counts[name] = report.counts.get(name, 0) + number
