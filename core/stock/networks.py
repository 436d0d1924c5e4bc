"""
Networks: who is counted as one visitor's place, whatever addresses they have.

A household or a bot has one IPv4 address, but 2^64 IPv6 addresses: those of its /64.
"""

import ipaddress


def network_of(address: str, *, counts_loopback: bool = False) -> str:
    """
    Return the network of *address*: an IPv4 /32 or an IPv6 /64, as "192.0.2.1/32".

    A port, a scope and the mapping of IPv4 into IPv6 are taken off first. "" is not
    counted: no address, none that can be read, or a loopback one unless
    *counts_loopback*.
    """
    try:
        ip = ipaddress.ip_address(_host(address.strip()))
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback and not counts_loopback:
        return ""
    length = 32 if ip.version == 4 else 64
    return str(ipaddress.ip_network((ip, length), strict=False))


def _host(address: str) -> str:
    """Take off a port and a scope: 192.0.2.1:80, [2001:db8::1]:80, fe80::1%eth0."""
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    return address.partition("%")[0]
