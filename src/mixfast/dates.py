"""Dates as the header of a file has them: ISO 8601, with the name of the time zone in brackets where it has one."""

from __future__ import annotations

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

#: The zone's name is what ISO 8601 has no place for: RFC 9557.
WITH_ZONE = re.compile(r"([^\[\]]+)(?:\[([\w+/-]+)\])?", re.ASCII)


def date_form(value):
    """A date, a datetime or a Timestamp of pandas as the header has it; None for other classes, and for NaT."""
    form = {"date": "date", "datetime": "datetime", "Timestamp": "timestamp"}.get(type(value).__name__)
    if form is None:
        return None
    zone = getattr(value, "tzinfo", None)
    # ZoneInfo's and pytz' have names; what `datetime.timezone` has is in the text already
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return {"form": form, "value": value.isoformat() + (f"[{name}]" if name else "")}


def _taken_apart(text):
    """(ISO 8601, name of the zone or None)"""
    found = WITH_ZONE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date")
    return found.groups()


def _datetime(text):
    iso, zone = _taken_apart(text)
    value = datetime.fromisoformat(iso)
    return value if zone is None else value.astimezone(ZoneInfo(zone))


def _timestamp(text):
    import pandas as pd

    iso, zone = _taken_apart(text)
    value = pd.Timestamp(iso)
    return value if zone is None else value.tz_convert(zone)


#: What makes a date of its text, by the form that the header names.
DATES = {"date": date.fromisoformat, "datetime": _datetime, "timestamp": _timestamp}
