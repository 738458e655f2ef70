"""The sign-in page: one file, no request but its own form, readable on a phone, dark and light, both languages."""

from collections.abc import Mapping
from html import escape

from webui.words import say

# The link of the QR code carries the password behind '#', which no browser sends: it is in no log.
SCRIPT = """
const form = document.forms[0];
if (!form.elements.next.value) form.elements.next.value = location.pathname + location.search;
const given = new URLSearchParams(location.hash.slice(1)).get("sign-in");
if (given) {
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.password.value = given;
  form.submit();
}
"""

STYLE = """
:root { color-scheme: light dark; --back: #f4f4f5; --card: #fff; --text: #18181b; --line: #d4d4d8; --hot: #c2410c; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0b0f19; --card: #1f2937; --text: #f3f4f6; --line: #374151; --hot: #ea580c; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-items: center; padding: 1rem;
  background: var(--back); color: var(--text);
  font: 1rem/1.5 ui-sans-serif, system-ui, "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", sans-serif; }
form { width: min(22rem, 100%); padding: 1.5rem; border: 1px solid var(--line); border-radius: .75rem;
  background: var(--card); }
h1 { margin: 0 0 .25rem; font-size: 1.25rem; }
p { margin: 0 0 1rem; opacity: .8; }
label { display: block; margin-bottom: .75rem; }
input { width: 100%; margin-top: .25rem; padding: .6rem .7rem; font: inherit; color: inherit;
  background: var(--back); border: 1px solid var(--line); border-radius: .5rem; }
button { width: 100%; min-height: 2.75rem; font: inherit; font-weight: 600; color: #fff; background: var(--hot);
  border: 0; border-radius: .5rem; cursor: pointer; }
.problem { opacity: 1; color: #dc2626; font-weight: 600; }
"""


def sign_in_page(
    *, language: str, action: str, guest: str, target: str, problem: str, fields: Mapping[str, object]
) -> str:
    """The page's HTML. `guest` is the name taken for granted, `target` where to go on, `problem` what went wrong.

    Each may be empty; without a target the page goes on to where it stands.
    """

    def words(key: str) -> str:
        return escape(say(key, language))

    hint = "sign_in_hint_password" if guest else "sign_in_hint"
    wrong = f'<p class="problem" role="alert">{escape(say(problem, language, **fields))}</p>' if problem else ""
    typed = 'autocomplete="username" autocapitalize="none" required autofocus'
    name = f'<label>{words("sign_in_name")}<input name="username" {typed}></label>'
    if guest:  # a text field, so that the browser's password store has a name to file it under
        name = f'<input name="username" autocomplete="username" value="{escape(guest)}" hidden>'
    secret = 'type="password" autocomplete="current-password" required'
    return f"""<!doctype html>
<html lang="{escape(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>{words("sign_in_title")} · Maple WebUI</title>
<style>{STYLE}</style>
</head>
<body>
<form method="post" action="{escape(action)}">
<h1>Maple WebUI</h1>
<p>{words(hint)}</p>
{wrong}
{name}
<label>{words("sign_in_password")}<input name="password" {secret}></label>
<input type="hidden" name="next" value="{escape(target)}">
<button type="submit">{words("sign_in_button")}</button>
</form>
<script>{SCRIPT}</script>
</body>
</html>
"""
