"""Sentences about pictures and their files."""

SENTENCES: dict[str, tuple[str, str]] = {
    "picture_not_saved": (
        "图片未能保存到 {path}：{reason}。请检查输出文件夹的权限，或在设置页另选文件夹。",
        "The picture could not be saved to {path}: {reason}. Check the folder's permissions or choose another in Settings.",
    ),
}
