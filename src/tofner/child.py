"""Ends of processes: children that do not outlive who started them, and an exit that nothing swallows."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

EXIT_WITHIN_S = 15.0  # for what is inside to clean up


def ending_with(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: have the kernel send the child a signal when the thread that launched it ends (Linux).

    Args:
        parent: process id of the launcher.
        number: SIGTERM lets the child clean up, SIGKILL does not ask.

    Returns:
        None elsewhere: there the launcher must end its children itself.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    set_death_signal = 1  # PR_SET_PDEATHSIG in <linux/prctl.h>

    def in_child() -> None:
        prctl(set_death_signal, number)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return in_child


_leaving: list[int] = []  # the code of an exit that was asked for


def leaving() -> bool:
    """Whether this process has been told to end: what is raised from then on is that, whatever it looks like."""
    return bool(_leaving)


@contextlib.contextmanager
def leaving_well() -> Iterator[None]:
    """Around a whole program: where a library made an error of the exit that `leave` asked for, it is that exit."""
    try:
        yield
    except BaseException:
        if _leaving:
            raise SystemExit(_leaving[0]) from None
        raise


def leave(code: int, within_s: float = EXIT_WITHIN_S) -> NoReturn:
    """End the process from a handler of a signal, for good.

    What a handler raises is lost where Python was in a callback just then, of an import or of a library, and the
    process would go on. So the exit is asked for again: at once where Python says that it lost one, else after
    `within_s`; 0 waits for a clean-up of any length.
    """
    said = sys.unraisablehook

    def again(*_: object) -> None:
        sys.exit(code)

    def lost(what: Any) -> None:
        if isinstance(what.exc_value, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, 0.01, within_s)
        else:
            said(what)

    _leaving.append(code)
    sys.unraisablehook = lost
    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, within_s, within_s)
    sys.exit(code)
