"""The steps of Algorithm 1 and what surrounds them: one file and one `run(config, work) -> Report` each.

`plan` resolves a run into one settings string a stage; `execute` runs a stage, or finds that its result is there.
"""

from tofner.model.fetch import CACHE
from tofner.stages.plan import Plan, plan
from tofner.stages.runtime import StageResult, execute, expected_errors
from tofner.stages.work import Report, Work

__all__ = ["CACHE", "Plan", "Report", "StageResult", "Work", "execute", "expected_errors", "plan"]
