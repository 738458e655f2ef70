"""Sentences about requests that cannot be accepted."""

SENTENCES: dict[str, tuple[str, str]] = {
    "unknown_upscaler": (
        "没有名为“{name}”的放大算法。相近的有：{closest}。模型请放入 models/ESRGAN 后刷新列表。",
        "There is no upscaler called “{name}”. Close: {closest}. Put models into models/ESRGAN and refresh the list.",
    ),
    "no_upscaler": (
        "{path} 不是可用的放大模型：{reason}。请换一个 ESRGAN、SwinIR、DAT 一类的模型。",
        "{path} is no upscaler we can run: {reason}. Choose one of ESRGAN, SwinIR, DAT or their kin.",
    ),
    "no_checkpoint": (
        "没有可用的 Stable Diffusion 模型。请把模型放入 {searched} 后刷新列表。",
        "There is no checkpoint to use. Put one into {searched} and refresh the list.",
    ),
    "size_rounded": (
        "尺寸须为 8 的倍数，已按 {width}×{height} 生成。",
        "Sizes are multiples of 8; this was made at {width}×{height}.",
    ),
    "network_not_yet": (
        "标签 <{tag}> 属于尚未支持的网络类型，已从提示词中移除。",
        "<{tag}> names a kind of network this version cannot apply yet; it was taken out of the prompt.",
    ),
}
