"""Sentences of the prompt language."""

SENTENCES: dict[str, tuple[str, str]] = {
    "prompt_too_deep": (
        "{field} 中同时打开的括号超过 {most} 个。请补上右括号，或用 \\( \\[ 表示普通括号。",
        "More than {most} brackets are open at once in {field}. Close them, or write \\( and \\[ for plain brackets.",
    ),
    "unnamed_style": ("预设样式需要一个名称。请填写后再保存。", "A style needs a name. Give it one and save again."),
}
