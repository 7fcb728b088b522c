"""Where an address lies."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.decode.scope import METADATA, SCOPES, canonical, locate, scope, unmapped


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "external"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12::1", "private"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("64:ff9b::808:808", "external"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("203.0.113.66", "external"),
        ("198.51.100.7", "external"),
        ("192.0.2.1", "external"),
        ("2001:db8::1", "external"),
        ("8.8.8.8", "external"),
        ("2606:4700::1111", "external"),
        ("", "external"),
        ("no address", "external"),
    ],
)
def test_scope(ip: str, expected: str) -> None:
    """Each address has one scope; documentation networks are external."""
    assert scope(ip) == expected
    assert expected in SCOPES


def test_metadata_services_are_canonical() -> None:
    """Every listed metadata address is written as addresses are looked up."""
    assert all(str(ipaddress.ip_address(ip)) == ip and scope(ip) == "metadata" for ip in METADATA)


@pytest.mark.parametrize(
    ("family", "address", "expected"),
    [
        (2, bytes([203, 0, 113, 66]) + b"\xaa" * 12, "203.0.113.66"),
        (10, ipaddress.ip_address("2001:db8::1").packed, "2001:db8::1"),
        (10, ipaddress.ip_address("::ffff:10.0.0.1").packed, "10.0.0.1"),
        (1, bytes(16), ""),
    ],
)
def test_canonical_text(family: int, address: bytes, expected: str) -> None:
    """An IPv4 address is the first four bytes; a mapped one is the address it stands for; other families have none."""
    assert canonical(family, address) == expected


@given(st.ip_addresses(v=4))
def test_short_way_agrees(address: ipaddress.IPv4Address) -> None:
    """The quick look at an IPv4 address tells what the long one does."""
    assert locate(2, address.packed + bytes(12)) == (str(address), scope(str(address)))


@pytest.mark.parametrize("first", range(256))
def test_short_way_agrees_for_every_first_byte(first: int) -> None:
    """No first byte is taken for something that only some of its addresses are."""
    for rest in (b"\0\0\0", b"\x10\x00\x01", b"\xa8\x01\x01", b"\xfe\xa9\xfe", b"\x3f\x81\x10", b"\xff\xff\xff"):
        address = bytes([first]) + rest
        assert locate(2, address + bytes(12))[1] == scope(str(ipaddress.IPv4Address(address)))


def test_locate_other_families() -> None:
    """IPv6 addresses are located too, and what is no address lies outside."""
    assert locate(10, ipaddress.ip_address("fe80::1").packed) == ("fe80::1", "link-local")
    assert locate(1, bytes(16)) == ("", "external")


def test_unmapped_leaves_others_alone() -> None:
    """Only IPv4-mapped addresses change their family."""
    assert unmapped(ipaddress.ip_address("::ffff:1.2.3.4")) == "1.2.3.4"
    assert unmapped(ipaddress.ip_address("::1")) == "::1"


def test_cache_is_bounded() -> None:
    """More addresses than the cache holds are all told right."""
    assert {scope(f"10.0.{number // 256}.{number % 256}") for number in range(6000)} == {"private"}
