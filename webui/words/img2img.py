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
    "folders_refused": (
        "这台服务器对外共享，只有登录的用户才能指定文件夹。请登录，或改用“上传”。",
        "This server is shared, and only somebody signed in may name folders. Sign in, or use Upload.",
    ),
    "folder_missing": (
        "找不到文件夹，或无法读取：{path}。请检查服务器上的路径。",
        "There is no such folder, or it cannot be read: {path}. Check the path on the machine the server runs on.",
    ),
    "folder_empty": (
        "文件夹中没有图片（{endings}）：{path}。",
        "There is no picture ({endings}) in the folder {path}.",
    ),
    "too_many_pictures": (
        "{given} 张图片超过了一批的上限（{most}）。请分批处理。",
        "{given} pictures are more than one batch takes ({most}). Split them up.",
    ),
    "turn_unreadable": (
        "无法读取 {name}，已跳过：{reason}",
        "{name} cannot be read and was left out: {reason}",
    ),
    "series_more_made": (
        "共生成 {made} 张，这里显示前 {shown} 张；其余已保存在输出文件夹。",
        "{made} pictures were made; the first {shown} are shown, the others are in the output folder.",
    ),
}
