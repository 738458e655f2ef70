"""Sentences of loading models, decoding and previews."""

SENTENCES: dict[str, tuple[str, str]] = {
    "wrong_format": ("{path} 的后缀表示 {expected}，内容却是 {found}。请改成正确的后缀，或重新下载。",
                     "{path} is named as {expected} but contains {found}. Correct its ending or download it again."),
    "no_vae": ("模型“{model}”不含 VAE。请在“外挂 VAE 模型”中选择一个。", "“{model}” carries no VAE. Choose one under SD VAE."),
    "vae_retried_in_bf16": ("“{model}”的 VAE 以半精度解码时出现 NaN，已改用 bfloat16 重新解码。可加 --no-half-vae 免去重试。",
                            "The VAE of “{model}” gave NaN in half precision; it was decoded again in bfloat16. --no-half-vae spares the second try."),
    "vae_retried_in_fp32": ("“{model}”的 VAE 以半精度解码时出现 NaN，已改用 fp32 重新解码。可加 --no-half-vae 免去重试。",
                            "The VAE of “{model}” gave NaN in half precision and was run again in fp32. --no-half-vae avoids the retry."),
    "taesd_missing": ("没有找到 TAESD 的{part}，已改用完整的 VAE。请把它放入 {folder}。",
                      "TAESD's {part} was not found; the full VAE is used. Put it into {folder}."),
    "memory_tight": ("显存或内存紧张：这一步约需 {needed} GB，可用 {free} GB。已按可用量分批、分块计算；结果相同，但会慢一些。",
                     "Memory is tight: this step takes about {needed} GB, {free} GB are free. It is done in smaller groups and tiles as far as needed; the picture is the same, slower."),
    "memory_split": ("显存不足，已改为每次计算 {rows} 行；结果相同，但会慢一些。", "Memory ran out; {rows} rows are now computed at a time. The picture is the same, slower."),
    "memory_tiled": ("显存不足，VAE 已改为按 {side} 像素的分块处理。", "Memory ran out in the VAE; it now works in tiles of {side} pixels."),
    "memory_parts": ("显存不足以同时放下整个模型，各部分用到时才移入显存（同 --medvram）。", "The whole model does not fit on the device; its parts are moved there in turns (as --medvram does)."),
    "memory_blocks": ("显存仍然不足，UNet 改为逐层移入显存（同 --lowvram），会明显变慢。", "Memory is still short; the UNet is moved to the device layer by layer (as --lowvram does), which is much slower."),
    "preview_fell_back": ("没有找到 {method} 预览所需的解码器，已改用 {used}。请把解码器放入 {folder}。",
                          "The decoder for {method} previews was not found; {used} is used. Put the decoder into {folder}."),
    "family_not_yet": ("目前只能运行 Stable Diffusion 1.x 和 SDXL 的模型", "only Stable Diffusion 1.x and SDXL models run so far"),
    "edm_not_yet": (
        "它用的是 EDM 噪声级（如 CosXL、Playground 2.5），目前还不能运行",
        "its noise levels are EDM's (as CosXL's and Playground 2.5's), which do not run yet",
    ),
    "no_picture_channels": (
        "模型“{model}”是局部重绘或 InstructPix2Pix 模型，需要一张输入图片。请在图生图中使用它。",
        "“{model}” is an inpainting or InstructPix2Pix model and needs a picture to start from. Use it in img2img.",
    ),
}
