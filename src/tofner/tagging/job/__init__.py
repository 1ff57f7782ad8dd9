"""The batch job: plan, run, finish. Shards are whole or not at all, and a killed job goes on."""

from tofner.tagging.job.finish import JobReport
from tofner.tagging.job.plan import JobSettings
from tofner.tagging.job.run import tag_job

__all__ = ["JobReport", "JobSettings", "tag_job"]
