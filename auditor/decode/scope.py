"""Where an address lies, as seen from the host."""

from __future__ import annotations

import ipaddress
from typing import Final

SCOPES: Final = ("loopback", "private", "link-local", "metadata", "multicast", "unspecified", "external")
"""Every answer of `scope`."""

METADATA: Final = frozenset(
    {
        "169.254.169.254",  # EC2, GCE, Azure, OpenStack, Oracle: their instance metadata documentation
        "169.254.170.2",  # Amazon ECS task credentials
        "169.254.170.23",  # Amazon EKS Pod Identity
        "fd00:ec2::254",  # EC2 over IPv6
        "fd00:ec2::23",  # Amazon EKS Pod Identity over IPv6
        "fd20:ce::254",  # GCE over IPv6
        "100.100.100.200",  # Alibaba Cloud ECS
        "168.63.129.16",  # Azure's host agent (WireServer)
    }
)
"""Addresses of services that hand credentials to whoever asks from the host."""

# The first network that holds the address decides. Documentation networks (RFC 5737, RFC 3849) are in none of them:
# they are external, which is what tests and demonstrations need.
_NETWORKS: Final = tuple(
    (ipaddress.ip_network(network), name)
    for network, name in (
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("0.0.0.0/32", "unspecified"),
        ("::/128", "unspecified"),
        ("169.254.0.0/16", "link-local"),  # RFC 3927
        ("fe80::/10", "link-local"),
        ("10.0.0.0/8", "private"),  # RFC 1918, and the two below
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "private"),  # RFC 6598, shared address space of providers
        ("192.0.0.0/24", "private"),  # RFC 6890, protocol assignments
        ("198.18.0.0/15", "private"),  # RFC 2544, benchmarks
        ("fc00::/7", "private"),  # RFC 4193
        ("fec0::/10", "private"),  # RFC 3879, the former site-local addresses
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "multicast"),  # the limited broadcast
        ("ff00::/8", "multicast"),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address

# What the first byte of an IPv4 address tells by itself; the others that begin a network above need a closer look.
_BY_FIRST_BYTE: Final = {127: "loopback", 10: "private", **dict.fromkeys(range(224, 240), "multicast")}
_CLOSER: Final = frozenset({0, 100, 168, 169, 172, 192, 198, 255})
_CACHE_LIMIT: Final = 4096
_known: dict[str, str] = {}


def scope(ip: str) -> str:
    """Return where `ip` (canonical text) lies, one of `SCOPES`. Text that is no address counts as external."""
    found = _known.get(ip)
    if found is None:
        if len(_known) >= _CACHE_LIMIT:
            _known.clear()
        found = _known[ip] = _find(ip)
    return found


def _find(ip: str) -> str:
    if ip in METADATA:
        return "metadata"
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return "external"
    if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
        return _find(str(ipaddress.IPv4Address(address.packed[-4:])))
    for network, name in _NETWORKS:
        if address.version == network.version and address in network:
            return name
    return "external"


def canonical(family: int, address: bytes) -> str:
    """Return the text of an address as the kernel gives it: 2 (AF_INET) or 10 (AF_INET6), and 16 bytes.

    An IPv4-mapped IPv6 address is the IPv4 address that it stands for. Another family gives an empty text.
    """
    if family == 2:
        return str(ipaddress.IPv4Address(address[:4]))
    if family == 10:
        return unmapped(ipaddress.IPv6Address(address))
    return ""


def locate(family: int, address: bytes) -> tuple[str, str]:
    """Return the text and the scope of an address as the kernel gives it, as `canonical` and `scope` would.

    Made for an agent that connects to a hundred thousand different addresses a second.
    """
    if family == 2:
        first = address[0]
        ip = "%d.%d.%d.%d" % (first, address[1], address[2], address[3])  # noqa: UP031 - thrice as fast
        return ip, scope(ip) if first in _CLOSER else _BY_FIRST_BYTE.get(first, "external")
    ip = canonical(family, address)
    return ip, scope(ip)


def unmapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return the address as text, IPv4-mapped IPv6 addresses as IPv4."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
