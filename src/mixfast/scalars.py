"""Values that JSON has no name for as the header of a file has them.

Dates are in ISO 8601, with the name of the time zone in brackets where they have one; durations are a number and its
unit, periods a number of them since 1970 and their frequency, decimals their digits.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

#: The zone's name is what ISO 8601 has no place for: RFC 9557.
WITH_ZONE = re.compile(r"([^\[\]]+)(?:\[([\w+/-]+)\])?", re.ASCII)


def class_name_of(value):
    """(package, class) of a value: none is imported to ask what it is."""
    return type(value).__module__.partition(".")[0], type(value).__name__


def form_of(value):
    """A value as the header has it; None where that has no form for its class."""
    form = FORMS.get(class_name_of(value))
    return None if form is None else {"form": form, "value": TEXTS[form](value)}


def _text_of_date(value):
    zone = getattr(value, "tzinfo", None)
    # ZoneInfo's and pytz' have names; what `datetime.timezone` has is in the text already
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return value.isoformat() + (f"[{name}]" if name else "")


def _text_of_duration(value):
    number = value.to_timedelta64()
    return f"{number.astype(np.int64)} {np.datetime_data(number.dtype)[0]}"


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


def _duration(text):
    import pandas as pd

    number, unit = text.split(" ")
    return pd.Timedelta(np.timedelta64(int(number), unit))


def _period(text):
    import pandas as pd

    ordinal, frequency = text.split(" ")
    return pd.Period(ordinal=int(ordinal), freq=frequency)


#: The form of a class, by the package and the name.
FORMS = {
    ("datetime", "date"): "date",
    ("datetime", "datetime"): "datetime",
    ("datetime", "timedelta"): "timedelta",
    ("decimal", "Decimal"): "decimal",
    ("pandas", "Timestamp"): "timestamp",
    ("pandas", "Timedelta"): "duration",
    ("pandas", "Period"): "period",
}

#: What makes a text of a value, by the form.
TEXTS = {
    "date": _text_of_date,
    "datetime": _text_of_date,
    "timestamp": _text_of_date,
    "timedelta": lambda value: str(value // timedelta(microseconds=1)),
    "duration": _text_of_duration,
    "period": lambda value: f"{value.ordinal} {value.freqstr}",
    "decimal": str,
}

#: What makes a value of its text, by the form.
SCALARS = {
    "date": date.fromisoformat,
    "datetime": _datetime,
    "timestamp": _timestamp,
    "timedelta": lambda text: timedelta(microseconds=int(text)),
    "duration": _duration,
    "period": _period,
    "decimal": Decimal,
}
