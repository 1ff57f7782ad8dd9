"""Python runs this at start: in processes that a graph test starts, `tofner.stages` is the double beside this file."""

import os
import sys

if "TOFNER_TEST_JOURNAL" in os.environ:
    import stage_double

    sys.modules["tofner.stages"] = stage_double
