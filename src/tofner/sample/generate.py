"""The generated sample corpora: a newswire-like source, a microblog-like target, and questions on both.

Made for a first run on a laptop and for tests, not to measure methods. Nothing is copied from a corpus: sentences are
drawn from forms and words of `news` and `microblog`. A seed always gives the same files.

    ner/sample-news/{train,dev,test}.conll         4 columns separated by spaces, IOB1, -DOCSTART- lines
    ner/sample-microblog/{train,dev,test}.conll    2 columns separated by a tab, BIO2
    mrc/sample-{news,microblog}-qa/{train,dev}.json
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

from tofner.corpora import conll
from tofner.corpora.examples import Sentence
from tofner.sample import microblog, news
from tofner.sample.kinds import Form, Kind
from tofner.words.spans import split_tag

NEWS_SIZES = {"train": 1500, "dev": 300, "test": 300}
MICROBLOG_SIZES = {"train": 1000, "dev": 200, "test": 400}
QA_SIZES = {"train": 300, "dev": 80}
SENTENCES_A_DOCUMENT = 15
SENTENCES_A_CONTEXT = 2
MOST_TRIES = 20  # for each sentence wanted, before forms and words count as too few
_SLOT = re.compile(r"\{(([a-z]+)\d*)\}")


@dataclass
class Filled:
    """A form with its words: `spans[slot]` is where the slot's words stand (end exclusive)."""

    form: Form
    tokens: list[str]
    tags: list[str]
    spans: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Domain:
    """A domain to draw sentences from; `change` adds its noise."""

    name: str
    forms: Sequence[Form]
    kinds: Mapping[str, Kind]
    change: Callable[[Filled, random.Random], Filled]


def write_sample(root: str | Path, seed: int = 2019) -> None:
    """Write the sample corpora as a data root; files that exist are replaced."""
    root = Path(root)
    for split, size in NEWS_SIZES.items():
        filled = draw(NEWS, size, _rng(seed, "news", split), rare=split == "test")
        _write(root / f"ner/sample-news/{split}.conll", _four_columns(filled))
    for split, size in MICROBLOG_SIZES.items():
        filled = draw(MICROBLOG, size, _rng(seed, "microblog", split), rare=split == "test")
        sentences = [Sentence(str(i), post.tokens, post.tags) for i, post in enumerate(filled)]
        _write(root / f"ner/sample-microblog/{split}.conll", conll.to_text(sentences))
    for domain in (NEWS, MICROBLOG):
        for split, size in QA_SIZES.items():
            paragraphs = questions(domain, size, _rng(seed, f"{domain.name}-qa", split))
            _write(root / f"mrc/sample-{domain.name}-qa/{split}.json", _squad(paragraphs, f"{domain.name}-{split}"))


def draw(domain: Domain, size: int, rng: random.Random, rare: bool) -> list[Filled]:
    """`size` sentences, each form about as often as the others, no sentence twice.

    `rare` lets in the names that are kept for test sets.
    """
    result: list[Filled] = []
    seen: set[tuple[str, ...]] = set()
    for form in islice(cycle(domain.forms), MOST_TRIES * size):
        filled = domain.change(fill(form, domain.kinds, rng, rare), rng)
        if tuple(filled.tokens) not in seen:
            seen.add(tuple(filled.tokens))
            result.append(filled)
        if len(result) == size:
            break
    else:
        raise ValueError(f"these forms and words make only {len(result)} of {size} different sentences")
    rng.shuffle(result)
    return result


def fill(form: Form, kinds: Mapping[str, Kind], rng: random.Random, rare: bool) -> Filled:
    """One sentence of a form; two slots of a kind never get the same words."""
    filled = Filled(form, [], [], {})
    used: set[str] = set()
    for part in form.text.split():
        slot = _SLOT.search(part)
        if slot is None:
            filled.tokens.append(part)
            filled.tags.append("O")
            continue
        kind = kinds[slot.group(2)]
        common = kind.words[: round(len(kind.words) * (1 - kind.rare))]
        words = rng.choice([word for word in (kind.words if rare else common) if word not in used])
        used.add(words)
        tokens = words.split() if part == slot.group() else [_inline(part, kinds, rng)]
        start = len(filled.tokens)
        filled.tokens += tokens
        filled.tags += [f"{'I' if i else 'B'}-{kind.type}" if kind.type else "O" for i in range(len(tokens))]
        filled.spans[slot.group(1)] = (start, len(filled.tokens))
    return filled


def _inline(part: str, kinds: Mapping[str, Kind], rng: random.Random) -> str:
    """A token with slots inside, `{year}-{num}`."""
    return _SLOT.sub(lambda match: rng.choice(kinds[match.group(2)].words), part)


