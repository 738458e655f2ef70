"""Who asks. The gate has put the name into the scope."""

from fastapi import Request

LOCAL = "local"
"""The one person of a server that asks nobody to sign in."""


def owner_of(request: Request) -> str:
    """The signed-in account, or LOCAL."""
    return request.scope.get("state", {}).get("user") or LOCAL
