"""The steps of Algorithm 1 and what surrounds them: one file and one `run(config, work) -> Report` each.

`plan` resolves a run into one settings string a stage; `execute` runs a stage, or finds that its result is there. A
graph calls `begin`, then `take` for each step of Algorithm 1.
"""

from tofner.model.fetch import CACHE
from tofner.stages.plan import Plan, plan
from tofner.stages.runtime import StageResult, execute, expected_errors
from tofner.stages.steps import begin, take
from tofner.stages.work import Report, Work

__all__ = ["CACHE", "Plan", "Report", "StageResult", "Work", "begin", "execute", "expected_errors", "plan", "take"]
