"""An exit that is swallowed comes again."""

import subprocess
import sys

CODE = """
import signal, weakref
from tofner.child import leave

class Thing:
    pass

signal.signal(signal.SIGTERM, lambda *_: leave(75))
thing = Thing()
held = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
del thing  # the callback's exit is lost
print("goes on", flush=True)
while True:
    pass
"""


def test_an_exit_that_a_callback_swallows_comes_again() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (75, "")
    assert done.stdout == "goes on\n"
