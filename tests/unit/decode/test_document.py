"""One ECS document, read leniently."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.decode.document import Document


def doc(**fields) -> Document:
    """Make a document of these fields."""
    return Document(orjson.dumps(fields))


@pytest.mark.parametrize(
    "line",
    [
        '{"process":{"pid":1,"parent":{"pid":2}}}',
        '{"process.pid":1,"process.parent.pid":2}',
        '{"process":{"pid":1,"parent.pid":2}}',
        '{"process.parent":{"pid":2},"process":{"pid":1}}',
        '{"process":{"pid":1},"process.parent.pid":2}',
        '{"process":{"parent":{"name":"x"}},"process.parent":{"pid":2},"process.pid":1}',
    ],
)
def test_keys_nest_or_are_dotted(line: str) -> None:
    """Nested and dotted keys, and both at once, mean the same."""
    document = Document(line)
    assert (document.number("process.pid"), document.number("process.parent.pid")) == (1, 2)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"a":1,"a.b":2}', "below something that is no object"),
        ('{"a":"\\ud800"}', "not JSON"),
    ],
)
def test_what_is_no_document_is_refused(line: str, problem: str) -> None:
    """A line that is no JSON object is an error."""
    with pytest.raises(ValueError, match=problem):
        Document(line)


def test_deep_nesting_is_harmless() -> None:
    """A document nested far deeper than any of ours is read without trouble."""
    document = Document('{"a":' * 900 + "1" + "}" * 900)
    assert document.text("b") == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-21T10:00:00.000Z", "2026-11-21T10:00:00+00:00"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00+00:00"),
        ("2026-11-21T12:30:00+02:30", "2026-11-21T10:00:00+00:00"),
        ("2026-11-21T05:00:00.5-0500", "2026-11-21T10:00:00.5+00:00"),
        ("2026-11-21 10:00:00", "2026-11-21T10:00:00+00:00"),
        ("2024-02-29T23:59:59.999999Z", "2024-02-29T23:59:59.999999+00:00"),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59+00:00"),
    ],
)
def test_time(value: str, expected: str) -> None:
    """Times have an offset, or are in UTC."""
    exact = datetime.fromisoformat(expected)
    micros = (exact - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    assert doc(**{"@timestamp": value}).time_ns() == micros * 1000


@given(st.datetimes(min_value=datetime(1600, 1, 1), max_value=datetime(2400, 1, 1)))  # noqa: DTZ001
def test_time_agrees_with_the_calendar(moment: datetime) -> None:
    """Every day of the calendar is counted right."""
    text = moment.isoformat() + "Z"
    micros = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // datetime.resolution
    assert doc(**{"@timestamp": text}).time_ns() == micros * 1000


def test_nanoseconds_are_kept() -> None:
    """Nine digits behind the point are exact, and more are cut off."""
    assert doc(**{"@timestamp": "1970-01-01T00:00:01.123456789Z"}).time_ns() == 1_123_456_789
    assert doc(**{"@timestamp": "1970-01-01T00:00:01.1234567899Z"}).time_ns() == 1_123_456_789
    assert doc(**{"@timestamp": 1500}).time_ns() == 1_500_000_000


@pytest.mark.parametrize("value", [None, "", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01", True, 1.5, {}])
def test_what_is_no_time_is_refused(value) -> None:
    """A missing or impossible time is an error."""
    with pytest.raises(ValueError, match="@timestamp"):
        doc(**{"@timestamp": value}).time_ns()


def test_numbers_and_texts_are_taken_in_either_form() -> None:
    """A number may be written as text, a text as a number, and a list of one as its item."""
    document = doc(pid="12", name=7, one=["x"], port=[22])
    assert document.number("pid") == 12
    assert document.text("name") == "7"
    assert document.text("one") == "x"
    assert document.number("port") == 22
    assert document.texts("one") == document.texts("one") == ("x",)
    assert doc(args="ls").texts("args") == ("ls",)
    assert document.number("missing", 5) == 5


@pytest.mark.parametrize("value", ["x", 1.5, True, {}, [1, 2], 1 << 63 << 1, "9" * 19 + "99"])
def test_what_is_no_number_is_refused(value) -> None:
    """Anything else, or what does not fit into 64 bits, is an error that names the field."""
    raw = b'{"pid":%b}' % (str(value).encode() if isinstance(value, int) and value > 9 else orjson.dumps(value))
    with pytest.raises(ValueError, match="pid is no whole number"):
        Document(raw).number("pid")


@pytest.mark.parametrize("value", [{}, [1], [None]])
def test_what_is_no_list_of_texts_is_refused(value) -> None:
    """A list of anything but texts is an error that names the field."""
    with pytest.raises(ValueError, match="args is no list of texts"):
        doc(args=value).texts("args")


def test_counts_take_what_fits() -> None:
    """Pairs of a name and a count are taken, and anything else in the list is not."""
    document = doc(loss=[{"what": "a", "count": 2}, {"what": 1, "count": 2}, "x", {"count": 1}])
    assert document.counts("loss", "what") == (("a", 2),)
    assert document.counts("none", "what") == ()
