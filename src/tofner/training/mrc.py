"""The MRC task: start and end of answers by two linear heads (Eq. 2), and an optional head over (start, end) pairs.

The paper has the two heads. The authors' code adds the third, as in Li et al. (2020): a pair is an answer if start,
end and match all say so; without it an answer goes from each start to the nearest end.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.lazy import in_chunks
from tofner.errors import BadModel, Problem
from tofner.model.encoder import check_checkpoint
from tofner.model.layout import HEADS, MRC
from tofner.training.batches import ENCODED_TOGETHER, Examples, FeatureFile, Features, pad
from tofner.training.checkpoint import load_encoder, takes_token_types
from tofner.words.features import IGNORED, SpanWindow, span_windows
from tofner.words.pieces import PieceEncoder
from tofner.words.segment import segment
from tofner.words.spans import Span
from tofner.words.trust import first_come


class Reads(Protocol):
    """How questions and contexts become windows, and windows answers: the settings of a training run, or what a
    finished model says of itself."""

    @property
    def max_pieces(self) -> int: ...
    @property
    def overlap_pieces(self) -> int: ...
    @property
    def match_threshold(self) -> float: ...
    @property
    def answer_end(self) -> str: ...
    @property
    def batch_size(self) -> int: ...


@dataclass(frozen=True)
class Reading:
    """What `mrc.json` says, as `Reads`; `batch_size` is the caller's, since it changes speed and no answer."""

    max_pieces: int
    overlap_pieces: int
    match_threshold: float
    answer_end: str
    batch_size: int


READING = ("max_pieces", "overlap_pieces", "match_threshold", "answer_end")  # what `mrc.json` keeps
COLUMNS = ("input_ids", "token_type_ids", "starts", "ends", "spans")  # of training features


