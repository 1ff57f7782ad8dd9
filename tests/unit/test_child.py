"""An exit that is swallowed comes again."""

import subprocess
import sys

import pytest

CODE = """
import signal, sys, weakref
from tofner.child import leave

class Thing:
    pass

signal.signal(signal.SIGTERM, lambda *_: leave(75, float(sys.argv[1])))
thing = Thing()
held = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
del thing  # the callback's exit is lost
print("goes on", flush=True)
while True:
    pass
"""


@pytest.mark.parametrize("within_s", ["15", "0"])
def test_an_exit_that_a_callback_swallows_comes_again(within_s: str) -> None:
    command = [sys.executable, "-c", CODE, within_s]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
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


LAST_WORDS = """
import atexit, signal, sys
from tofner import cli

number = signal.Signals[sys.argv.pop()]
atexit.register(lambda: (signal.raise_signal(number), print("all told", flush=True)))
cli.main()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(("arguments", "code"), [(["presets"], 0), (["tag", "--model", "nowhere", "text"], 2)])
def test_a_signal_after_the_last_word_changes_nothing(arguments: list[str], code: int, name: str) -> None:
    """The command has done its work and said so: a stop that comes now would be told and not be kept."""
    command = [sys.executable, "-c", LAST_WORDS, *arguments, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("tofner: stopped")) == (code, 0), done.stderr
    assert done.stdout.endswith("all told\n")
