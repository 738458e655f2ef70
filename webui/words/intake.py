"""Sentences about requests that cannot be accepted."""

SENTENCES: dict[str, tuple[str, str]] = {
    "unipc_order": (
        "UniPC 的阶数为 {order}，必须小于迭代步数（现为 {steps}）。请增加步数或在设置中降低阶数。",
        "UniPC's order is {order} and must be below the number of steps ({steps}). Use more steps or lower the order in Settings.",
    ),
    "no_checkpoint": (
        "没有可用的 Stable Diffusion 模型。请把模型放入 {searched} 后刷新列表。",
        "There is no checkpoint to use. Put one into {searched} and refresh the list.",
    ),
}
