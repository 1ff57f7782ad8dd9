"""Named-entity taggers for domains and languages without labelled data, by Target-Oriented Fine-tuning (TOF)."""

import os

# ONNX Runtime 1.29 and later report on their use to their maker unless told not to; who wants that sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
