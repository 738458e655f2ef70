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
    "foreign_picture": (
        "这张图由 {program} 生成；参数已换算成本程序的写法。",
        "This picture was made with {program}; its parameters were translated.",
    ),
    "foreign_left_out": (
        "{program} 的以下内容无法换算：{names}。",
        "These of {program} could not be carried over: {names}.",
    ),
    "foreign_noise_cpu": (
        "{program} 在 CPU 上取噪声：已设为 RNG: CPU。随机性采样器（名称带 a 或 SDE）的后续噪声仍会不同。",
        "{program} draws its noise on the CPU, so RNG is set to CPU. Later noise of ancestral and SDE samplers still differs.",
    ),
    "foreign_noise_own": (
        "{program} 有自己的噪声，相同的种子不会得到相同的图片。",
        "{program} has its own noise: the same seed does not give the same picture.",
    ),
    "foreign_comfy_weights": (
        "ComfyUI 对 (文字:权重) 的计算方式不同；可把“强调模式”设为 No norm，会更接近。",
        "ComfyUI weighs (words:1.2) in another way; Emphasis mode No norm comes nearer.",
    ),
    "foreign_init_missing": (
        "{program} 从另一张图片开始（图生图），文件里没有那张图；请自行提供。",
        "{program} started from another picture (img2img), which is not in the file: give it yourself.",
    ),
    "foreign_model_only_there": (
        "{program} 的模型“{model}”没有公开文件，只能用相近的模型代替。",
        "{program}'s model “{model}” is no file one can have; only a similar one can stand in.",
    ),
    "saved_as": ("已保存：{name}（{folder}）", "Saved: {name} ({folder})"),
    "picture_not_saved": (
        "图片未能保存到 {path}：{reason}。请检查输出文件夹的权限，或在设置页另选文件夹。",
        "The picture could not be saved to {path}: {reason}. Check the folder's permissions or choose another in Settings.",
    ),
}
