import pytest

from core.stock.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.1:50123", "192.0.2.1/32"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("[::ffff:192.0.2.1]:443", "192.0.2.1/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (" 192.0.2.1 ", "192.0.2.1/32"),
    ],
)
def test_addresses_of_one_place_are_one_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9:80", "::1", "[::1]:80"])
def test_a_loopback_address_counts_only_when_told_so(address: str) -> None:
    assert network_of(address) == ""
    assert network_of(address, counts_loopback=True) != ""


@pytest.mark.parametrize("address", ["", "unix:", "unknown", "1.2.3", "::ffff:", "["])
def test_what_is_no_address_is_not_counted(address: str) -> None:
    assert network_of(address, counts_loopback=True) == ""