class SpanExtractor(nn.Module):
    """An encoder with the heads of Eq. 2.

    Shapes: `input_ids`, `attention_mask`, `token_type_ids`, `starts`, `ends` int64 [B, S]; labels are 0, 1 or IGNORED.
    Outputs `start` and `end` logits [B, S, 2] and `hidden` [B, S, d]; in training also `loss`.
    """

    base_model_prefix = "encoder"

    def __init__(self, encoder: PreTrainedModel, span_match: bool) -> None:
        super().__init__()
        size: int = encoder.config.hidden_size
        self.encoder = encoder
        self.config = encoder.config
        self.start = nn.Linear(size, 2)
        self.end = nn.Linear(size, 2)
        self.match = nn.Sequential(nn.Linear(2 * size, size), nn.GELU(), nn.Linear(size, 1)) if span_match else None
        self.dropout = nn.Dropout(
            encoder.config.hidden_dropout_prob if hasattr(encoder.config, "hidden_dropout_prob") else 0.1
        )
        self.typed = takes_token_types(encoder)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
        starts: torch.Tensor | None = None,
        ends: torch.Tensor | None = None,
        spans: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        options = {"token_type_ids": token_type_ids} if self.typed else {}
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **options).last_hidden_state
        hidden = self.dropout(hidden)  # [B, S, d]
        output = {"start": self.start(hidden), "end": self.end(hidden), "hidden": hidden}
        if starts is not None and ends is not None:
            loss = nn.functional.cross_entropy(
                output["start"].flatten(0, 1).float(), starts.flatten(), ignore_index=IGNORED
            )
            loss = loss + nn.functional.cross_entropy(
                output["end"].flatten(0, 1).float(), ends.flatten(), ignore_index=IGNORED
            )
            if self.match is not None and spans is not None:
                loss = loss + self._match_loss(output, starts, ends, spans)
            output["loss"] = loss
        return output

    def match_logits(self, hidden: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        """Match logits [pairs] of pairs given as int64 [pairs, 3]: row of the batch, start piece, end piece."""
        assert self.match is not None
        row, first, last = pairs.unbind(-1)
        logits: torch.Tensor = self.match(torch.cat([hidden[row, first], hidden[row, last]], -1))
        return logits.squeeze(-1)

    def _match_loss(
        self, output: dict[str, torch.Tensor], starts: torch.Tensor, ends: torch.Tensor, spans: torch.Tensor
    ) -> torch.Tensor:
        """Binary cross-entropy over the pairs that gold or the two heads propose (Li et al., 2020, 3.3)."""
        context = starts != IGNORED
        first = context & ((starts == 1) | (output["start"].argmax(-1) == 1))
        last = context & ((ends == 1) | (output["end"].argmax(-1) == 1))
        allowed = torch.triu(first[:, :, None] & last[:, None, :])  # [B, S, S], start not after end
        pairs = allowed.nonzero()
        if not pairs.numel():
            return output["hidden"].sum() * 0.0
        truth = spans[pairs[:, 0], pairs[:, 1]] == pairs[:, 2]
        return nn.functional.binary_cross_entropy_with_logits(
            self.match_logits(output["hidden"], pairs).float(), truth.float()
        )


def load_heads(model: SpanExtractor, folder: Path) -> None:
    """Go on with the heads of an earlier MRC checkpoint.

    Raises:
        BadModel: the folder has none, or they were made with other settings.
    """
    if not (folder / HEADS).is_file():
        raise BadModel(Problem(str(folder), f"no {HEADS}", "a checkpoint of the mrc stage"))
    heads = load_file(folder / HEADS)
    own = {name for name in model.state_dict() if not name.startswith("encoder.")}
    if set(heads) != own:
        fix = "use the same span_match in stages.mrc and stages.loop_mrc, or head=fresh"
        raise BadModel(Problem(f"{folder}/{HEADS}", f"heads {sorted(heads)}", f"{sorted(own)}", fix))
    model.load_state_dict(heads, strict=False)


def save_heads(model: SpanExtractor, folder: Path, settings: Reads) -> None:
    """Beside the encoder: the heads, and how the model reads."""
    heads = {name: t.contiguous() for name, t in model.state_dict().items() if not name.startswith("encoder.")}
    save_file(heads, folder / HEADS)
    about = {"span_match": model.match is not None}
    about |= {name: getattr(settings, name) for name in READING}
    (folder / MRC).write_text(json.dumps(about) + "\n", encoding="utf-8")


def load_extractor(folder: Path, batch_size: int) -> tuple[SpanExtractor, Reading]:
    """A finished MRC model and how it reads.

    Raises:
        BadModel: the folder is not one that the mrc stage made.
    """
    if not (folder / MRC).is_file():
        raise BadModel(Problem(str(folder), f"no {MRC}", "a checkpoint of the mrc stage"))
    about = json.loads((folder / MRC).read_text(encoding="utf-8"))
    check_checkpoint(str(folder))
    model = SpanExtractor(load_encoder(folder), about.pop("span_match"))
    load_heads(model, folder)
    return model.eval(), Reading(**about, batch_size=batch_size)


def windows_of(encoder: PieceEncoder, examples: Sequence[MrcExample], settings: Reads) -> tuple[list[SpanWindow], int]:
    """Windows of every question; queries are cut into words by the project's segmentation."""
    words: dict[str, list[str]] = {}
    for example in examples:
        if example.query not in words:
            words[example.query] = [word.text for word in segment(example.query)]
    queries = [words[example.query] for example in examples]
    return span_windows(encoder, queries, [e.tokens for e in examples], settings.max_pieces, settings.overlap_pieces)


def span_examples(
    encoder: PieceEncoder, examples: Iterable[MrcExample], settings: Reads, empty_windows: float = 1.0, seed: int = 0
) -> tuple[Examples, dict[str, int]]:
    """Training features over context pieces only; an answer counts in every window that holds all of it. No piece of a
    word that is not trusted counts, and a window in which none does is left out.

    Of the windows that hold no answer while another one of their question does, a share is kept, drawn by seed.

    Features are [pieces]: `input_ids`, `token_type_ids`, `starts`, `ends` (0, 1 or IGNORED) and `spans`, where a start
    piece holds the place of its end piece.
    """
    shortened = skipped = 0
    rng = np.random.default_rng(seed)

    def rows() -> Iterator[Features]:
        nonlocal shortened, skipped
        for chunk in in_chunks(examples, ENCODED_TOGETHER):
            windows, cut = windows_of(encoder, chunk, settings)
            shortened += cut
            answered = {one.example for one in windows if inside(chunk[one.example], one)}
            for one in windows:
                empty = one.example in answered and not inside(chunk[one.example], one)
                if empty and empty_windows < 1 and rng.random() >= empty_windows:
                    skipped += 1
                    continue
                ending = ends_at(one, settings)
                starts = np.full(one.ids.size, IGNORED, np.int32)
                starts[one.first[0] : one.last[-1] + 1] = 0
                ends = starts.copy()
                spans = np.full(one.ids.size, IGNORED, np.int32)
                for start, end in inside(chunk[one.example], one):
                    starts[one.first[start]] = 1
                    ends[ending[end - 1]] = 1
                    spans[one.first[start]] = ending[end - 1]
                for word in distrusted(chunk[one.example], one):
                    starts[one.first[word] : one.last[word] + 1] = ends[one.first[word] : one.last[word] + 1] = IGNORED
                if (starts != IGNORED).any():
                    yield dict(zip(COLUMNS, (one.ids, one.types, starts, ends, spans), strict=True))

    table = FeatureFile(rows(), COLUMNS)
    told = {"windows": len(table), "shortened_words": shortened}
    told |= {"skipped_windows": skipped} if empty_windows < 1 else {}
    return Examples(len(table), table.__getitem__, table.lengths), told


def ends_at(one: SpanWindow, settings: Reads) -> np.ndarray:
    """The piece at which an answer that ends with a word ends: int32 [words of the window]."""
    return one.last if settings.answer_end == "last" else one.first


def inside(example: MrcExample, one: SpanWindow) -> list[tuple[int, int]]:
    """Answers that lie wholly in a window, in words of the window."""
    start, end = one.window.start, one.window.end
    return [
        (a - start, b - start) for a, b in zip(example.starts, example.ends, strict=True) if start <= a and b <= end
    ]


def distrusted(example: MrcExample, one: SpanWindow) -> list[int]:
    """Words that count in no loss, in words of the window."""
    counts = (example.trusted or [])[one.window.start : one.window.end]
    return [word for word, counted in enumerate(counts) if not counted]


def collate(batch: Sequence[Features]) -> dict[str, torch.Tensor]:
    return pad(batch, {"starts": IGNORED, "ends": IGNORED, "spans": IGNORED})


def predict_answers(
    model: SpanExtractor, encoder: PieceEncoder, examples: Sequence[MrcExample], settings: Reads
) -> list[set[tuple[int, int]]]:
    """Predicted answers of each question as word spans (end exclusive).

    An answer is kept from the window that owns its first word, so overlapping windows never say it twice.
    """
    windows, _ = windows_of(encoder, examples, settings)
    answers: list[set[tuple[int, int]]] = [set() for _ in examples]
    for batch, output in _forward(model, windows, settings.batch_size * 4):
        for row, one in enumerate(batch):
            for first, last in _decode(model, output, row, one, settings):
                start, end = one.window.start + first, one.window.start + last + 1
                if one.window.own_start <= start < one.window.own_end:
                    answers[one.example].add((start, end))
    return answers


def predict_tags(
    model: SpanExtractor,
    encoder: PieceEncoder,
    sentences: Iterable[Sentence],
    queries: Sequence[tuple[str, str]],
    settings: Reads,
) -> Iterator[list[str]]:
    """BIO2 tags of each sentence by the answers to questions, given with the type that an answer to them has.

    Where answers overlap, that to the first question stays, and of one question the one that begins first.
    """
    for chunk in in_chunks(sentences, ENCODED_TOGETHER):
        asked = [MrcExample(one.id, query, one.tokens, [], []) for one in chunk for _, query in queries]
        answers = predict_answers(model, encoder, asked, settings)
        for i, one in enumerate(chunk):
            found = zip(queries, answers[i * len(queries) : (i + 1) * len(queries)], strict=True)
            spans = (Span(*ends, type_) for (type_, _), group in found for ends in sorted(group))
            yield first_come(spans, len(one.tokens))


def _forward(
    model: SpanExtractor, windows: Sequence[SpanWindow], batch_size: int
) -> Iterator[tuple[list[SpanWindow], dict[str, torch.Tensor]]]:
    device = next(model.parameters()).device
    order = sorted(range(len(windows)), key=lambda i: (windows[i].ids.size, i))
    for begin in range(0, len(order), batch_size):
        batch = [windows[i] for i in order[begin : begin + batch_size]]
        inputs = collate([{"input_ids": one.ids, "token_type_ids": one.types} for one in batch])
        with torch.inference_mode():
            yield batch, model(**{name: tensor.to(device) for name, tensor in inputs.items()})


def _decode(
    model: SpanExtractor, output: dict[str, torch.Tensor], row: int, one: SpanWindow, settings: Reads
) -> list[tuple[int, int]]:
    """Answers of one window as (first word, last word) within it."""
    ending = ends_at(one, settings)
    starts = np.flatnonzero(output["start"][row, one.first].argmax(-1).cpu().numpy())
    ends = np.flatnonzero(output["end"][row, ending].argmax(-1).cpu().numpy())
    if model.match is None:
        return nearest_ends(starts, ends)
    pairs = [(int(s), int(e)) for s in starts for e in ends if s <= e]
    if not pairs:
        return []
    places = torch.tensor([[row, int(one.first[s]), int(ending[e])] for s, e in pairs], device=output["hidden"].device)
    probability = model.match_logits(output["hidden"], places).float().sigmoid().cpu().numpy()
    return [pair for pair, p in zip(pairs, probability, strict=True) if p > settings.match_threshold]


def nearest_ends(starts: Sequence[int] | np.ndarray, ends: Sequence[int] | np.ndarray) -> list[tuple[int, int]]:
    """Each start with the nearest end that is not before it; a start whose end lies past the next start has none.

    >>> nearest_ends([0, 4, 6], [2, 7])
    [(0, 2), (6, 7)]
    """
    answers = []
    for i, start in enumerate(starts):
        stop = starts[i + 1] if i + 1 < len(starts) else float("inf")
        end = next((e for e in ends if e >= start), None)
        if end is not None and end < stop:
            answers.append((int(start), int(end)))
    return answers


def score_answers(predicted: Sequence[set[tuple[int, int]]], examples: Sequence[MrcExample]) -> dict[str, float]:
    """Micro P, R and F1 over exact word spans; those with a word that is not trusted count on neither side."""
    right = found = gold = 0
    for said, example in zip(predicted, examples, strict=True):
        answers, truth = said, set(zip(example.starts, example.ends, strict=True))
        if example.trusted is not None:
            counted = example.trusted
            answers, truth = ({(a, b) for a, b in side if all(counted[a:b])} for side in (answers, truth))
        right += len(answers & truth)
        found += len(answers)
        gold += len(truth)
    precision = right / found if found else 0.0
    recall = right / gold if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"score": f1, "f1": f1, "precision": precision, "recall": recall}
