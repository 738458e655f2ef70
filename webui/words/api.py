"""Sentences of the HTTP API."""

SENTENCES: dict[str, tuple[str, str]] = {
    "api_picture_gone": ("第 {number} 张图片已不在原处。", "Picture {number} is no longer where it was saved."),
    "not_yet": (
        "此版本尚不支持“{field}”。为免得到不同的图片，请求未执行。",
        "This version cannot do “{field}” yet. Nothing was made, rather than a picture without it.",
    ),
}