def noise(post: Filled, rng: random.Random) -> Filled:
    """The ways of microblogs: openers, abbreviations, elongations, typing errors, case, emoji and hashtags.

    Words are changed in place and others are added around them, so entities keep their tags.
    """
    style = rng.random()
    tokens = [_noisy(token, tag, rng) for token, tag in zip(post.tokens, post.tags, strict=True)]
    if style < 0.45:
        tokens = [token.lower() for token in tokens]
    elif style < 0.52:
        tokens = [token if token[0] in "@#" else token.upper() for token in tokens]
    before: list[str] = []
    if rng.random() < 0.25:
        before = fill(Form(rng.choice(microblog.OPENERS)), microblog.KINDS, rng, True).tokens
    after = rng.sample(microblog.EMOJI, 1) * rng.choice([1, 1, 2]) if rng.random() < 0.35 else []
    if rng.random() < 0.3:
        after = [*after, *rng.sample(microblog.KINDS["tag"].words, rng.choice([1, 2]))]
    after = [first for first, second in pairwise([*after, ""]) if first != second]  # one emoji twice is one word
    tags = ["O"] * len(before) + post.tags + ["O"] * len(after)
    spans = {slot: (a + len(before), b + len(before)) for slot, (a, b) in post.spans.items()}
    return Filled(post.form, before + tokens + after, tags, spans)


def _noisy(token: str, tag: str, rng: random.Random) -> str:
    chance = rng.random()
    if tag == "O" and token in microblog.SHORTER and chance < 0.5:
        return microblog.SHORTER[token]
    if tag == "O" and token.isalpha() and len(token) > 2 and chance > 0.93:
        at = next((i for i, c in enumerate(token) if c in "aeiouy"), len(token) - 1)
        return token[:at] + token[at] * rng.randint(3, 5) + token[at + 1 :]
    if token.isalpha() and len(token) > 4 and chance > (0.97 if tag == "O" else 0.92):
        at = rng.randrange(1, len(token) - 2)
        return token[:at] + token[at + 1] + token[at] + token[at + 2 :]
    return token


def questions(domain: Domain, size: int, rng: random.Random) -> list[dict[str, Any]]:
    """SQuAD paragraphs with `size` questions in all: contexts of two sentences, one question about each that has one.

    An answer that the context holds twice is not asked for.
    """
    asking = [form for form in domain.forms if form.questions]
    paragraphs: list[dict[str, Any]] = []
    count = 0
    while count < size:
        picked = rng.sample(asking, SENTENCES_A_CONTEXT)
        parts = [domain.change(fill(form, domain.kinds, rng, False), rng) for form in picked]
        context = " ".join(token for part in parts for token in part.tokens)
        qas: list[dict[str, Any]] = []
        start = 0
        for part in parts:
            slot = rng.choice(sorted(part.form.questions))
            a, b = part.spans[slot]
            answer = " ".join(part.tokens[a:b])
            at = start + len(" ".join([*part.tokens[:a], ""]))
            start += len(" ".join([*part.tokens, ""]))
            if context.count(answer) > 1 or count == size:
                continue
            surface = {key: " ".join(part.tokens[i:j]) for key, (i, j) in part.spans.items()}
            question = part.form.questions[slot].format(**surface)
            answers = [{"answer_start": at, "text": answer}]
            qas.append({"id": f"{domain.name}-{count:04d}", "question": question, "answers": answers})
            count += 1
        if qas:
            paragraphs.append({"context": context, "qas": qas})
    return paragraphs


def _unchanged(sentence: Filled, _: random.Random) -> Filled:
    return sentence


NEWS = Domain("news", news.FORMS, news.KINDS, _unchanged)
MICROBLOG = Domain("microblog", microblog.FORMS, microblog.KINDS, noise)


def _squad(paragraphs: list[dict[str, Any]], title: str) -> str:
    content = {"version": "1.1", "data": [{"title": title, "paragraphs": paragraphs}]}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _four_columns(sentences: Sequence[Filled]) -> str:
    """Token, part of speech, chunk, IOB1 tag, as in CoNLL-2003. The two middle columns are rough stand-ins: nothing
    reads them."""
    lines: list[str] = []
    for number, sentence in enumerate(sentences):
        if number % SENTENCES_A_DOCUMENT == 0:
            lines += ["-DOCSTART- -X- O O", ""]
        previous = "O"
        for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
            prefix, type_ = split_tag(tag)
            forced = prefix == "B" and split_tag(previous)[1] == type_
            written = tag if tag == "O" or forced else f"I-{type_}"
            noun = "NNP" if type_ else "NN"
            part = token if not token[0].isalnum() else "CD" if token[0].isdigit() else noun
            lines.append(f"{token} {part} {'O' if part == token else 'I-NP'} {written}")
            previous = tag
        lines.append("")
    return "\n".join(lines) + "\n"


def _rng(seed: int, *names: str) -> random.Random:
    """A generator of its own for each file: the size of one never changes another. Seeded by text, as Python's hash of
    text differs between processes and this does not."""
    return random.Random("/".join([str(seed), *names]))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
