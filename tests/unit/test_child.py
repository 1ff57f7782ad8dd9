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


MADE_ANOTHER = """
import signal
from tofner.child import leave, leaving_well

signal.signal(signal.SIGTERM, lambda *_: leave(75))
with leaving_well():
    try:
        signal.raise_signal(signal.SIGTERM)
    except BaseException as error:  # as the import of a library written in C does
        raise ImportError("cannot be loaded") from error
"""


def test_an_exit_of_which_a_library_makes_an_error_is_an_exit() -> None:
    done = subprocess.run([sys.executable, "-c", MADE_ANOTHER], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (75, "")
