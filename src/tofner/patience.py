"""The one rule by which calls over a network are tried again: object storage's, and those to a Kubeflow server."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tofner.errors import BadInput, PassingFault, Problem

T = TypeVar("T")

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 8.0


@dataclass(frozen=True)
class Clock:
    """Time and chance as `persist` meets them: seconds from any start, a pause in seconds, a number between two."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform


def persist(
    action: Callable[[], T],
    judge: Callable[[Exception], Exception | None],
    patience_s: float,
    setting: str,
    clock: Clock,
) -> T:
    """`action()`, tried again with exponential backoff and jitter while its faults may pass.

    `judge` says what an error of the action means: a PassingFault is waited for, any other exception is raised in its
    stead, and None lets the error out as it is. `setting` names the variable that `patience_s` came from.

    Raises:
        PassingFault: the fault did not pass within the patience.
    """
    start = clock.now()
    tries = 0
    while True:
        try:
            return action()
        except Exception as error:
            fault = judge(error)
            if fault is None:
                raise
            if not isinstance(fault, PassingFault):
                raise fault from error
            tries += 1
            delay = clock.uniform(0.5, 1.0) * min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(tries - 1, 16))
            spent = clock.now() - start
            if spent + delay > patience_s:
                text = f"{fault}; gave up after {tries} tries in {spent:.1f} s ({setting}={patience_s:g})"
                raise type(fault)(text) from error
        clock.sleep(delay)


def number(name: str, default: float, least: float) -> float:
    """What an environment variable says, or the default where it is not set.

    Raises:
        BadInput: it is not a number of at least `least`.
    """
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        problem = Problem(name, repr(text), f"a number of at least {least:g}", "correct or unset the variable")
        raise BadInput(problem)
    return value
