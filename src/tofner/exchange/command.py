"""The command `tofner convert`."""

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
