"""What stands before every route: body limit, Host, Origin, sign-in. Pure ASGI: no route of anybody gets past it.

    Limits → HostCheck → OriginCheck → SignIn → the app

Each layer is one module with one class. A layer may import starlette, domain, words and settings. Add one: a module
here and its place in `build`. Who signs in is decided by `accounts.py`, what is allowed by `policy.py`, what the
console says by `door.py`. The signed-in account's name is `scope["state"]["user"]`; a server that asks nobody has one
person, LOCAL.

Accounts: `--gradio-auth anna:secret,ben:other` (page and API), `--gradio-auth-path FILE` (the same, one line each),
`--api-auth bot:secret` (HTTP Basic only). A password may hold `:`; it may hold `,` unless what follows the comma has a
`:` too, since that begins the next account.
"""

from starlette.types import ASGIApp

from webui.gate.accounts import LOCAL, Accounts, accounts_from
from webui.gate.door import announce
from webui.gate.errors import BadAccount, NoAccountFile
from webui.gate.hosts import HostCheck
from webui.gate.limits import Limits
from webui.gate.origins import OriginCheck
from webui.gate.policy import GatePolicy, policy_from
from webui.gate.signin import SignIn
from webui.settings.flags import public_flags


def build(app: ASGIApp, *, policy: GatePolicy, accounts: Accounts) -> ASGIApp:
    """The app behind the whole gate."""
    signed_in = SignIn(app, policy=policy, accounts=accounts)
    return Limits(HostCheck(OriginCheck(signed_in, policy=policy), policy=policy), policy=policy)


__all__ = [
    "LOCAL",
    "Accounts",
    "BadAccount",
    "GatePolicy",
    "NoAccountFile",
    "accounts_from",
    "announce",
    "build",
    "policy_from",
    "public_flags",
]
