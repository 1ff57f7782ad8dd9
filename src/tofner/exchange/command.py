"""The commands `tofner convert` and `tofner translate`."""

from enum import StrEnum
from typing import Annotated

import typer

from tofner.exchange.convert import Format, convert


def convert_(
    source: Annotated[str, typer.Argument(metavar="IN", help="File to read; of brat a document or a folder.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="File to write; of brat NAME.ann or a folder.")],
    from_: Annotated[
        Format | None, typer.Option("--from", help="Format of IN; by its suffix and first record when not given.")
    ] = None,
    to: Annotated[Format | None, typer.Option(help="Format of OUT; by its suffix when not given.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing and end with 2 where labels, text or fields would be lost.")
    ] = False,
) -> None:
    """Turn labelled text into the format of an annotation tool, of spaCy, or of training, and back.

    Offsets count characters, and are exact. What a format cannot hold (entities that overlap or cut a word in CoNLL,
    fields, scores) is counted, a line a kind, with the first place. docs/data-formats.md has the formats.

    Example: tofner convert tagged/posts.jsonl tasks.json --to label-studio
    """
    done = convert(source, target, from_, to, strict)
    typer.echo(f"{done.records} records with {done.entities} entities, {done.read_as} to {done.written_as}: "
               f"{done.output}")  # fmt: skip
    for line in done.told.lines():
        typer.echo(line)


class Choose(StrEnum):
    """Which translation of a word with several."""

    first = "first"
    other = "other"


def translate_(
    source: Annotated[str, typer.Argument(metavar="IN", help="File to read: labelled text, plain text, questions.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="File to write; of questions .json, else as convert.")],
    dictionary: Annotated[str, typer.Option(help="Word pairs, a line each, as MUSE has them: .txt or .txt.gz.")],
    choose: Annotated[
        Choose, typer.Option(help="Of several translations: the first, or the first that is another word.")
    ] = Choose.first,
) -> None:
    """Translate labelled text, plain text or questions word by word, entities and answers with it.

    A run with translate.dictionary does the same by itself; this makes files to look at, to mend, and to train on as
    roles.translated_ner. docs/data-formats.md has the rules.

    Example: tofner translate ner/news/train.conll ner/news-es/train.conll --dictionary dict/en-es.txt.gz
    """
    from tofner.exchange.translation import translate_file

    done = translate_file(source, target, dictionary, choose.value)
    counts = done.counts
    what = (
        f"{done.texts} texts with {done.marked} entities"
        if done.questions is None
        else f"{done.texts} contexts with {done.questions} questions and {done.marked} answers"
    )
    words = f"{counts.translated} words translated, {counts.unknown} unknown and kept, {counts.marks} without a letter"
    typer.echo(f"{what}: {words}: {done.output}")
    for line in done.told.lines():
        typer.echo(line)
