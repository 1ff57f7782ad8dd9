"""Where a run finds its corpora: a data root, or the generated one of preset `sample`, put in the store."""

from tofner import storage
from tofner.errors import BadSettings, Problem
from tofner.sample.generate import write_sample

SAMPLE = "sample"  # the preset whose data tofner generates itself


def data_or_sample(preset: str, data: str, store: str) -> str:
    """The address of a run's data root.

    Raises:
        BadSettings: none is given, for a preset that needs one.
        BadInput, PassingFault: the store cannot be written to.
    """
    if data:
        return storage.absolute(data)
    if preset != SAMPLE:
        fix = f"only preset {SAMPLE} brings its own data"
        raise BadSettings(Problem("data", "nothing", "a data root: a folder or s3:// prefix", fix))
    with storage.scratch_folder("tofner-work-", "sample-") as scratch:
        folder = scratch / SAMPLE
        write_sample(folder)
        return storage.store_by_content(folder, storage.join(store, "data"))
