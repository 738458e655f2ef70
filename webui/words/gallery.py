"""Sentences about pictures and their files."""

SENTENCES: dict[str, tuple[str, str]] = {
    "blob_not_a_picture": (
        "这不是可以读取的图片（{reason}）。请换一张 PNG、JPEG 或 WebP 图片。",
        "This is not a picture that can be read ({reason}). Give a PNG, JPEG or WebP picture.",
    ),
    "blob_gone": (
        "请求所用的图片 {id} 已不在缓存里。请重新上传后再生成。",
        "The picture {id} that the request starts from is no longer kept. Upload it again, then generate.",
    ),
    "picture_not_saved": (
        "图片未能保存到 {path}：{reason}。请检查输出文件夹的权限，或在设置页另选文件夹。",
        "The picture could not be saved to {path}: {reason}. Check the folder's permissions or choose another in Settings.",
    ),
}
