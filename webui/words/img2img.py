"""Sentences about init images and masks."""

SENTENCES: dict[str, tuple[str, str]] = {
    "mask_is_empty": (
        "蒙版是空的，无法“仅蒙版区域”重绘，已改为普通图生图。",
        "The mask is empty, so there is no masked area to work on; this was made as plain img2img.",
    ),
    "and_with_picture": (
        "InstructPix2Pix 模型不支持提示词中的 AND。请去掉 AND，或把图像 CFG 设为 1。",
        "InstructPix2Pix checkpoints cannot take AND in a prompt. Leave it out, or set Image CFG Scale to 1.",
    ),
    "no_init_image": (
        "没有输入图像。请先放入一张图像再生成。",
        "There is no init image. Put one in before you generate.",
    ),
    "too_many_init_images": (
        "{given} 张输入图像无法分给 {pictures} 张图片（每批 {batch_size} 张）：请给 1 张、不多于每批数量，或与总数相同。",
        "{given} init images cannot be shared out over {pictures} pictures in batches of {batch_size}: "
        "give one, no more than a batch holds, or one for each picture.",
    ),
    "init_with_hires": (
        "图生图没有高分辨率修复。请关闭它，或改用更大的尺寸。",
        "img2img has no hires. fix. Switch it off, or ask for a larger size.",
    ),
}
