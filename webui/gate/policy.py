"""What the gate lets pass, decided once from the flags."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from webui.settings.flags import Flags

BODY_LIMIT = 512 * 1024 * 1024
"""Bytes. The largest honest request is a batch of pictures as base64."""

LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """The rules. `hosts` are lower-case names, `*.example.com` for everything below one."""

    port: int = 7860
    hosts: frozenset[str] = frozenset()
    own_names: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()
    cors_regex: str = ""
    body_limit: int = BODY_LIMIT
    root_path: str = ""

    @property
    def any_origin(self) -> bool:
        return "*" in self.cors_origins

    def allows_origin(self, origin: str) -> bool:
        """Whether `--cors-allow-origins` or its regular expression names this origin."""
        if self.any_origin or origin in self.cors_origins:
            return True
        return bool(self.cors_regex) and re.fullmatch(self.cors_regex, origin) is not None

    def names(self, host: str) -> bool:
        """Whether `--allowed-host` or `--server-name` names this host."""
        return host in self.hosts or any(name.startswith("*.") and host.endswith(name[1:]) for name in self.hosts)


def policy_from(flags: Flags, port: int) -> GatePolicy:
    """The rules these flags ask for."""
    hosts = {host.lower().rstrip(".") for host in flags.allowed_host}
    if flags.server_name and not is_address(flags.server_name):
        hosts.add(flags.server_name.lower())
    if flags.share:
        hosts.add("*.gradio.live")  # the tunnel's other end
    own = socket.gethostname().lower()
    return GatePolicy(
        port=port,
        hosts=frozenset(hosts),
        own_names=frozenset({own, own.split(".")[0]}),
        cors_origins=tuple(
            filter(None, (origin.strip().rstrip("/") for origin in flags.cors_allow_origins.split(",")))
        ),
        cors_regex=flags.cors_allow_origins_regex,
        root_path="/" + flags.subpath.strip("/") if flags.subpath.strip("/") else "",
    )


def is_exposed(flags: Flags) -> bool:
    """Whether anyone but this computer can knock."""
    return flags.listen or flags.share or flags.server_name not in LOOPBACK


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
