"""`tofner init`: of plain text and a labelled corpus, a folder that `tofner check` and `tofner run` take.

    DIR/NAME.yaml          the preset, with a comment to each choice
    DIR/queries.en.yaml    a question for each type
    DIR/data/              ner/source/{train,dev}.conll, text/target/train.txt, and whatever else was given

Files are copied, so that the folder can be moved; what was there before stays as it is.
"""

import gzip
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tofner.begin.rules import HELD_OUT, Chosen, Resources, Sizes, choose
from tofner.corpora import conll
from tofner.corpora.examples import Sentence
from tofner.corpora.read import read_labelled, read_questions, read_text
from tofner.errors import BadData, BadSettings, Problem
from tofner.words.spans import tags_to_spans

TEXTS = (".txt", ".text", ".txt.gz")
CORPORA = (".conll", ".bio", ".iob", ".iob2", ".tsv", ".conll.gz", ".parquet")
# Descriptions of types that corpora often have, as a question can take them.
KNOWN = {
    "PER": "people, fictional characters or animals",
    "PERSON": "people, fictional characters or animals",
    "ORG": "companies, parties, teams or other organizations",
    "ORGANIZATION": "companies, parties, teams or other organizations",
    "LOC": "countries, cities, regions or other places",
    "LOCATION": "countries, cities, regions or other places",
    "GPE": "countries, cities or states",
    "MISC": "nationalities, languages, events, works or products",
    "DATE": "dates or periods",
    "EVENT": "events",
    "PRODUCT": "products",
    "FAC": "buildings, airports, roads or bridges",
    "FACILITY": "buildings, airports, roads or bridges",
    "DISEASE": "diseases or disorders",
    "CHEMICAL": "chemicals or drugs",
    "GENE": "genes or proteins",
}


@dataclass(frozen=True)
class Given:
    """What `tofner init` is told; files are local.

    Attributes:
        texts: plain text of the target, a sentence or a short text a line.
        corpora: labelled sentences of the source; a second one, or a file named dev, is the dev part.
        types: to learn, with their descriptions; empty for all that the corpus has.
        questions: SQuAD files on target text; `tests`: labelled target sentences, for scoring alone.
    """

    texts: list[Path]
    corpora: list[Path]
    types: dict[str, str] = field(default_factory=dict)
    language: str = "en"
    encoder: str = ""
    questions: list[Path] = field(default_factory=list)
    tests: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Made:
    """What was written, what the corpora hold, and what a person should know of it."""

    preset: Path
    data: Path
    types: dict[str, int]
    sizes: Sizes
    chosen: Chosen
    iterations: int
    notes: list[str]


def found_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """Plain texts and labelled corpora that lie in a folder, sorted by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return [f for f in files if f.name.endswith(TEXTS)], [f for f in files if f.name.endswith(CORPORA)]


def parse_types(text: str) -> dict[str, str]:
    """Types with or without descriptions.

    >>> parse_types("DISEASE=diseases and syndromes, GENE")
    {'DISEASE': 'diseases and syndromes', 'GENE': ''}

    Raises:
        BadSettings: a name is missing, or stands twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, _, description = (piece.strip() for piece in part.partition("="))
        if not name or name in found:
            raise BadSettings(Problem("--types", repr(part.strip()), "each type once: NAME or NAME=description"))
        found[name] = description
    return found


