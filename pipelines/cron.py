"""When a schedule runs: the five fields of a crontab, or a period, in the words of a Kubeflow server.

KFP takes six fields, seconds first, and reads the first of five as seconds too: `30 2 * * *` would be every hour at
02:30 minutes. So a crontab's five are checked here and `0` is put before them. Grammar: crontab(5), and the subset of
it that github.com/robfig/cron understands.
"""

import re
from datetime import timedelta

from tofner.errors import BadSettings, Problem

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS = "SUN MON TUE WED THU FRI SAT".split()
LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SHORTEST_PERIOD_S = 60  # Kubeflow looks at its schedules every few seconds; shorter ones make no sense for a training


def six_fields(crontab: str) -> str:
    """A crontab's five fields as KFP's six.

    >>> six_fields("30 2 * * *"), six_fields("0 6 * * 1-5,7")
    ('0 30 2 * * *', '0 0 6 * * 1-5,0')

    Raises:
        BadSettings: not five fields, or one of them is none; every one that is wrong is listed.
    """
    fields = crontab.split()
    if len(fields) != 5:
        fix = "minute, hour, day of month, month, day of week; no seconds"
        found = f"{len(fields)} fields in {crontab!r}"
        raise BadSettings(Problem("--cron", found, 'a crontab\'s five, for example "30 2 * * *"', fix))
    limits: list[tuple[str, int, int, list[str], int]] = [
        ("minute", 0, 59, [], 0),
        ("hour", 0, 23, [], 0),
        ("day of month", 1, 31, [], 0),
        ("month", 1, 12, MONTHS, 1),
        ("day of week", 0, 7, DAYS, 0),
    ]
    problems: list[Problem] = []
    meant: list[set[int]] = []
    for text, (name, low, high, names, first) in zip(fields, limits, strict=True):
        try:
            meant.append(_numbers(text, low, high, {word: i + first for i, word in enumerate(names)}))
        except ValueError as error:
            problems.append(Problem(f"--cron, {name}", repr(text), str(error)))
    if problems:
        raise BadSettings(problems)
    days, months = meant[2], meant[3]
    if fields[4] == "*" and not any(day <= LONGEST[month - 1] for month in months for day in days):
        raise BadSettings(Problem("--cron", f"day {fields[2]} of month {fields[3]}", "a day that there is"))
    if 7 in meant[4]:  # crontab's second name for Sunday, which the server does not know
        fields[4] = ",".join(_without_seven(part) for part in fields[4].split(","))
    return " ".join(["0", *fields])


def _numbers(text: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    """All values of one field.

    Raises:
        ValueError: it is none; the message is what was expected.
    """
    expected = f"*, numbers {low} to {high}, ranges such as {low}-{high}, steps such as */2, or a list of these"
    expected += f"; {', '.join(names)} too" if names else ""
    values: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/([0-9]+))?", part, re.ASCII)
        if match is None:
            raise ValueError(expected)
        star, first, last, step = match.groups()
        try:
            start = low if star else _one(first, names)
            end = high if star else _one(last or first, names)
        except ValueError:
            raise ValueError(expected) from None
        stepless = first and not last and step  # 5/10 means different things to different crons
        if not low <= start <= end <= high or stepless or not int(step or 1):
            raise ValueError(expected)
        values |= set(range(start, end + 1, int(step or 1)))
    return values


def _one(word: str, names: dict[str, int]) -> int:
    return names[word.upper()] if word.upper() in names else int(word)


def _without_seven(part: str) -> str:
    """A part of the field for days of the week, with 0 for Sunday only."""
    days = _numbers(part, 0, 7, {word: i for i, word in enumerate(DAYS)})
    if part.startswith("*") or 7 not in days:
        return part
    return ",".join(map(str, sorted(day % 7 for day in days)))


def seconds(text: str, option: str) -> int:
    """A span such as `24h`, `90m`, `45s` or `7d` in seconds.

    Raises:
        BadSettings: it is none, or nothing.
    """
    match = re.fullmatch(r"([0-9]+)([smhd])", text.strip())
    if match is None or not int(match[1]):
        raise BadSettings(Problem(option, repr(text), "a number and s, m, h or d, for example 24h"))
    return int(match[1]) * UNITS_S[match[2]]


def period_s(text: str) -> int:
    """The period of a schedule in seconds, a minute at least."""
    period = seconds(text, "--every")
    if period < SHORTEST_PERIOD_S:
        raise BadSettings(Problem("--every", repr(text), f"{timedelta(seconds=SHORTEST_PERIOD_S)} or longer"))
    return period
