"""Who may sign in, and who has: accounts of the flags, sessions, and the patience with wrong passwords."""

import hashlib
import hmac
import ipaddress
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from webui.gate.errors import BadAccount, NoAccountFile
from webui.gate.policy import is_exposed
from webui.settings.flags import Flags

LOCAL = "local"
"""The one person of a server that asks nobody to sign in."""

GUEST = "maple"
"""The account behind the password made for one start."""

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is misread: i l o 0 1
SESSION_SECONDS = 30 * 24 * 3600.0
SESSIONS_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A name and its password; `page` accounts may use the sign-in page, the others HTTP Basic only."""

    name: str
    password: str = field(repr=False)
    page: bool = True


class Accounts:
    """The accounts and their open sessions. Passwords are compared in constant time, tokens are kept as digests."""

    def __init__(
        self, rows: Iterable[Account] = (), *, one_time: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._key = secrets.token_bytes(32)
        self.one_time = one_time
        everyone = [*rows, *([Account(name=GUEST, password=one_time)] if one_time else [])]
        self._rows = [(row.name, self._digest(row.name), self._digest(row.password), row.page) for row in everyone]
        self._sessions: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._clock = clock
        self.patience = Patience(clock)

    def __bool__(self) -> bool:
        """Whether anybody has to sign in."""
        return bool(self._rows)

    @property
    def password_alone(self) -> bool:
        """Whether the page need not ask for a name."""
        return [name for name, _, _, page in self._rows if page] == [GUEST] and bool(self.one_time)

    def check(self, name: str, password: str, *, page: bool) -> bool:
        """Whether this is an account's password. Every account is compared, so that time tells nothing."""
        asked, given, right = self._digest(name), self._digest(password), False
        for _, own_name, own_password, has_page in self._rows:
            same = hmac.compare_digest(asked, own_name) & hmac.compare_digest(given, own_password)
            right |= same and (has_page or not page)
        return right

    def open_session(self, name: str) -> str:
        """A new session's token; only its digest is kept."""
        token = secrets.token_urlsafe(32)
        self._sessions[self._digest(token)] = (name, self._clock() + SESSION_SECONDS)
        while len(self._sessions) > SESSIONS_KEPT:
            self._sessions.popitem(last=False)
        return token

    def session(self, token: str) -> str | None:
        """Whose session a token is; None for an unknown or old one."""
        digest = self._digest(token)
        name, until = self._sessions.get(digest, ("", 0.0))
        if not name or until < self._clock():
            self._sessions.pop(digest, None)
            return None
        self._sessions[digest] = (name, self._clock() + SESSION_SECONDS)
        self._sessions.move_to_end(digest)
        return name

    def close_session(self, token: str) -> None:
        self._sessions.pop(self._digest(token), None)

    def _digest(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


class Patience:
    """Waits that double with wrong passwords: per caller and name after 5, per caller after 30; a minute at most."""

    FREE = 5
    FREE_OF_A_CALLER = 30
    LONGEST = 60.0
    FORGET = 900.0
    KEPT = 10_000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()  # → how many, when the last

    def wait(self, caller: str, name: str) -> float:
        """Seconds this caller must wait before a password for this name is looked at; 0 when it may come."""
        here = network_of(caller)
        return max(self._left((here, name), self.FREE), self._left((here, ""), self.FREE_OF_A_CALLER))

    def wrong(self, caller: str, name: str) -> None:
        """Another wrong password."""
        here = network_of(caller)
        for key in ((here, name), (here, "")):
            count, last = self._wrong.pop(key, (0, 0.0))
            fresh = self._clock() - last < self.FORGET
            self._wrong[key] = (count + 1 if fresh else 1, self._clock())
        while len(self._wrong) > self.KEPT:
            self._wrong.popitem(last=False)

    def right(self, caller: str, name: str) -> None:
        """The right password: this name's count begins anew. The caller's own stays, guessing others earns nothing."""
        self._wrong.pop((network_of(caller), name), None)

    def _left(self, key: tuple[str, str], free: int) -> float:
        count, last = self._wrong.get(key, (0, 0.0))
        if count < free:
            return 0.0
        penalty = min(self.LONGEST, 2.0 ** min(count - free, 10))
        return max(0.0, math.ceil(last + penalty - self._clock()))


def network_of(caller: str) -> str:
    """The address that counts as one caller: an IPv6 household owns a whole /64."""
    try:
        address = ipaddress.ip_address(caller)
    except ValueError:
        return caller
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else caller


def accounts_from(flags: Flags) -> Accounts:
    """The accounts these flags name; listening without one makes a password for this start.

    Raises BadAccount, NoAccountFile.
    """
    rows = [*read_accounts(flags.gradio_auth, "--gradio-auth"), *file_accounts(flags.gradio_auth_path)]
    rows += [
        Account(name=row.name, password=row.password, page=False) for row in read_accounts(flags.api_auth, "--api-auth")
    ]
    # Accounts for the API alone would leave the page without a way in.
    nobody = not any(row.page for row in rows)
    wanted = bool(rows) or (is_exposed(flags) and not flags.insecure_no_auth)
    return Accounts(rows, one_time=new_password() if nobody and wanted else "")


def read_accounts(text: str, flag: str) -> list[Account]:
    """`name:password,name:password`; a piece without a colon belongs to the password before it. Raises BadAccount."""
    pieces: list[str] = []
    for piece in text.split(",") if text.strip() else []:
        if pieces and ":" not in piece:
            pieces[-1] += "," + piece
        else:
            pieces.append(piece)
    found: list[Account] = []
    for position, piece in enumerate(pieces, 1):
        name, colon, password = piece.partition(":")
        if not colon or not name.strip() or not password:
            raise BadAccount(flag=flag, position=position)
        found.append(Account(name=name.strip(), password=password))
    return found


def file_accounts(path: Path | None) -> list[Account]:
    """Accounts of a file, a line each; empty lines do not count. Raises NoAccountFile, BadAccount."""
    if path is None:
        return []
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NoAccountFile(path=str(path), reason=type(error).__name__) from error
    return [row for line in lines if line.strip() for row in read_accounts(line, "--gradio-auth-path")]


def new_password() -> str:
    """Twelve letters in three groups, 59 bits: typed on a phone, not guessed."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
