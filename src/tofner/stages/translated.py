"""The source in the target's language, made word by word by `prepare` where a run has a dictionary."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

from tofner.corpora import data_root, translate
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.translate import Counts, Translator
from tofner.errors import BadData, Problem
from tofner.stages import sets
from tofner.stages.config import TYPED, Translating
from tofner.stages.work import Report


def translate_source(
    root: str,
    config: Translating,
    ready: Sequence[str],
    report: Report,
    ner: dict[str, list[Sentence]],
    typed: dict[str, list[Sentence]],
    mrc: dict[str, list[MrcExample]],
) -> None:
    """Add what is asked for: `translated_ner`, the same with the types of the questions where there are such,
    `translated_ner_dev` and `translated_mrc`.

    Args:
        ready: sets of source sentences that came translated; no other ones are made then.

    Raises:
        BadData: the dictionary is not there or wrong, or has none of the words.
    """
    source = _Source(root, config, report)
    sentences = "ner" in config.data or "ner_as_mrc" in config.data
    if sentences and ready:
        report.notes.append(f"source sentences come translated: {', '.join(ready)}, not word by word")
    elif sentences:
        ner["translated_ner"] = source.sentences("translated_ner", ner["source_ner"], "source_ner")
    if config.dev:
        ner["translated_ner_dev"] = source.sentences("translated_ner_dev", ner["source_ner_dev"], "source_ner_dev")
    if "mrc" in config.data:
        mrc["translated_mrc"] = source.questions("translated_mrc", mrc["source_mrc"])
    source.end()
    if typed and "ner_as_mrc" in config.data and not ready:
        typed[f"translated_ner{TYPED}"] = source.again(typed[f"source_ner{TYPED}"])


class _Source:
    """Translates what a run has of the source, and says so in its report: a row a corpus, the words that are translated
    or kept, entries of the dictionary that are left out."""

    def __init__(self, root: str, config: Translating, report: Report) -> None:
        assert config.dictionary is not None
        self.name, self.language, self.report = config.dictionary, config.language, report
        self.dictionary = translate.read(data_root.locate_dictionary(root, config.dictionary))
        self.translator = Translator(self.dictionary, cast(Literal["first", "other"], config.choose))
        report.notes += self.dictionary.told()

    def sentences(self, part: str, sentences: Sequence[Sentence], made_of: str) -> list[Sentence]:
        """Labelled sentences."""
        before = replace(self.translator.counts)
        found = self.translator.sentences(sentences, self.language)
        self._row(sets.sentences_row(part, self._made_of(made_of), found, self._since(before)))
        return found

    def questions(self, part: str, examples: Sequence[MrcExample]) -> list[MrcExample]:
        """Questions with their contexts."""
        before = replace(self.translator.counts)
        found = self.translator.questions(examples, self.language)
        self._row(sets.examples_row(part, self._made_of("source_mrc"), found, self._since(before)))
        return found

    def end(self) -> None:
        """Tells of all that was translated.

        Raises:
            BadData: the dictionary has none of the words.
        """
        counts = self.translator.counts
        words = counts.translated + counts.unknown
        if words and not counts.translated:
            expected = "a dictionary from the source's language to the target's"
            raise BadData(Problem(self.dictionary.uri, f"none of the source's {words} words", expected))
        self.report.counts |= _named(counts)
        if words:
            share = f"{100 * counts.translated / words:.1f} % of {words} words are in it, the others stay as they are"
            self.report.notes.append(f"translated word by word with dictionary {self.name}: {share}")

    def again(self, sentences: Sequence[Sentence]) -> list[Sentence]:
        """Sentences that have been translated with other tags: nothing is said of them."""
        return self.translator.sentences(sentences, self.language)

    def _made_of(self, part: str) -> str:
        return f"{part} by {self.name}"

    def _row(self, row: sets.Row) -> None:
        self.report.details.setdefault("sets", []).append(row)

    def _since(self, before: Counts) -> dict[str, int]:
        now = self.translator.counts
        return _named(
            Counts(now.translated - before.translated, now.unknown - before.unknown, now.marks - before.marks)
        )


def _named(counts: Counts) -> dict[str, int]:
    kept = {"unknown_words": counts.unknown, "words_without_letters": counts.marks}
    return {"translated_words": counts.translated, **kept}
