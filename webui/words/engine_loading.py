"""Sentences of loading models, decoding and previews."""

SENTENCES: dict[str, tuple[str, str]] = {
    "wrong_format": ("{path} 的后缀表示 {expected}，内容却是 {found}。请改成正确的后缀，或重新下载。",
                     "{path} is named as {expected} but contains {found}. Correct its ending or download it again."),
    "no_vae": ("模型“{model}”不含 VAE。请在“外挂 VAE 模型”中选择一个。", "“{model}” carries no VAE. Choose one under SD VAE."),
    "vae_retried_in_fp32": ("“{model}”的 VAE 以半精度解码时出现 NaN，已改用 fp32 重新解码。可加 --no-half-vae 免去重试。",
                            "The VAE of “{model}” gave NaN in half precision and was run again in fp32. --no-half-vae avoids the retry."),
    "preview_fell_back": ("没有找到 {method} 预览所需的解码器，已改用 {used}。请把解码器放入 {folder}。",
                          "The decoder for {method} previews was not found; {used} is used. Put the decoder into {folder}."),
    "family_not_yet": ("目前只能运行 Stable Diffusion 1.x 和 SDXL 的模型", "only Stable Diffusion 1.x and SDXL models run so far"),
    "no_picture_channels": (
        "模型“{model}”是局部重绘或 InstructPix2Pix 模型，需要一张输入图片。请在图生图中使用它。",
        "“{model}” is an inpainting or InstructPix2Pix model and needs a picture to start from. Use it in img2img.",
    ),
}
