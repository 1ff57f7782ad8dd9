"""Python runs this at start: in processes that a graph test starts, the stages are the doubles beside this file."""

import os

if "TOFNER_TEST_JOURNAL" in os.environ:
    import stage_double

    stage_double.install()
