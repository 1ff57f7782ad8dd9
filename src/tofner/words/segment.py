"""Raw text to words with character offsets: the documented segmentation `tofner-words-2`.

The rules, first match wins, scanning from left to right over the original text:

1. white space separates and belongs to no word;
2. a URL (`http://...`, `www....`) up to white space, without closing punctuation;
3. `@name` and `#tag`;
4. a number with inner `.`, `,`, `:` or `/` (`1,000.5`, `10:30`);
5. dotted initials (`U.S.`, `z.B.`);
6. a letter of a script without spaces (Han, Kana, Thai, Lao, Khmer, Myanmar, ...) by itself, as BERT tokenizers cut
   them: an entity is several of them;
7. letters and digits, joined inside by `-`, `'`, `’`, `.`, `_` or `&` (`German-born`, `AT&T`), but a final `'s` or `’s`
   is a word of its own (`Iraq` `'s`), as in the CoNLL corpora;
8. any other character by itself; the same character several times (`...`, `!!!`, `--`) is one word.

Combining marks and invisible format characters (vowel signs, points, joiners, soft hyphens, directions, variation
selectors) belong to what stands before them, everywhere; which those are, Unicode says (`tofner.words.characters`).

Every character that is not white space belongs to exactly one word, and `text[start:end]` is the word. Unlabelled text
is cut by these rules before training, and raw text before tagging, so a model meets words cut the same way: it names
its segmentation, and models made with `tofner-words-1` are tagged with that. It knew a few marks only, so that words of
most Indic scripts fell apart, and cut scripts without spaces at punctuation alone.
"""

import re
from typing import NamedTuple

from tofner.words.characters import JOINED, UNSPACED

SEGMENTATION = "tofner-words-2"  # of new models

_LETTER = r"[^\W_]"
_MARKS = (
    r"[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f"
    r"\u200d\ufe0e\ufe0f]"
)
_UNIT = rf"(?:{_LETTER}{_MARKS}*)"
_WORDS_1 = re.compile(
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

_JOINED_2 = rf"[{JOINED}]"
_LETTER_2 = rf"[^\W_{UNSPACED}]"
_UNIT_2 = rf"(?:{_LETTER_2}{_JOINED_2}*)"
_JOINT_2 = rf"(?:[-.&_]|['’](?![sS](?![^\W_]))){_JOINED_2}*"
_WORDS_2 = re.compile(
    rf"""
    (?P<url>(?:https?://|www\.)[^\s<>"{UNSPACED}]*[^\s<>".,;:!?)\]}}'’{UNSPACED}])
  | (?P<handle>[@\#][^\W{UNSPACED}](?:[^\W{UNSPACED}]|{_JOINED_2})*)
  | (?P<number>\d+(?:[.,:/]\d+)+{_JOINED_2}*)
  | (?P<initials>(?:{_UNIT_2}\.){{2,}})
  | (?P<clitic>['’][sS]{_JOINED_2}*(?![^\W_]))
  | (?P<unspaced>[{UNSPACED}]{_JOINED_2}*)
  | (?P<word>{_UNIT_2}+(?:{_JOINT_2}{_UNIT_2}+)*)
  | (?P<emoji>[^\w\s](?:{_JOINED_2}|[\U0001F3FB-\U0001F3FF]|(?<=\u200d)[^\w\s])+)
  | (?P<run>(\S)\10*)
    """,
    re.VERBOSE,
)

SEGMENTATIONS = {"tofner-words-1": _WORDS_1, "tofner-words-2": _WORDS_2}


class Word(NamedTuple):
    """`text[start:end]`, with character offsets into the original text."""

    text: str
    start: int
    end: int


def segment(text: str, segmentation: str = SEGMENTATION) -> list[Word]:
    """The words of `text`, by the rules of this name.

    >>> [word.text for word in segment("Iraq's U.N. envoy, @ekeus: see http://t.co/x!!!")]
    ['Iraq', "'s", 'U.N.', 'envoy', ',', '@ekeus', ':', 'see', 'http://t.co/x', '!!!']
    >>> [word.text for word in segment("习近平 会见了 Obama")]
    ['习', '近', '平', '会', '见', '了', 'Obama']
    """
    return [Word(match.group(), match.start(), match.end()) for match in SEGMENTATIONS[segmentation].finditer(text)]
