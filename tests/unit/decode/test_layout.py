"""The layout of the kernel's records."""

from __future__ import annotations

from auditor.decode.layout import CONNECT, EXEC, HEADER_FIELDS, LAYOUTS, WITNESS_KINDS, field_offsets
from auditor.model import events
from auditor.model.records import HEADER_SIZE, Kind


def test_every_kind_has_one_form() -> None:
    """Each kind's body is either a C struct or JSON, and none is forgotten."""
    kinds = {value for key, value in vars(Kind).items() if key.isupper()}
    assert set(LAYOUTS) | set(WITNESS_KINDS) == kinds
    assert not set(LAYOUTS) & set(WITNESS_KINDS)


def test_offsets_fill_the_struct() -> None:
    """Fields follow one another without a gap, from the header to the end."""
    for layout in LAYOUTS.values():
        end = HEADER_SIZE
        for offset, size in field_offsets(layout).values():
            assert offset == end
            end = offset + size
        assert end == layout.size


def test_known_offsets() -> None:
    """The offsets that other parts rely on are where they were."""
    assert field_offsets(CONNECT)["address"] == (56, 16)
    assert field_offsets(EXEC)["path_len"] == (160, 2)


def test_every_event_opens_with_the_header() -> None:
    """Each type of event has the header's ten fields first."""
    types = [value for value in vars(events).values() if isinstance(value, type) and hasattr(value, "_fields")]
    assert len(types) == 14
    assert all(type_._fields[:10] == HEADER_FIELDS for type_ in types)
