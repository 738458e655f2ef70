"""Sentences about cards and the notes beside models. Those that begin with `page_` are said in the browser."""

SENTENCES: dict[str, tuple[str, str]] = {
    "unknown_card": ("这个模型已不在列表中。请刷新列表。", "This model is no longer on the list. Refresh the list."),
    "notes_broken": (
        "{path} 无法读取（{reason}），为免丢失内容没有覆盖它。请修好或移走这个文件后再保存。",
        "{path} cannot be read ({reason}), so it was not written over. Repair it or move it away, then save again.",
    ),
    "notes_not_saved": ("无法写入 {path}：{reason}。请检查磁盘空间与文件夹权限。", "{path} could not be written: {reason}. Check the disk's space and the folder's permissions."),
    "notes_not_ours": (
        "这个模型位于 --a1111-home 指定的文件夹（{path}），那里从不写入任何内容。可将模型复制到自己的 models 文件夹后再编辑。",
        "This model lies in the folder that --a1111-home names ({path}), and nothing is ever written there. Copy the model into your own models folder to edit it.",
    ),
    "no_such_preview": ("没有这个预览图：{name}。", "There is no such preview: {name}."),
    "no_preview": ("这个模型没有预览图。", "This model has no preview."),
    "preview_not_named": ("“{name}”不是任何模型的预览图位置。", "“{name}” is no model's preview."),
    "page_no_cards": ("这里还没有模型。请将文件放入以下文件夹，然后点击刷新：", "There is nothing here yet. Put files into one of these folders, then refresh:"),
    "page_no_cards_found": ("没有符合搜索的模型。", "Nothing matches the search."),
    "page_cards_count": ("{shown} / {count}", "{shown} of {count}"),
    "page_card_misfit": ("适用于 {family}，而当前模型“{model}”属于 {needed}。", "Made for {family}; the chosen checkpoint “{model}” is {needed}."),
    "page_card_not_ours": (
        "这个模型位于 --a1111-home 指定的文件夹，那里从不写入任何内容，因此只能查看。",
        "This model lies in the folder that --a1111-home names. Nothing is ever written there, so this can only be read.",
    ),
    "page_preview_replaced": ("预览图已替换。", "The preview was replaced."),
    "page_cards_refreshed": ("已刷新：{count} 个模型。", "Refreshed: {count} models."),
    "page_no_metadata": ("文件中没有训练信息。", "The file tells nothing of its training."),
}  # fmt: skip
