"""Sentences about the memory a run will need."""

SENTENCES: dict[str, tuple[str, str]] = {
    "need_whole": ("约需 {needed} GB，可用 {free} GB", "needs about {needed} GB of {free} GB free"),
    "need_turns": (
        "约需 {needed} GB，可用 {free} GB：各部分轮流载入，较慢",
        "needs about {needed} GB of {free} GB free: parts take turns, slower",
    ),
    "need_tight": (
        "约需 {needed} GB，可用仅 {free} GB：将分块处理，慢得多",
        "needs about {needed} GB, only {free} GB free: will work in pieces, much slower",
    ),
    "need_unknown": ("约需 {needed} GB 内存", "needs about {needed} GB"),
    "api_need_unknown": (
        "无法从模型 {name} 的文件头得知各部分的大小。",
        "The header of {name} does not tell how large its parts are.",
    ),
}
