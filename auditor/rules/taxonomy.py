"""Names of Sigma's taxonomy that our events do not carry: a rule that uses one is left out, not wrong.

From the taxonomy appendix of https://github.com/SigmaHQ/sigma-specification, version 2.1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ELSEWHERE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "process_creation": frozenset(
            {
                "Company",
                "Description",
                "FileVersion",
                "GrandParentImage",
                "Hashes",
                "Imphash",
                "IntegrityLevel",
                "LogonGuid",
                "LogonId",
                "OriginalFileName",
                "ParentUser",
                "Product",
                "TerminalSessionId",
                "UtcTime",
                "imphash",
                "md5",
                "sha1",
                "sha256",
            }
        ),
        "network_connection": frozenset(
            {
                "DestinationHostname",
                "DestinationIsIpv6",
                "DestinationPortName",
                "RuleName",
                "SourceHostname",
                "SourceIp",
                "SourceIsIpv6",
                "SourcePort",
                "SourcePortName",
                "UtcTime",
            }
        ),
    }
)
"""category -> names."""
