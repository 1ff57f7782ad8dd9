"""`tofner evaluate`: scores of one column file against another."""

from typing import Any

from tofner.corpora import conll
from tofner.errors import BadData, Problem
from tofner.words.scores import confusion, score_tags
from tofner.words.spans import tags_to_spans, to_bio2


def evaluate_files(gold_uri: str, predicted_uri: str) -> dict[str, Any]:
    """Strict scores of one column file against another with the same tokens.

    Each file's scheme is found and told in `scheme`. BIO2 is taken as it stands, so that an orphan I- stays wrong;
    other schemes are turned into it, and `repaired_tags` counts their tags that had to be mended for that.

    Raises:
        BadData: a file is wrong, or the tokens differ; names the line of the first difference.
    """
    gold = conll.read(gold_uri, raw=True)
    predicted = conll.read(predicted_uri, raw=True)
    if len(gold.sentences) != len(predicted.sentences):
        found = f"{len(predicted.sentences)} sentences"
        expected = f"{len(gold.sentences)}, as in {gold_uri}"
        raise BadData(Problem(predicted_uri, found, expected, "tag the gold file's sentences in their order"))
    for i, (ours, theirs) in enumerate(zip(gold.sentences, predicted.sentences, strict=True)):
        if ours.tokens != theirs.tokens:
            at = next(
                (k for k, (a, b) in enumerate(zip(ours.tokens, theirs.tokens, strict=False)) if a != b),
                min(len(ours.tokens), len(theirs.tokens)),
            )
            words = [s.tokens[at] if at < len(s.tokens) else "the end of the sentence" for s in (theirs, ours)]
            expected = f"{words[1]!r}, as on line {gold.line_of(i, at)} of {gold_uri}"
            raise BadData(
                Problem(
                    predicted_uri,
                    repr(words[0]),
                    expected,
                    "the two files must have the same tokens",
                    predicted.line_of(i, at),
                )
            )
    truth, found_tags = _bio2(gold), _bio2(predicted)
    types = sorted({span.type for tags in (*truth, *found_tags) for span in tags_to_spans(tags)})
    sides = {"gold": gold, "predicted": predicted}
    return {
        "scheme": {name: file.scheme for name, file in sides.items()},
        "repaired_tags": {name: 0 if file.scheme == "BIO2" else file.repaired_tags for name, file in sides.items()},
        **score_tags(truth, found_tags),
        "confusion": confusion(truth, found_tags, types),
    }


def _bio2(file: conll.ConllFile) -> list[list[str]]:
    tags = [sentence.tags or [] for sentence in file.sentences]
    return tags if file.scheme == "BIO2" else [to_bio2(row, file.scheme)[0] for row in tags]
