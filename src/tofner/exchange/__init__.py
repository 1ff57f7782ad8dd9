"""Labelled text between the formats of annotation tools, spaCy, CoNLL and JSON lines: `tofner convert`.

Every format is read into records (`tofner.corpora.jsonl.Record`: a text, entities by character offsets, words where the
format has its own) and written from them. What a format cannot hold is counted, never dropped in silence (`Told`).
"""

from tofner.exchange.convert import Converted, convert, read, write

__all__ = ["Converted", "convert", "read", "write"]
