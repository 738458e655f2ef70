"""Accounts from flags and files, and what the console and cmd-flags tell of them."""

import io
import json
import socket
from pathlib import Path

import pytest
import segno

from webui import gate
from webui.gate import door
from webui.gate.accounts import LETTERS, new_password, read_accounts
from webui.settings.flags import parse
from webui.words import explain


def pairs(text: str) -> list[tuple[str, str]]:
    return [(row.name, row.password) for row in read_accounts(text, "--gradio-auth")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("anna:x", [("anna", "x")]),
        ("anna:x,ben:y", [("anna", "x"), ("ben", "y")]),
        ("anna:x:y", [("anna", "x:y")]),
        ("anna:a,b,c,ben:y", [("anna", "a,b,c"), ("ben", "y")]),
        ("安娜:密码,ben: y ", [("安娜", "密码"), ("ben", " y ")]),
        ("", []),
    ],
)
def test_accounts_are_read_with_colons_and_commas_in_passwords(text: str, found: list[tuple[str, str]]) -> None:
    assert pairs(text) == found


@pytest.mark.parametrize("text", ["anna", "anna:", ":geheim", "anna:x,:y", ","])
def test_a_broken_account_is_named_by_its_place_and_never_shown(text: str) -> None:
    with pytest.raises(gate.BadAccount) as caught:
        pairs(text)
    for language in ("zh-CN", "en"):
        said = explain(caught.value, language)
        assert "--gradio-auth" in said and "geheim" not in said and "anna" not in said


def test_a_file_holds_an_account_a_line_with_bom_or_without(tmp_path: Path) -> None:
    path = tmp_path / "账号.txt"
    path.write_bytes("\ufeffanna:x\r\n\r\nben:y,cleo:z\n".encode())
    accounts = gate.accounts_from(parse(["--gradio-auth-path", str(path)], {}))
    assert accounts.check("anna", "x", page=True) and accounts.check("cleo", "z", page=True)
    assert not accounts.check("anna", "x\r", page=True)
    assert not accounts.one_time


def test_a_missing_file_of_accounts_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(gate.NoAccountFile) as caught:
        gate.accounts_from(parse(["--listen", "--gradio-auth-path", str(tmp_path / "gone.txt")], {}))
    assert "gone.txt" in explain(caught.value, "en")


def test_a_name_with_another_ones_password_is_nobody() -> None:
    accounts = gate.accounts_from(parse(["--gradio-auth", "anna:x,ben:y"], {}))
    assert not accounts.check("anna", "y", page=True) and not accounts.check("", "", page=True)


def test_no_more_than_a_thousand_sessions_are_kept() -> None:
    accounts = gate.accounts_from(parse(["--gradio-auth", "anna:x"], {}))
    tokens = [accounts.open_session("anna") for _ in range(1001)]
    assert len(set(tokens)) == 1001
    assert accounts.session(tokens[0]) is None and accounts.session(tokens[-1]) == "anna"


def test_passwords_of_a_start_are_easy_to_type_and_never_the_same() -> None:
    made = {new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(set(word) <= set(LETTERS + "-") and not set(word) & set("0o1il") for word in made)


def test_listening_prints_address_password_and_a_qr_code_that_signs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "lan_addresses", lambda: ["192.168.1.5", "10.0.0.2"])
    flags = parse(["--listen"], {})
    accounts = gate.accounts_from(flags)
    said = gate.announce(flags, 7861, accounts, language="en")
    assert "http://127.0.0.1:7861/" in said and "http://192.168.1.5:7861/" in said and "http://10.0.0.2:7861/" in said
    assert accounts.one_time in said
    out = io.StringIO()
    segno.make(f"http://192.168.1.5:7861/#sign-in={accounts.one_time}", error="l", micro=False).terminal(
        out, compact=True, border=2
    )
    assert out.getvalue().rstrip("\n") in said
    assert "密码" in gate.announce(flags, 7861, accounts, language="zh-CN")


def test_the_qr_code_carries_no_password_where_accounts_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(door, "lan_addresses", lambda: ["192.168.1.5"])
    monkeypatch.setattr(door, "qr", lambda text: seen.append(text) or "QR")
    flags = parse(["--listen", "--gradio-auth", "anna:geheim", "--tls-certfile", "cert.pem"], {})
    said = gate.announce(flags, 7860, gate.accounts_from(flags), language="en")
    assert seen == ["https://192.168.1.5:7860/"] and "geheim" not in said


def test_a_server_for_this_computer_says_its_address_alone() -> None:
    flags = parse([], {})
    said = gate.announce(flags, 7860, gate.accounts_from(flags), language="en")
    assert said.splitlines() == ["On this computer:  http://127.0.0.1:7860/"]


def test_an_open_server_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "lan_addresses", list)
    flags = parse(["--listen", "--insecure-no-auth"], {})
    assert "anyone on the network" in gate.announce(flags, 7860, gate.accounts_from(flags), language="en")


def test_the_addresses_of_this_machine_are_private_and_not_the_loop() -> None:
    for host in door.lan_addresses():
        assert not host.startswith("127.") and socket.inet_aton(host)


def test_no_secret_is_in_cmd_flags_or_in_any_repr() -> None:
    flags = parse(["--listen", "--gradio-auth", "anna:geheim", "--api-auth", "bot:versteckt", "--lora-dir", "a"], {})
    accounts = gate.accounts_from(flags)
    shown = (
        json.dumps(gate.public_flags(flags))
        + repr(flags)
        + repr(accounts)
        + repr(vars(accounts))
        + repr(read_accounts("x:geheim", ""))
    )
    assert "geheim" not in shown and "versteckt" not in shown
    assert gate.public_flags(flags)["lora_dir"] == ["a"] and gate.public_flags(flags)["listen"] is True
