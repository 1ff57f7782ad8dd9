"""The tagger: texts or token lists in, entities out. The batch job and the service stand on this class.

    words -> pieces -> windows -> batches -> logits of each word's first piece -> tags -> entities

Determinism: a batch holds windows of one length, and what shares a batch is a function of the inputs handed in
together, in their order; it does not depend on threads, on timing or on an earlier kill.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np

from tofner.cores import usable_cores
from tofner.errors import BadModel, Problem
from tofner.model.layout import TAGGER, TOKENIZER, Precision
from tofner.model.published import Model, load_model
from tofner.tagging.engine.batches import plan_batches
from tofner.tagging.engine.result import Result
from tofner.tagging.engine.runner import Runner, quiet_tokenizers
from tofner.tagging.engine.texts import Entity, Source, Words, to_entities, to_words
from tofner.words.features import cut_windows
from tofner.words.pieces import PieceEncoder, Pieces
from tofner.words.scores import best_tags, label_names

BATCH_PIECES = 512  # of one run of the network; more no longer helps, and leaves the cache
BUFFER_PIECES = 32_768  # windows of so many pieces are sorted together, while those before them are computed
STREAM_WORDS = 2_048  # of a stream that are read ahead of what is asked for, twice: one group waits for the next


@dataclass(slots=True, eq=False)
class Prepared:
    """A group of inputs, cut into windows.

    Attributes:
        inputs: the words of each input.
        first_word: words before each input, int64 [inputs + 1]; word indices below count through the whole group.
        windows: ids of each distinct window with its special tokens, int32 [pieces].
        lengths: pieces of each distinct window, int64 [windows].
        owned: for each window the positions of first pieces that it decides, int32.
        owner: for each window the words that these positions tag, int64, same lengths; one row for each repetition.
        window_count: windows before repeated ones were joined.
        cut_words: words that had more pieces than a window holds and were tagged by their first ones.
    """

    inputs: list[Words]
    first_word: np.ndarray
    windows: list[np.ndarray]
    lengths: np.ndarray
    owned: list[np.ndarray]
    owner: list[list[np.ndarray]]
    window_count: int
    cut_words: int

    @property
    def pieces(self) -> int:
        """Pieces to compute."""
        return int(self.lengths.sum())


@dataclass(slots=True, eq=False)
class Tagged:
    """What a group came to: for each input its words, BIO2 tags and their probabilities; and counts."""

    inputs: list[Words]
    tags: list[list[str]]
    probabilities: list[np.ndarray]
    windows: int
    cut_words: int
    pieces: int

    def entities(self) -> list[list[Entity]]:
        """The entities of each input."""
        return [to_entities(*row) for row in zip(self.inputs, self.tags, self.probabilities, strict=True)]


class Tagger:
    """A loaded model.

    >>> tagger = Tagger.load("s3://models/es")          # doctest: +SKIP
    >>> tagger("Merkel met Obama.").entities            # doctest: +SKIP
    [Entity(start=0, end=6, label='PER', score=0.9981, text='Merkel'), ...]
    """

    def __init__(self, model: Model, threads: int | None = None) -> None:
        """
        Args:
            threads: CPU cores to use; default: the affinity mask and cgroup limit of this process.
        """
        quiet_tokenizers()
        self.model = model
        self.threads = threads or usable_cores()
        self.encoder = PieceEncoder.from_file(model.folder / TOKENIZER)
        self.runner = Runner(model)
        self.window_pieces = self.encoder.room(model.max_pieces)
        if not 0 <= model.overlap_pieces <= self.window_pieces // 2:
            found = f"overlap_pieces {model.overlap_pieces} with {self.window_pieces} pieces a window"
            raise BadModel(Problem(str(model.folder / TAGGER), found, "at most half"))
        self.batch_pieces = BATCH_PIECES
        self._pool = ThreadPoolExecutor(self.threads, "tofner-run")
        self._encode_lock = threading.Lock()  # `tokenizers` is thread-safe; the lock keeps one core for the network

    @classmethod
    def load(
        cls,
        uri: str | Path,
        precision: Precision = "fp32",
        threads: int | None = None,
        cache: str | Path | None = None,
    ) -> "Tagger":
        """Load a published model: a version folder or model root, local or `s3://`.

        Raises:
            BadModel: the folder is not a published model.
            PassingFault: storage could not be reached.
        """
        return cls(load_model(uri, precision, cache), threads)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.model.labels

    @overload
    def __call__(self, texts: str) -> Result: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, texts: Iterator[str]) -> Iterator[Result]: ...
    @overload
    def __call__(self, texts: Sequence[str]) -> list[Result]: ...
    def __call__(self, texts: Any) -> Any:
        """Tag one text, a list of texts, or a stream of them.

        An iterator gives an iterator, which reads a few thousand words ahead: a stream may be longer than memory.
        Nothing is cut off in any form: a long text is read in overlapping windows.

        Raises:
            TypeError: anything but text; words that are cut already go to `tag`.
        """
        if isinstance(texts, str):
            return next(self._stream(iter([texts])))
        _check_texts(texts, "a text, a list of texts or an iterator of texts")
        found = self._stream(iter(texts))
        return list(found) if hasattr(texts, "__len__") else found

    def _stream(self, texts: Iterator[str]) -> Iterator[Result]:
        types = self.model.types
        for group in self.tag_groups(self._groups(_only_texts(texts), STREAM_WORDS)):
            for words, entities in zip(group.inputs, group.entities(), strict=True):
                yield Result(words.text or "", entities, types)

    def tag(self, sources: Iterable[Source]) -> list[list[Entity]]:
        """The entities of each text (character offsets) or token list (token offsets), in order.

        Nothing is cut off: a long text is read in overlapping windows.

        Raises:
            TypeError: one text, or something that is no text.
        """
        if isinstance(sources, str):
            raise TypeError("found one str, expected a list of texts; call the tagger, tagger(text), or tag([text])")
        _check_texts(sources, "a list of texts, or of lists of words")
        return [row for group in self.tag_groups(self._groups(sources)) for row in group.entities()]

    def words(self, source: Source) -> Words:
        """A text cut into words as the model's training text was; tokens as they are."""
        return to_words(source, self.model.segmentation)

    def _groups(self, sources: Iterable[Source], most: int = BUFFER_PIECES // 2) -> Iterator[list[Words]]:
        """Sources in groups of about `most` words; a text without words counts too, or a stream of them had no end."""
        group: list[Words] = []
        size = 0
        for number, source in enumerate(sources):
            _check_source(number, source)
            words = self.words(source)
            group.append(words)
            size += max(1, len(words.words))
            if size >= most:
                yield group
                group, size = [], 0
        if group:
            yield group

    def tag_groups(self, groups: Iterable[Sequence[Words]]) -> Iterator[Tagged]:
        """Tag groups of inputs; the network works on one group while the next is being prepared."""
        waiting: list[tuple[Prepared, list[Future[Answer]]]] = []
        for group in groups:
            waiting.append(self.start(self.prepare(group)))
            if len(waiting) > 1:
                yield self.finish(*waiting.pop(0))
        for started in waiting:
            yield self.finish(*started)

    def tag_group(self, group: Sequence[Words]) -> list[list[Entity]]:
        """The entities of one group of inputs; may be called from many threads at once."""
        return self.finish(*self.start(self.prepare(group))).entities()

    def prepare(self, inputs: Sequence[Words]) -> Prepared:
        """Pieces and windows of a group of inputs. Equal windows are joined: they are computed once."""
        return self.cut(inputs, self.encode(inputs))

    def encode(self, inputs: Sequence[Words]) -> list[Pieces]:
        """Pieces of each input."""
        with self._encode_lock:
            return self.encoder.encode([words.words for words in inputs], self.window_pieces)

    def cut(self, inputs: Sequence[Words], encoded: Sequence[Pieces]) -> Prepared:
        """Windows of a group of inputs, from what `encode` made of them."""
        sizes = [len(words.words) for words in inputs]
        first_word = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        seen: dict[tuple[bytes, bytes], int] = {}
        windows: list[np.ndarray] = []
        owned: list[np.ndarray] = []
        owner: list[list[np.ndarray]] = []
        count = 0
        bases = first_word.tolist()
        for one in cut_windows(self.encoder, encoded, self.model.max_pieces, self.model.overlap_pieces):
            count += 1
            base, first = bases[one.sentence], one.owned
            words = np.arange(base + one.window.own_start, base + one.window.own_end)
            key = (one.ids.tobytes(), first.tobytes())
            at = seen.setdefault(key, len(windows))
            if at == len(windows):
                windows.append(one.ids)
                owned.append(first)
                owner.append([words])
            else:
                owner[at].append(words)
        cut = sum(pieces.cut_words for pieces in encoded)
        lengths = np.asarray([ids.size for ids in windows], np.int64)
        return Prepared(list(inputs), first_word, windows, lengths, owned, owner, count, cut)

    def start(self, prepared: Prepared) -> "tuple[Prepared, list[Future[Answer]]]":
        """Hand a group's batches to the network's threads; `finish` waits for them."""
        return prepared, [self._pool.submit(self.run, prepared, batch) for batch in self.batches(prepared)]

    def batches(self, prepared: Prepared) -> list[np.ndarray]:
        """Which windows of a group run together."""
        return list(plan_batches(prepared.lengths, self.batch_pieces))

    def run(self, prepared: Prepared, batch: np.ndarray) -> "Answer":
        """What the network says of one batch."""
        ids = np.stack([prepared.windows[i] for i in batch.tolist()]).astype(np.int64)
        wanted = np.zeros(ids.shape, bool)
        for row, i in enumerate(batch.tolist()):
            wanted[row, prepared.owned[i]] = True
        tags, probabilities = best_tags(self.runner.run(ids, wanted))
        return Answer(batch, tags, probabilities)

    def finish(self, prepared: Prepared, futures: "list[Future[Answer]]") -> Tagged:
        """Collect the answers and put them back in input order."""
        return self.collect(prepared, (future.result() for future in futures))

    def collect(self, prepared: Prepared, answers: "Iterable[Answer]") -> Tagged:
        """The answers of all batches, in any order, put back in input order."""
        total = int(prepared.first_word[-1])
        tag_ids = np.zeros(total, np.int16)
        probabilities = np.zeros(total, np.float64)
        for answer in answers:
            at = 0
            for i in answer.batch.tolist():
                size = prepared.owned[i].size
                for words in prepared.owner[i]:
                    tag_ids[words] = answer.tags[at : at + size]
                    probabilities[words] = answer.probabilities[at : at + size]
                at += size
        names = label_names(tag_ids, self.labels)
        edges = prepared.first_word.tolist()
        return Tagged(
            prepared.inputs,
            [names[a:b] for a, b in pairwise(edges)],
            [probabilities[a:b] for a, b in pairwise(edges)],
            prepared.window_count,
            prepared.cut_words,
            prepared.pieces,
        )

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "Tagger":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _check_texts(value: object, expected: str) -> None:
    """Raises TypeError: nothing to iterate over, or what gives something else than texts."""
    if isinstance(value, Mapping | Set | bytes | bytearray | memoryview) or not isinstance(value, Iterable):
        raise TypeError(f"found {_kind(value)}, expected {expected}{_instead(value)}")


def _check_source(number: int, source: object) -> None:
    """Raises TypeError, or ValueError of text that is no Unicode; the message has the place in the list, from 0."""
    words = [source] if isinstance(source, str) else source
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        found = _kind(source) if not isinstance(source, list | tuple) else "a list that holds other things than words"
        raise TypeError(f"text {number} (from 0): found {found}, expected a str or a list of words{_instead(source)}")
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            found = f"half a surrogate pair at character {error.start}"
            raise ValueError(f"text {number} (from 0): found {found}, expected characters") from None


def _only_texts(texts: Iterator[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            words = "; words that are cut already go to tag([words])" if isinstance(text, list | tuple) else ""
            found = f"found {_kind(text)}, expected a str"
            raise TypeError(f"text {number} (from 0): {found}{words or _instead(text)}")
        yield text


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _instead(value: object) -> str:
    """What to do with a value that is often meant to hold a text."""
    if isinstance(value, bytes | bytearray):
        return "; decode it first: value.decode()"
    return "; give its text: record['text']" if isinstance(value, Mapping) else ""


@dataclass(slots=True, eq=False)
class Answer:
    """What one batch came to: tag ids and probabilities of its owned words, window after window."""

    batch: np.ndarray
    tags: np.ndarray
    probabilities: np.ndarray
