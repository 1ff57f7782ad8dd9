"""What a store remembers of a model's retrainings: one at a time, and what the last one was made from."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tofner import storage
from tofner.errors import BadInput
from tofner.release import retraining
from tofner.release.retraining import FAILED, LATEST, Busy, Past, State

DAY = timedelta(days=1)
MADE_FROM = {"data": "d1", "code": "c1"}


def at(hour: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "s") if request.param == "folder" else str(request.getfixturevalue("prefix"))


def claim(state: State, name: str = "r-1", hour: int = 0, **more: bool) -> State:
    return retraining.claim(state, name, MADE_FROM, "ann", "why", DAY, lambda: at(hour), **more)


def past(name: str = "r-1", outcome: str = LATEST, **made_from: str) -> Past:
    return Past(name, "2026-01-01", outcome, MADE_FROM | made_from, f"id of {name}", "why", "said", "v1", 0.5)


def test_a_claim_is_kept_until_it_is_settled(store: str) -> None:
    state = claim(retraining.read(store, "m"))
    found = retraining.read(store, "m")
    assert found == state
    assert found.claim is not None
    assert (found.claim.name, found.claim.by, found.claim.inputs) == ("r-1", "ann", MADE_FROM)
    assert datetime.fromisoformat(found.claim.until) == at(24)
    with pytest.raises(Busy, match=r"retraining/m\.json: another retraining goes on: r-1 by ann"):
        claim(found, "r-2", hour=23)
    retraining.settle(found, past())
    settled = retraining.read(store, "m")
    assert settled.claim is None
    assert settled.past == (past(),)
    assert retraining.read(store, "another").claim is None


def test_a_claim_whose_time_is_over_or_whose_run_has_ended_holds_nobody_up(store: str) -> None:
    state = claim(retraining.read(store, "m"))
    assert claim(state, "r-2", hour=1, ended=True).claim is not None
    late = retraining.read(store, "m")
    taken = claim(late, "r-3", hour=25)
    with pytest.raises(Busy, match="somebody else has taken the claim: r-3"):
        retraining.settle(late, past("r-2"))
    assert retraining.read(store, "m") == taken


def test_who_waited_for_the_same_run_is_not_contradicted(store: str) -> None:
    state = claim(retraining.read(store, "m"))
    first = retraining.settle(state, past())
    assert retraining.settle(state, past()) == first


def test_a_run_that_never_was_leaves_nothing(store: str) -> None:
    state = retraining.settle(claim(retraining.read(store, "m")), None)
    assert (state.claim, state.past) == (None, ())


def test_changes_are_those_since_the_last_that_did_not_fail(store: str) -> None:
    state = retraining.read(store, "m")
    assert retraining.changed(state, MADE_FROM) == ["data", "code"], "there was none"
    state = retraining.settle(claim(state), past())
    assert retraining.changed(state, MADE_FROM) == []
    assert retraining.changed(state, MADE_FROM | {"data": "d2"}) == ["data"]
    state = retraining.settle(claim(state, "r-2"), past("r-2", FAILED, data="d2"))
    assert retraining.changed(state, MADE_FROM | {"data": "d2"}) == ["data"], "the failed one made no model"
    assert retraining.changed(state, MADE_FROM | {"graph": "g"}) == ["graph"], "a kind that was not told then"


def test_only_the_last_ones_are_kept(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraining, "MOST_PAST", 2)
    state = retraining.read(store, "m")
    for i in range(3):
        state = retraining.settle(claim(state, f"r-{i}"), past(f"r-{i}"))
    assert [one.name for one in retraining.read(store, "m").past] == ["r-1", "r-2"]


@pytest.mark.parametrize("written", ['{"claim": {"by": "ann"}}', '{"past": [1]}', '{"past": [{}]}', '{"claim": [1]}'])
def test_what_somebody_else_wrote_is_named(tmp_path: Path, written: str) -> None:
    storage.write_bytes(str(tmp_path / "retraining" / "m.json"), written.encode())
    with pytest.raises(BadInput, match=r"retraining/m\.json: found .*expected what tofner retrain wrote"):
        retraining.read(str(tmp_path), "m")


def test_keys_of_a_later_version_are_read_over(tmp_path: Path) -> None:
    text = '{"past": [{"name": "r", "at": "t", "outcome": "latest", "inputs": {}, "new": 1}], "more": 2}'
    storage.write_bytes(str(tmp_path / "retraining" / "m.json"), text.encode())
    assert retraining.read(str(tmp_path), "m").past[0].name == "r"


def test_of_two_claims_at_once_one_wins_a_hundred_times(tmp_path: Path, prefix: str) -> None:
    """Both have read the same; ninety times in a folder, ten in a real store."""
    for number in range(100):
        state = retraining.read(prefix if number % 10 == 0 else str(tmp_path), f"m{number}")
        results: dict[str, State | Busy] = {}
        barrier = threading.Barrier(2)

        def race(name: str, state: State, barrier: threading.Barrier, results: dict[str, State | Busy]) -> None:
            barrier.wait(60)
            try:
                results[name] = claim(state, name)
            except Busy as error:
                results[name] = error

        threads = [threading.Thread(target=race, args=(name, state, barrier, results)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (won,) = [name for name, one in results.items() if isinstance(one, State)]
        (lost,) = [one for one in results.values() if isinstance(one, Busy)]
        assert f"another retraining was faster: {won} by ann" in str(lost)
