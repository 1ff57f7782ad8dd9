"""Batch tagging with ONNX models: fast, exact, restartable. Imports neither torch nor transformers.

from tofner.tagging import Tagger
tagger = Tagger.load("s3://models/es")          # or a local folder
tagger.tag(["Angela Merkel met Obama."])        # -> [[Entity(start=0, end=13, label="PER", ...), ...]]
"""

from tofner.tagging.engine import Tagger
from tofner.tagging.job import JobSettings, tag_job
from tofner.tagging.model import Precision, load_model
from tofner.tagging.texts import Entity

__all__ = ["Entity", "JobSettings", "Precision", "Tagger", "load_model", "tag_job"]
