"""The API described by itself, at /docs, from our own files: FastAPI's page would fetch scripts from elsewhere."""

import html
import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from webui.api.errors import language

STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;margin:0 auto;max-width:62rem;padding:1rem;
color-scheme:light dark}
details{border:1px solid #8886;border-radius:.5rem;margin:.4rem 0;padding:.3rem .7rem}
summary{cursor:pointer;font-family:ui-monospace,monospace}summary b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8884;padding:.25rem .5rem;text-align:left;
vertical-align:top}code{font-family:ui-monospace,monospace}h2{margin-top:1.6rem}
"""


def mount(app: FastAPI) -> None:
    """Add /docs; /openapi.json is FastAPI's own."""

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:  # pyright: ignore[reportUnusedFunction]
        return HTMLResponse(page(app.openapi(), chinese=language(request) == "zh-CN"))


def page(schema: dict[str, Any], *, chinese: bool) -> str:
    """The OpenAPI document as one self-contained page."""
    title = html.escape(schema["info"]["title"])
    intro = "机器可读的说明" if chinese else "The same for machines"
    groups: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(_operation(schema, path, method, operation, chinese=chinese))
    parts = "".join(f"<h2>{html.escape(group)}</h2>{''.join(rows)}" for group, rows in groups.items())
    return (
        f'<!doctype html><html lang="{"zh-CN" if chinese else "en"}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title} API</title><style>{STYLE}</style>'
        f'<h1>{title} API</h1><p><a href="openapi.json">openapi.json</a>: {intro}</p>{parts}</html>'
    )


def _operation(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any], *, chinese: bool) -> str:
    told = html.escape(operation.get("description") or operation.get("summary") or "")
    rows = [(each["name"], each["schema"], each["in"]) for each in operation.get("parameters", ())]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    rows += [(name, kind, "body") for name, kind in _fields(schema, body)]
    heads = ("字段", "类型", "默认值") if chinese else ("Field", "Type", "Default")
    table = "".join(_row(name, kind, where) for name, kind, where in rows)
    fields = f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{table}</table>" if rows else ""
    return f"<details><summary><b>{method.upper()}</b> {html.escape(path)}</summary><p>{told}</p>{fields}</details>"


def _row(name: str, kind: dict[str, Any], where: str) -> str:
    default = html.escape(json.dumps(kind["default"], ensure_ascii=False)) if "default" in kind else ""
    shape = f"{html.escape(_type(kind))} <small>{where}</small>"
    return f"<tr><td><code>{html.escape(name)}</code></td><td>{shape}</td><td><code>{default}</code></td></tr>"


def _fields(schema: dict[str, Any], body: dict[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
    if body is None:
        return []
    named = str(body.get("$ref", "")).rsplit("/", 1)[-1]
    found: dict[str, Any] = schema["components"]["schemas"][named] if named else body
    return list(found.get("properties", {}).items())


def _type(kind: dict[str, Any]) -> str:
    if "anyOf" in kind:
        return " | ".join(_type(each) for each in kind["anyOf"])
    if "$ref" in kind:
        return kind["$ref"].rsplit("/", 1)[-1]
    if kind.get("type") == "array":
        return f"[{_type(kind.get('items', {}))}]"
    return str(kind.get("type", "any"))