def init(folder: Path, given: Given, machine: Resources) -> Made:
    """Write the preset, the queries and the data root.

    Raises:
        BadSettings: a file is missing, or a preset is there already.
        BadData: a corpus or text cannot be used; lists the places.
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:50] or "own"
    preset, queries, data = folder / f"{name}.yaml", folder / "queries.en.yaml", folder / "data"
    _refuse(given, [preset, queries, data])
    train, dev = _source(given.corpora)
    counts = Counter(span.type for one in [*train, *dev] for span in tags_to_spans(one.tags or []))
    types = _types(given, counts)
    text = [read_text(str(path)) for path in given.texts]
    asked = sum(len(read_questions(str(path)).examples) for path in given.questions)
    sizes = Sizes(len(train), sum(len(one.sentences) for one in text), asked)
    chosen = choose(sizes, machine, given.language, given.encoder)
    (data / "ner" / "source").mkdir(parents=True)
    for part, sentences in (("train", train), ("dev", dev)):
        (data / "ner" / "source" / f"{part}.conll").write_text(conll.to_text(sentences), encoding="utf-8")
    roles = {
        "target_text": _copied(given.texts, data / "text" / "target", ".txt"),
        "target_mrc": _copied(given.questions, data / "mrc" / "target", ".json"),
        "target_test": _copied(given.tests, data / "ner" / "target", ".conll", "test"),
    }
    with queries.open("w", encoding="utf-8") as file:
        file.write(_queries(types))
    notes = _notes(given, roles, types, counts)
    iterations = 1 if roles["target_mrc"] else 0
    preset.write_text(_preset(given, types, counts, roles, chosen), encoding="utf-8")
    return Made(preset, data, {one: counts[one] for one in types}, sizes, chosen, iterations, notes)


def _refuse(given: Given, targets: Sequence[Path]) -> None:
    problems = [
        Problem(str(path), "a file that is there already", "none", "remove it, or take another DIR")
        for path in targets
        if path.exists()
    ]
    if not given.texts:
        fix = "give --text FILE, or put a .txt file into DIR"
        problems.append(Problem("--text", "nothing", "plain text of the target, a sentence a line", fix))
    if not given.corpora:
        fix = "give --corpus FILE, or put a .conll file into DIR"
        problems.append(Problem("--corpus", "nothing", "labelled sentences of a source", fix))
    for path in (*given.texts, *given.corpora, *given.questions, *given.tests):
        if not path.is_file():
            problems.append(Problem(str(path), "no such file", "a file that can be read", "check the path"))
    if problems:
        raise BadSettings(problems)


def _source(corpora: Sequence[Path]) -> tuple[list[Sentence], list[Sentence]]:
    """Train and dev: a file named dev (or valid) is the dev part; else one in `HELD_OUT` sentences is."""
    named = [
        path for path in corpora if re.search(r"(^|[^a-z])(dev|valid|validation|testa)([^a-z]|$)", path.name.lower())
    ]
    train = [one for path in corpora if path not in named for one in read_labelled(str(path)).sentences]
    dev = [one for path in named for one in read_labelled(str(path)).sentences]
    if not dev:
        dev = train[HELD_OUT - 1 :: HELD_OUT]
        train = [one for place, one in enumerate(train) if place % HELD_OUT != HELD_OUT - 1]
    if not train or not dev:
        found = f"{len(train)} sentences to train on and {len(dev)} to choose by"
        raise BadData(
            Problem(str(corpora[0]), found, f"{2 * HELD_OUT} labelled sentences or more", "give a larger corpus")
        )
    return train, dev


def _types(given: Given, counts: Counter[str]) -> dict[str, str]:
    """Type -> description, those asked for or, by frequency, all of the corpus."""
    if absent := [name for name in given.types if not counts[name]]:
        fix = f"the corpus has {', '.join(f'{name} {count}' for name, count in counts.most_common()) or 'no entity'}"
        raise BadSettings(
            Problem("--types", f"{', '.join(absent)}, of which there is none", "types of the corpus", fix)
        )
    if not counts:
        raise BadData(Problem(str(given.corpora[0]), "no entity", "labelled sentences", "give a corpus with BIO tags"))
    return given.types or {name: "" for name, _ in counts.most_common()}


def _copied(files: Sequence[Path], folder: Path, suffix: str, only: str = "train") -> list[str]:
    """Copies under the names that a data root has; returns `SET/SPLIT` of each."""
    names = []
    for number, path in enumerate(files):
        folder.mkdir(parents=True, exist_ok=True)
        split = only if len(files) == 1 else f"{only}{number + 1}"
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as source:
            kept = ".parquet" if path.name.endswith(".parquet") else suffix
            with (folder / f"{split}{kept}").open("wb") as target:
                shutil.copyfileobj(source, target)
        names.append(f"{folder.name}/{split}")
    return names


def question(type_: str, description: str) -> str:
    """
    >>> question("GPE", ""), question("DISEASE", "syndromes"), question("tv-shows", "")
    ('Which countries, cities or states are named?', 'Which syndromes are named?', 'Which tv shows are named?')
    """
    words = description or KNOWN.get(type_.upper()) or type_.replace("-", " ").replace("_", " ").lower()
    return f"Which {words} are named?"


def _queries(types: dict[str, str]) -> str:
    lines = [
        "# A question for each type, which the MRC model is asked of every sentence. From templates: better ones, in",
        "# the words of your annotation guidelines, help. Encoders of many languages understand English ones, too.",
        "labels: own",
        "language: en",
        "types:",
    ]
    return "\n".join(
        [*lines, *(f"  {_quoted(name)}: {_quoted(question(name, one))}" for name, one in types.items()), ""]
    )


def _quoted(text: str) -> str:
    """A YAML scalar in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


