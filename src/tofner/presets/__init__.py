"""The shipped presets and queries, and reading them or a user's own."""

from tofner.presets.load import load_preset, preset_names
from tofner.presets.query_files import load_queries, queries_of

__all__ = ["load_preset", "load_queries", "preset_names", "queries_of"]
