"""One retraining of a model at a time, and none where nothing has changed: what a store remembers of them.

    STORE/retraining/NAME.json   {"claim": CLAIM or null, "past": [PAST, ...]}, the newest last

Whoever retrains puts a claim there by one conditional put, so of two who begin at once one is told of the other. A
claim names its run before there is one, so that whoever comes later can look whether it is still at work; where nobody
can tell, the claim holds until its time is over. What a retraining is made from is one digest for each kind of input,
so that a run that would make the same model again is not started, and one that is started says what has changed.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tofner import storage
from tofner.errors import BadInput, PassingFault, Problem

RETRAINING = "retraining"  # folder of a store
MOST_PAST = 50  # kept of them
LATEST, HELD_BACK, FAILED = "latest", "held back", "failed"  # what came of one

Now = Callable[[], datetime]
Inputs = dict[str, str]  # digest by kind of input, as `tofner.stages.plan.made_from` tells them apart
T = TypeVar("T")


def now_utc() -> datetime:
    return datetime.now(UTC)


class Busy(PassingFault):
    """Another retraining of this model is at work: try later."""


@dataclass(frozen=True)
class Claim:
    """A retraining at work: `name` is its run's, of its own; `at` and `until` are ISO 8601 in UTC."""

    name: str
    by: str
    at: str
    until: str
    inputs: Inputs
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name} by {self.by}, at work since {self.at}, until {self.until} at most"


@dataclass(frozen=True)
class Past:
    """A retraining that has ended.

    Attributes:
        name: as in its claim. run: the orchestrator's id, empty where there was none.
        outcome: `latest`, `held back` by the gate, or `failed`.
        why: it was started. said: the gate's reason, or the failure's cause.
        f1: strict micro F1 on the target test, 0 to 1; None where there is none.
    """

    name: str
    at: str
    outcome: str
    inputs: Inputs
    run: str = ""
    why: str = ""
    said: str = ""
    version: str = ""
    f1: float | None = None


@dataclass(frozen=True)
class State:
    """What stands there, as it was read."""

    place: str
    claim: Claim | None
    past: tuple[Past, ...]
    etag: str | None


def read(store: str, name: str) -> State:
    """What a store says of a model's retrainings.

    Raises:
        BadInput: something else stands there, or storage refuses.
        PassingFault: storage did not answer in time.
    """
    place = storage.join(store, RETRAINING, f"{name}.json")
    found = storage.read_pointer(place)
    if found is None:
        return State(place, None, (), None)
    value, etag = found
    try:
        claim = _made(Claim, value["claim"]) if value.get("claim") else None
        past = tuple(_made(Past, one) for one in value.get("past", []))
    except (TypeError, AttributeError) as error:
        fix = "remove it: the next retraining then counts as the first"
        raise BadInput(Problem(place, str(error), "what tofner retrain wrote", fix)) from error
    return State(place, claim, past, etag)


def _made(kind: type[T], value: dict[str, Any]) -> T:
    """Keys that a later version may have added are left out."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: one for key, one in value.items() if key in names})


def changed(state: State, made_from: Inputs) -> list[str]:
    """Kinds of input that differ from those of the last retraining that has not failed; all if there is none."""
    last = next((one for one in reversed(state.past) if one.outcome != FAILED), None)
    return [kind for kind, digest in made_from.items() if last is None or last.inputs.get(kind) != digest]


def claim(
    state: State,
    name: str,
    made_from: Inputs,
    by: str,
    why: str,
    longest: timedelta,
    now: Now = now_utc,
    ended: bool = False,
) -> State:
    """Claim the model for a retraining of this name.

    Args:
        longest: the claim holds for, where nobody can tell whether the run has ended.
        ended: the claim that stands there is known to be of a run that is not at work.

    Raises:
        Busy: somebody else's claim holds, or was put there meanwhile.
    """
    at = now()
    if state.claim and not ended and at < datetime.fromisoformat(state.claim.until):
        raise Busy(f"{state.place}: another retraining goes on: {state.claim}; start this one again when it has ended")
    made = Claim(name, by, _time(at), _time(at + longest), made_from, why)
    try:
        return _write(replace(state, claim=made))
    except storage.PointerMoved as error:
        there = read(*_store_and_model(state)).claim
        raise Busy(f"{state.place}: another retraining was faster: {there or 'it has ended already'}") from error


def settle(state: State, past: Past | None) -> State:
    """Give the claim up, and remember what came of it; None: nothing, the run was never there.

    Who has waited for the same run and was faster is not contradicted.

    Raises:
        Busy: somebody else has taken the claim, whose time was over; nothing was written.
    """
    more = () if past is None else (past,)
    try:
        return _write(replace(state, claim=None, past=(*state.past, *more)[-MOST_PAST:]))
    except storage.PointerMoved as error:
        there = read(*_store_and_model(state))
        if past is not None and any(one.name == past.name for one in there.past):
            return there
        raise Busy(f"{state.place}: somebody else has taken the claim: {there.claim}") from error


def _write(state: State) -> State:
    """Raises PointerMoved if it is not as it was read."""
    value = {"claim": asdict(state.claim) if state.claim else None, "past": [asdict(one) for one in state.past]}
    return replace(state, etag=storage.move_pointer(state.place, value, state.etag))


def _store_and_model(state: State) -> tuple[str, str]:
    store, _, name = state.place.rpartition(f"/{RETRAINING}/")
    return store, name.removesuffix(".json")


def _time(value: datetime) -> str:
    return value.isoformat(timespec="seconds")
