"""The one rule by which calls are tried again: how long, how often, and after which faults. No test waits."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.fake_clock import FakeClock
from tofner.errors import BadInput, PassingFault
from tofner.storage import s3


def answered(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def spend(clock: FakeClock, error: Exception, uri: str = "s3://b/k") -> None:
    """Meet the same fault again and again."""

    def action() -> None:
        raise error

    s3.call(uri, action, clock=clock.clock)


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_delays_double_to_a_limit_and_are_halved_at_most(jitter: float, share: float) -> None:
    """0.1 * 2^n s, never more than 8 s, times what is drawn between a half and one."""
    clock = FakeClock(jitter)
    with pytest.raises(PassingFault):
        spend(clock, answered("SlowDown", 503))
    expected = [share * min(8.0, 0.1 * 2**n) for n in range(len(clock.slept))]
    assert clock.slept == pytest.approx(expected)
    assert len(clock.slept) > 10
    assert set(clock.draws) == {(0.5, 1.0)}


@pytest.mark.parametrize(
    ("patience", "slept"),
    [
        ("0", []),
        ("0.09", []),
        ("0.35", [0.1, 0.2]),
        ("0.75", [0.1, 0.2, 0.4]),
        ("20", [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4]),
        ("", [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[8.0] * 5]),  # 60 s by default: 52.7 spent, 8 more are too many
    ],
)
def test_the_last_delay_still_fits_the_patience(
    monkeypatch: pytest.MonkeyPatch, patience: str, slept: list[float]
) -> None:
    monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", patience)
    clock = FakeClock()
    clock.time = 1000.0  # the start of a clock means nothing
    with pytest.raises(PassingFault, match=rf"gave up after {len(slept) + 1} tries in {sum(slept):.1f} s"):
        spend(clock, answered("SlowDown", 503))
    assert clock.slept == pytest.approx(slept)


def test_time_that_the_action_took_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two connections that hang for 25 s each and then 13 s: a third try would begin beyond the minute."""
    clock = FakeClock()
    tries: list[float] = []

    def hang() -> None:
        tries.append(clock.time)
        clock.time += 25.0 if len(tries) < 3 else 13.0
        raise EndpointConnectionError(endpoint_url="http://h")

    with pytest.raises(PassingFault, match=r"after 3 tries in 63\.3 s"):
        s3.call("s3://b/k", hang, clock=clock.clock)
    assert tries == pytest.approx([0.0, 25.1, 50.3])


def test_success_after_faults_costs_the_delays_alone() -> None:
    clock, answers = FakeClock(), [answered("SlowDown", 503), answered("InternalError", 500), None]

    def action() -> str:
        error = answers.pop(0)
        if error:
            raise error
        return "done"

    assert s3.call("s3://b/k", action, clock=clock.clock) == "done"
    assert clock.slept == pytest.approx([0.1, 0.2])


def test_what_the_caller_waits_for_and_bugs_come_out_as_they_are() -> None:
    clock = FakeClock()
    refused = answered("PreconditionFailed", 412)

    def action() -> None:
        raise refused

    with pytest.raises(ClientError) as caught:
        s3.call("s3://b/k", action, meant=s3.is_refused, clock=clock.clock)
    assert caught.value is refused
    with pytest.raises(BadInput, match="changed while it was read"):
        s3.call("s3://b/k", action, clock=clock.clock)
    assert clock.slept == [0.1, 0.2, 0.4], "a condition that was not met is looked at three times more"
    with pytest.raises(ZeroDivisionError):
        spend(clock, ZeroDivisionError())
    assert clock.slept == [0.1, 0.2, 0.4]


# What each code means, from the list in the S3 API reference, section "Error responses".
PASSING = {
    "SlowDown": 503,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "RequestTimeout": 400,
    "OperationAborted": 409,
}
LASTING = {"AccessDenied": 403, "NoSuchBucket": 404, "NoSuchKey": 404, "InvalidAccessKeyId": 403, "NotImplemented": 501}


@pytest.mark.parametrize(("code", "status"), PASSING.items())
def test_passing_codes_pass_with_any_status(code: str, status: int) -> None:
    for given in (status, 400):  # some servers and proxies send them with another one
        clock = FakeClock()
        with pytest.raises(PassingFault, match=code):
            spend(clock, answered(code, given))
        assert clock.slept


@pytest.mark.parametrize(("code", "status"), LASTING.items())
def test_lasting_codes_last_with_any_status(code: str, status: int) -> None:
    for given in (status, 500):
        clock = FakeClock()
        with pytest.raises(BadInput, match="s3://b/k"):
            spend(clock, answered(code, given))
        assert clock.slept == []
