"""A request's fields as the page names them, for sentences that speak of one."""

FIELDS: dict[str, tuple[str, str]] = {
    "prompt": ("提示词", "Prompt"),
    "negative_prompt": ("反向提示词", "Negative prompt"),
    "width": ("宽度", "Width"),
    "height": ("高度", "Height"),
    "steps": ("迭代步数", "Sampling steps"),
    "cfg_scale": ("提示词引导系数", "CFG Scale"),
    "batch_size": ("单批数量", "Batch size"),
    "batch_count": ("总批次数", "Batch count"),
    "subseed_strength": ("变异强度", "Variation strength"),
    "seed_resize_width": ("种子缩放宽度", "Resize seed from width"),
    "seed_resize_height": ("种子缩放高度", "Resize seed from height"),
    "clip_skip": ("CLIP 终止层数", "Clip skip"),
    "denoising_strength": ("重绘幅度", "Denoising strength"),
    "init.denoising_strength": ("重绘幅度", "Denoising strength"),
    "init.scale": ("缩放比例", "Scale"),
    "init.image_cfg_scale": ("图像 CFG", "Image CFG Scale"),
    "init.noise_multiplier": ("图生图噪声乘数", "Noise multiplier for img2img"),
    "init.inpaint.blur_x": ("蒙版模糊", "Mask blur"),
    "init.inpaint.blur_y": ("蒙版模糊", "Mask blur"),
    "init.inpaint.padding": ("仅蒙版区域的边距", "Only masked padding, pixels"),
}
