"""Sentences about LoRA, hypernetworks and embeddings named in prompts."""

SENTENCES: dict[str, tuple[str, str]] = {
    "network_unknown": (
        "找不到标签 <{tag}> 所指的文件，已忽略。已查找：{searched}。相近的有：{closest}。",
        "There is no file for <{tag}>; it was left out. Searched: {searched}. Close: {closest}.",
    ),
    "network_gone": (
        "标签 <{tag}> 所指的文件已不在（{path}），已忽略。请刷新列表。",
        "The file of <{tag}> is gone ({path}); it was left out. Refresh the list.",
    ),
    "network_bad_number": (
        "标签 <{tag}> 中有不是数字的强度，已忽略整个标签。写法示例：{example}。",
        "<{tag}> has a strength that is no number; the tag was left out. Written like this: {example}.",
    ),
    "network_misfit": (
        "“{name}”属于 {family}，而模型“{model}”属于 {needed}，已忽略。适用的有：{fitting}。",
        "“{name}” is for {family}, but “{model}” is {needed}; it was left out. These would fit: {fitting}.",
    ),
    "network_misfit_model": (
        "“{name}”属于 {family}，而模型“{model}”属于 {needed}，已忽略。它适用于模型：{fitting}。",
        "“{name}” is for {family}, but “{model}” is {needed}; it was left out. It fits the models {fitting}.",
    ),
    "network_misfit_none": (
        "“{name}”属于 {family}，而模型“{model}”属于 {needed}，已忽略。它需要 {family} 模型。",
        "“{name}” is for {family}, but “{model}” is {needed}; it was left out. It needs a model of {family}.",
    ),
    "network_ambiguous": (
        "标签 <{tag}> 的名称被多个文件使用，已忽略。请改写文件名：{files}。",
        "Several files may be meant by <{tag}>; it was left out. Write a file name instead: {files}.",
    ),
    "network_kind_not_yet": (
        "“{name}”是 {kind} 格式，目前还不能使用，已忽略。可用的格式有 LoRA、LoHa、LoKr、DoRA、full 和 norm。",
        "“{name}” is a {kind} adapter; that kind cannot be used yet, so it was left out. Those that can: LoRA, LoHa, "
        "LoKr, DoRA, full and norm.",
    ),
    "adapter_fits_nothing": (
        "“{name}”与当前模型没有任何匹配的层，对图片没有作用。请确认它适用于这个模型。",
        "No layer of “{name}” fits this model, so it changed nothing. Check which model it was made for.",
    ),
    "adapter_fits_partly": (
        "“{name}”只应用了 {fitted} 层，另有 {unread} 层与当前模型不匹配或格式尚不支持。",
        "{fitted} layers of “{name}” were applied; {unread} do not fit this model or are of a kind not read yet.",
    ),
    "embedding_misfit": (
        "嵌入“{name}”的宽度为 {width}，而这个模型需要 {needed}，因此当作普通文字处理。适用的有：{fitting}。",
        "The embedding “{name}” is {width} wide, this model needs {needed}; the name was read as plain text. These would "
        "fit: {fitting}.",
    ),
    "embedding_misfit_none": (
        "嵌入“{name}”的宽度为 {width}，而这个模型需要 {needed}，因此当作普通文字处理。它是为另一种模型制作的。",
        "The embedding “{name}” is {width} wide, this model needs {needed}; the name was read as plain text. It was made "
        "for another family of models.",
    ),
}  # fmt: skip
