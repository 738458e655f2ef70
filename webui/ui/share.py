"""Gradio's public tunnel to this server, for `--share`."""

import secrets


def open_tunnel(port: int) -> str:
    """The public address of a tunnel to 127.0.0.1:port. Raises whatever Gradio's server and program run into."""
    from gradio import networking  # only `--share` needs it

    return networking.setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None)
