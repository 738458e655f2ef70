"""Sentences of Extras."""

SENTENCES: dict[str, tuple[str, str]] = {
    "extras_more_made": (
        "共处理 {made} 张图片，这里显示 {shown} 张；其余已保存在输出文件夹。",
        "{made} pictures were made; {shown} are shown here, the others are in the output folder.",
    ),
    "extras_no_source": (
        "还没有要处理的图片。请先放入图片。",
        "There is no picture to work on. Put one in first.",
    ),
    "extras_field_wrong": ("“{field}”的值无法使用：{value}。", "The value of “{field}” cannot be used: {value}."),
    "page_extras_no_source": ("还没有要处理的图片。请先放入图片。", "There is no picture to work on. Put one in first."),
}
