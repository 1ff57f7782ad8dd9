"""Batch tagging with ONNX models: fast, exact, restartable. Imports neither torch nor transformers.

from tofner.tagging import Tagger
tagger = Tagger.load("s3://models/es")          # or a local folder
tagger("Angela Merkel met Obama.")              # -> Result(text=..., entities=[Entity(start=0, end=13, ...), ...])
tagger.tag(["Angela Merkel met Obama."])        # -> [[Entity(start=0, end=13, label="PER", ...), ...]]
"""

from tofner.model.layout import Precision
from tofner.model.published import load_model
from tofner.tagging.engine.result import Result
from tofner.tagging.engine.tagger import Tagger
from tofner.tagging.engine.texts import Entity
from tofner.tagging.job.plan import JobSettings
from tofner.tagging.job.run import tag_job

__all__ = ["Entity", "JobSettings", "Precision", "Result", "Tagger", "load_model", "tag_job"]
