"""The allow-list of dlms_config.yaml for firewalld or nftables: the network refuses whom the service refuses."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from amity.runtime.doors.peers import Network, network_of

MQTT_TLS_PORT: Final = 8883


class Firewall(StrEnum):
    """For which program the lines are."""

    FIREWALLD = "firewalld"
    NFTABLES = "nftables"


def firewall_lines(kind: Firewall, peers: Iterable[str], port: int) -> list[str]:
    """Lines that let these networks call `port` (TCP and UDP) and MQTT over TLS, and nobody else."""
    networks = [network_of(peer) for peer in peers]
    return _firewalld(networks, port) if kind is Firewall.FIREWALLD else _nftables(networks, port)


def _firewalld(networks: Sequence[Network], port: int) -> list[str]:
    """Rich rules; what no rule of the zone accepts is rejected by the zone itself."""
    doors = ((port, "tcp"), (port, "udp"), (MQTT_TLS_PORT, "tcp"))
    rules = [
        f'rule family="ipv{one.version}" source address="{one}" port port="{door}" protocol="{carrier}" accept'
        for one in networks
        for door, carrier in doors
    ]
    closed = [f"firewall-cmd --permanent --remove-port={door}/{carrier}" for door, carrier in doors]
    return [*closed, *(f"firewall-cmd --permanent --add-rich-rule='{rule}'" for rule in rules), "firewall-cmd --reload"]


def _nftables(networks: Sequence[Network], port: int) -> list[str]:
    """A table of its own: loading the file again replaces it, deleting it removes every trace."""
    return [
        "# /etc/nftables.d/ami-gateway.nft; load it with: nft -f FILE",
        "table inet ami_gateway",
        "delete table inet ami_gateway",
        "table inet ami_gateway {",
        *_set("peers4", "ipv4_addr", [one for one in networks if one.version == 4]),  # noqa: PLR2004 - IPv4
        *_set("peers6", "ipv6_addr", [one for one in networks if one.version == 6]),  # noqa: PLR2004 - IPv6
        "  chain callers {",
        "    ip saddr @peers4 accept",
        "    ip6 saddr @peers6 accept",
        "    counter drop",
        "  }",
        "  chain input {",
        "    type filter hook input priority filter; policy accept;",
        f"    tcp dport {{ {port}, {MQTT_TLS_PORT} }} jump callers",
        f"    udp dport {port} jump callers",
        "  }",
        "}",
    ]


def _set(name: str, kind: str, networks: Sequence[Network]) -> list[str]:
    elements = [f"    elements = {{ {', '.join(map(str, networks))} }}"] if networks else []
    return [f"  set {name} {{", f"    type {kind}; flags interval; auto-merge", *elements, "  }"]
