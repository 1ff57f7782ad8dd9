"""Raw text to words with character offsets: the documented segmentation `tofner-words-1`.

The rules, first match wins, scanning from left to right over the original text:

1. white space separates and belongs to no word;
2. a URL (`http://...`, `www....`) up to white space, without closing punctuation;
3. `@name` and `#tag`;
4. a number with inner `.`, `,`, `:` or `/` (`1,000.5`, `10:30`);
5. dotted initials (`U.S.`, `z.B.`);
6. letters, digits and their combining marks, joined inside by `-`, `'`, `’`, `.`, `_` or `&` (`German-born`, `AT&T`),
   but a final `'s` or `’s` is a word of its own (`Iraq` `'s`), as in the CoNLL corpora;
7. any other character by itself, with the combining marks, variation selectors and joiners that follow it; the same
   character several times (`...`, `!!!`, `--`) is one word.

Every character that is not white space belongs to exactly one word, and `text[start:end]` is the word. Unlabelled text
is cut by these rules before training, and raw text before tagging, so a model meets words cut the same way.
"""

import re
from typing import NamedTuple

SEGMENTATION = "tofner-words-1"

_LETTER = r"[^\W_]"
_MARKS = (
    r"[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f"
    r"\u200d\ufe0e\ufe0f]"
)
_UNIT = rf"(?:{_LETTER}{_MARKS}*)"
_WORD = re.compile(
    rf"""
    (?P<url>(?:https?://|www\.)[^\s<>"]*[^\s<>".,;:!?)\]}}'’])
  | (?P<handle>[@\#][\w][\w]*)
  | (?P<number>\d+(?:[.,:/]\d+)+)
  | (?P<initials>(?:{_LETTER}\.){{2,}})
  | (?P<clitic>['’][sS](?!{_LETTER}))
  | (?P<word>{_UNIT}+(?:(?:[-.&_]|['’](?![sS](?!{_LETTER}))){_UNIT}+)*)
  | (?P<emoji>[^\w\s](?:{_MARKS}|[\U0001F3FB-\U0001F3FF]|(?<=\u200d)[^\w\s])+)
  | (?P<run>(\S)\9*)
    """,
    re.VERBOSE,
)


class Word(NamedTuple):
    """`text[start:end]`, with character offsets into the original text."""

    text: str
    start: int
    end: int


def segment(text: str) -> list[Word]:
    """The words of `text`.

    >>> [word.text for word in segment("Iraq's U.N. envoy, @ekeus: see http://t.co/x!!!")]
    ['Iraq', "'s", 'U.N.', 'envoy', ',', '@ekeus', ':', 'see', 'http://t.co/x', '!!!']
    """
    return [Word(match.group(), match.start(), match.end()) for match in _WORD.finditer(text)]
