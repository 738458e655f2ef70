"""What the console says when the server stands: addresses, the password of this start, a QR code for the phone."""

import io
import ipaddress
import socket
from urllib.parse import quote

import psutil
import segno

from webui.gate.accounts import Accounts
from webui.gate.policy import is_address, is_exposed
from webui.settings.flags import Flags
from webui.words import say


def announce(flags: Flags, port: int, accounts: Accounts, *, language: str) -> str:
    """The lines to print. The password is shown here and nowhere else."""
    scheme = "https" if flags.tls_certfile else "http"
    path = "/" + flags.subpath.strip("/")

    def address(host: str) -> str:
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"

    nearby = reachable_at(flags)
    own = "127.0.0.1" if not is_exposed(flags) or flags.listen or flags.share else flags.server_name
    lines = [say("door_here", language, address=address(own))]
    lines += [say("door_network", language, address=address(host)) for host in nearby]
    if accounts.one_time:
        lines.append(say("door_password", language, password=accounts.one_time))
    elif is_exposed(flags) and not accounts:
        lines.append(say("door_open", language))
    if nearby:
        link = address(nearby[0]) + (f"#sign-in={quote(accounts.one_time)}" if accounts.one_time else "")
        lines += [say("door_scan", language), qr(link)]
    return "\n".join(lines)


def qr(text: str) -> str:
    """A QR code in half-block letters, two modules a line."""
    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, compact=True, border=2)
    return out.getvalue().rstrip("\n")


def reachable_at(flags: Flags) -> list[str]:
    """Addresses other devices can use, the one with the way out first; none when only this computer can knock."""
    if not (flags.listen or flags.server_name in ("0.0.0.0", "::")):
        return [flags.server_name] if is_exposed(flags) and flags.server_name else []
    if flags.server_name and flags.server_name not in ("0.0.0.0", "::"):
        return [flags.server_name]
    return lan_addresses()


def lan_addresses() -> list[str]:
    """This machine's IPv4 addresses in private networks, the one of the default route first."""
    found: list[str] = []
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, rows in psutil.net_if_addrs().items():
        if name in up and not name.startswith(("docker", "br-", "veth", "virbr")):
            found += [row.address for row in rows if row.family == socket.AF_INET and is_nearby(row.address)]
    first = outward()
    return sorted(dict.fromkeys(found), key=lambda host: (host != first, not host.startswith("192.168."), host))


def is_nearby(host: str) -> bool:
    """A private address that is neither this computer's own loop nor made up for want of a network."""
    if not is_address(host):
        return False
    address = ipaddress.ip_address(host)
    return address.is_private and not address.is_loopback and not address.is_link_local


def outward() -> str:
    """The address of the default route. A UDP socket that is connected and never written to sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