NO_QUESTIONS = (
    "No question-answer set on target text was given, so the MRC model is off (use.mrc), and T should be 0: what is "
    "left is AdaptaBERT with one labelling of the target text, and what questions would teach of the target is lost. "
    "Such sets are had in SQuAD's format: SQuAD itself, MLQA in seven languages, COVID-QA for biomedicine; TweetQA for "
    "tweets and NewsQA for news can be converted. Give one as --questions FILE."
)
NO_TEST = (
    "No labelled target sentences were given: how good the tagger is will not be measured. Label a hundred or more, "
    "and give them as --test FILE."
)


def _notes(given: Given, roles: dict[str, list[str]], types: dict[str, str], counts: Counter[str]) -> list[str]:
    notes = [] if roles["target_mrc"] else [NO_QUESTIONS]
    if not roles["target_test"]:
        notes.append(NO_TEST)
    if left := [name for name in counts if name not in types]:
        notes.append(f"Types of the corpus that are left out: {', '.join(left)}.")
    rare = [f"{name} ({counts[name]})" for name in types if counts[name] < 50]
    if rare:
        notes.append(f"Types with few examples, which a tagger can hardly learn: {', '.join(rare)}.")
    if given.language != "en":
        notes.append("The questions are English; whoever knows the language may write better ones.")
    return notes


def _comment(text: str) -> str:
    """A text as YAML comment lines."""
    words, lines = text.split(), ["#"]
    for word in words:
        if len(lines[-1]) + len(word) > 110:
            lines.append("#")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def _preset(
    given: Given, types: dict[str, str], counts: Counter[str], roles: dict[str, list[str]], chosen: Chosen
) -> str:
    def listed(values: Sequence[str]) -> str:
        return f"[{', '.join(_quoted(value) for value in values)}]"

    sentence_cap, question_cap = chosen.caps
    parts = [f"epochs: {chosen.epochs}"]
    batch = [f"batch_size: {chosen.batch_size}"]
    if chosen.gradient_accumulation > 1:
        batch.append(f"gradient_accumulation: {chosen.gradient_accumulation}")
    head = [] if chosen.head_rate is None else [f"head_learning_rate: {chosen.head_rate:.1e}"]
    sentences = [] if sentence_cap is None else [f"max_train_examples: {sentence_cap}"]
    questions = (
        [] if question_cap is None else [f"max_train_examples: {question_cap}", f"max_dev_examples: {question_cap}"]
    )

    def stage(task: str, *more: str) -> str:
        return f"  {task}: {{{', '.join([f'learning_rate: {chosen.rates[task]:.1e}', *more])}}}"

    once = ["epochs: 1"] if sentence_cap else ["epochs: 3"]
    dropped = [one for one in counts if one not in types]
    lines = [
        "# By tofner init; each line may be changed (docs/settings.md): tofner check says whether a run may start.",
        f"description: {_quoted(f'{given.corpora[0].name} to {given.texts[0].name}')}",
        f"encoder: {_quoted(chosen.encoder)}",
        "source_language: en  # of the questions on source sentences",
        f"target_language: {_quoted(given.language)}",
        f"types: {listed(list(types))}",
        "queries: queries.en.yaml",
        *(
            [f"label_map: {{{', '.join(f'{_quoted(one)}: null' for one in dropped)}}}  # no entities"]
            if dropped
            else []
        ),
        "",
        "roles:",
        "  source_ner: {train: [source/train], dev: [source/dev]}  # labelled; dev chooses the epoch",
        f"  target_text: {listed(roles['target_text'])}  # plain text alone",
        *([f"  target_test: {listed(roles['target_test'])}  # for scoring alone"] if roles["target_test"] else []),
        *([f"  target_mrc: {{train: {listed(roles['target_mrc'])}}}"] if roles["target_mrc"] else []),
        "",
        *([] if roles["target_test"] else [_comment(NO_TEST), ""]),
        *([] if roles["target_mrc"] else [_comment(NO_QUESTIONS), "use: {mrc: false}", ""]),
        *(_comment(reason) for reason in chosen.why),
        "stages:",
        stage("mlm", *once, f"maskings: {chosen.maskings}", *head, *sentences),
        stage("mrc", *parts, *head, *questions),
        stage("ner", *parts, *batch, *head, *sentences),
        stage("pseudo_ner", *once, *batch, *sentences),
        stage("loop_mrc", *once, *questions),
        stage("loop_ner", *once, *batch, *sentences),
        "",
    ]
    return "\n".join(lines)
