"""Child processes that do not outlive who started them, even where that one is killed outright."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable


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
