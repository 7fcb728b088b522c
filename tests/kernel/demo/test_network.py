"""The wire between two rooms."""

from __future__ import annotations

import pytest

from auditor.demo import network
from auditor.demo.room import room
from auditor.errors import HostError


def test_rooms_can_be_joined_once() -> None:
    """Joining two fresh rooms works; a second wire is refused with a clear error."""
    with (
        room("auditor.demo.internet", "/run/one", "any") as one,
        room("auditor.demo.internet", "/run/two", "any") as two,
    ):
        network.join(one.pid, two.pid)
        with pytest.raises(HostError, match="network could not be set up"):
            network.join(one.pid, two.pid)
