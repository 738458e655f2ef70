"""Sentences of the HTTP API."""

SENTENCES: dict[str, tuple[str, str]] = {
    "api_picture_gone": ("第 {number} 张图片已不在原处。", "Picture {number} is no longer where it was saved."),
    "extras_no_pictures": ("没有要处理的图片。请附上至少一张图片。", "There is no picture to work on. Send at least one."),
    "no_interrogator": (
        "没有可用的图像反推模型（{model}），此版本尚未内置反推功能。",
        "There is no model here that describes pictures ({model}); this version does not have that built in yet.",
    ),
    "not_yet": (
        "此版本尚不支持“{field}”。为免得到不同的图片，请求未执行。",
        "This version cannot do “{field}” yet. Nothing was made, rather than a picture without it.",
    ),
    "script_not_numbers": (
        "脚本“{script}”的参数应为数字，收到：{given}。",
        "The arguments of the script “{script}” must be numbers, not: {given}.",
    ),
}
