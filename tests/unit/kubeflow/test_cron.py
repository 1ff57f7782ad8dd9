"""Crontabs, in the server's words: checked against all that a crontab can say, and a plain reading of it."""

import pytest

from tofner.errors import BadSettings
from tofner_kubeflow.pipelines.cron import period_s, seconds, six_fields


@pytest.mark.parametrize(
    ("crontab", "six"),
    [
        ("30 2 * * *", "0 30 2 * * *"),
        ("  */15   *  * * * ", "0 */15 * * * *"),
        ("0 6-20/2 1,15 JAN-mar MON-FRI", "0 0 6-20/2 1,15 JAN-mar MON-FRI"),
        ("0 0 29 2 *", "0 0 0 29 2 *"),
        ("0 0 31 2 5", "0 0 0 31 2 5"),  # or on Fridays: with both days given, either will do
        ("0 0 * * 7", "0 0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 0 * * 0,5,6"),
        ("0 0 * * 1,7", "0 0 0 * * 1,0"),
        ("59 23 31 12 6", "0 59 23 31 12 6"),
    ],
)
def test_five_fields_become_six_with_seconds_first(crontab: str, six: str) -> None:
    assert six_fields(crontab) == six


@pytest.mark.parametrize(
    ("crontab", "said"),
    [
        ("0 30 2 * * *", "6 fields.*expected a crontab's five.*no seconds"),
        ("tomorrow", "1 fields"),
        ("@daily", "1 fields"),
        ("", "0 fields"),
        ("60 2 * * *", "minute: found '60'"),
        ("* 24 * * *", "hour: found '24'"),
        ("* * 0 * *", "day of month: found '0'"),
        ("* * * 13 *", "month: found '13'"),
        ("* * * MON *", "month: found 'MON'"),
        ("* * * * 8", "day of week: found '8'"),
        ("5-1 * * * *", "minute: found '5-1'"),
        ("*/0 * * * *", "minute"),
        ("5/10 * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("-1 * * * *", "minute"),
        ("? * * * *", "minute"),
        ("٣ * * * *", "minute"),
        ("0 0 30 2 *", "day 30 of month 2"),
        ("0 0 31 4,6 *", "day 31 of month 4,6"),
        ("61 25 * * *", "(?s)minute.*hour"),
    ],
)
def test_what_is_no_crontab_is_told_by_its_field(crontab: str, said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        six_fields(crontab)


def test_spans() -> None:
    assert [seconds(text, "--x") for text in ("45s", "90m", "24h", "7d")] == [45, 5400, 86_400, 604_800]
    for text in ("0h", "24", "h", "1.5h", "-1h", "24 hours", ""):
        with pytest.raises(BadSettings, match="--x"):
            seconds(text, "--x")
    assert period_s("1m") == 60
    with pytest.raises(BadSettings, match="--every"):
        period_s("59s")
