"""Word-by-word translation by a dictionary in the format of MUSE (Conneau et al., 2017): the source in the target's
language (paper, footnote 2).

    the el
    the la

A line is a word and a translation, with a space or a tab between; a word with several has several lines. Each word of a
text becomes one word, so tags and answers stay where they were. Words that the dictionary lacks stay as they are, and
so does what has no letter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tofner.corpora import textfile
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.textfile import Problems
from tofner.words.offsets import Offsets
from tofner.words.segment import segment

Choose = Literal["first", "other"]
LISTED_PHRASES = 5
LINE = "a word and its translation, with a space or a tab between"


@dataclass
class Dictionary:
    """A read file: of each word its translations, in the order of the lines.

    `phrases` are the lines with an entry of several words, which cannot be used word by word and are left out.
    """

    uri: str
    words: dict[str, list[str]] = field(default_factory=dict)
    pairs: int = 0
    phrases: list[int] = field(default_factory=list)
    problems: Problems = field(default_factory=lambda: Problems(""))

    def told(self) -> list[str]:
        """What a person should know of the file."""
        if not self.phrases:
            return []
        places = ", ".join(map(str, self.phrases[:LISTED_PHRASES]))
        more = ", ..." if len(self.phrases) > LISTED_PHRASES else ""
        number = len(self.phrases)
        what = "1 entry of several words is" if number == 1 else f"{number} entries of several words are"
        return [f"{self.uri}: {what} left out (line{'s' if number > 1 else ''} {places}{more})"]


@dataclass
class Counts:
    """Words of a text by what became of them: `translated`, kept because the dictionary lacks them (`unknown`), kept
    because they have no letter (`marks`)."""

    translated: int = 0
    unknown: int = 0
    marks: int = 0

    @property
    def total(self) -> int:
        return self.translated + self.unknown + self.marks


def read(uri: str) -> Dictionary:
    """Read `.txt[.gz]` from a folder or bucket.

    Raises:
        BadData: lines that are no pair, no pair at all, ...; lists the places.
        BadInput: there is no such file, or it may not be read.
    """
    dictionary = scan(uri)
    dictionary.problems.raise_any()
    return dictionary


def scan(uri: str) -> Dictionary:
    """As `read`, with the problems gathered in `.problems` rather than raised."""
    return parse(textfile.read_file(uri), uri)


def parse(data: bytes, uri: str) -> Dictionary:
    """As `scan`, from the content of the file.

    Only with a tab between can a side have several words: in `New York Nueva York` nobody knows where the translation
    begins, so such a line is a problem.
    """
    found = Dictionary(uri, problems=Problems(uri))
    text, _ = textfile.decode(data, found.problems, "utf-8")
    for number, line in enumerate(textfile.lines(text), start=1):
        sides = [side.strip() for side in line.split("\t" if "\t" in line else " ")]
        sides = [side for side in sides if side]
        if not sides:
            continue
        control = textfile.control_character(line, spaces_too=False)
        if control and not textfile.is_c1(control):
            found.problems.add(f"control character {control}", LINE, "take it out", number)
        elif len(sides) != 2:
            words = "1 word" if len(sides) == 1 else f"{len(sides)} words"
            fix = "take the line out, or put a tab between the two sides if they have several words"
            found.problems.add(words, LINE, fix, number)
        elif any(character.isspace() for side in sides for character in side):
            found.phrases.append(number)
        else:
            found.words.setdefault(sides[0], []).append(sides[1])
            found.pairs += 1
    if not found.pairs and not found.problems.count:
        found.problems.add("no pair of words", LINE, "give the dictionary its words")
    return found


class Translator:
    """Translates by a dictionary, and counts in `counts` what became of each word.

    Args:
        choose: which translation of a word with several: the `first`, or the first that is another word than the
            one to translate (`other`), where there is one.
    """

    def __init__(self, dictionary: Dictionary, choose: Choose = "first") -> None:
        self.dictionary = dictionary
        self.choose = choose
        self.counts = Counts()
        self._known: dict[str, str | None] = {}

    def word(self, word: str) -> str:
        """One word, in the letters' case that it had: `Aa` and `AA` stay so, other ones get the dictionary's.

        It is looked up as it is written, else in small letters.
        """
        if not any(map(str.isalpha, word)):
            self.counts.marks += 1
            return word
        if word not in self._known:
            self._known[word] = self._look_up(word)
        found = self._known[word]
        if found is None:
            self.counts.unknown += 1
            return word
        self.counts.translated += 1
        return found

    def _look_up(self, word: str) -> str | None:
        words = self.dictionary.words
        choices = words.get(word) or words.get(word.lower())
        if not choices:
            return None
        others = [one for one in choices if one.lower() != word.lower()]
        chosen = others[0] if others and self.choose == "other" else choices[0]
        return in_case_of(word, chosen)

    def words(self, tokens: Sequence[str]) -> list[str]:
        """As many words as `tokens`."""
        return [self.word(token) for token in tokens]

    def text(self, text: str, words: Sequence[Offsets] | None = None) -> tuple[str, list[Offsets], list[Offsets]]:
        """A text word by word; what stands between the words stays.

        Args:
            words: where they stand, rising and without overlap; None for those of `segment`.

        Returns:
            The translated text; where its words stood before; where they stand now, as many.
        """
        before = [(word.start, word.end) for word in segment(text)] if words is None else list(words)
        after: list[Offsets] = []
        pieces: list[str] = []
        at = done = 0
        for start, end in before:
            between, new = text[done:start], self.word(text[start:end])
            at += len(between)
            after.append((at, at + len(new)))
            pieces += [between, new]
            at, done = at + len(new), end
        return "".join([*pieces, text[done:]]), before, after

    def sentences(self, sentences: Iterable[Sentence], language: str) -> list[Sentence]:
        """Labelled sentences, tag by tag as they were; `language` becomes part of their ids."""
        return [Sentence(f"{one.id}~{language}", self.words(one.tokens), one.tags) for one in sentences]

    def questions(self, examples: Iterable[MrcExample], language: str) -> list[MrcExample]:
        """Questions and their contexts; answers are the same words. A context of several questions, if these have it
        from one list of words, is translated and counted once."""
        contexts: dict[
            int, tuple[list[str], list[str]]
        ] = {}  # with the words themselves, so that their id stays theirs
        found = []
        for one in examples:
            known = contexts.get(id(one.tokens))
            if known is None:
                known = contexts[id(one.tokens)] = (one.tokens, self.words(one.tokens))
            query, _, _ = self.text(one.query)
            found.append(MrcExample(f"{one.id}~{language}", query, known[1], one.starts, one.ends))
        return found


def in_case_of(word: str, translation: str) -> str:
    """The translation with the case of the word's letters, where these are all capitals or begin with the only one.

    A single capital counts as a beginning.

    >>> in_case_of("The", "el"), in_case_of("THE", "el"), in_case_of("the", "el"), in_case_of("I", "yo")
    ('El', 'EL', 'el', 'Yo')
    """
    letters = [character for character in word if character.isalpha()]
    if len(letters) > 1 and all(map(str.isupper, letters)):
        return translation.upper()
    if letters and letters[0].isupper() and not any(map(str.isupper, letters[1:])):
        return translation[0].upper() + translation[1:]
    return translation
