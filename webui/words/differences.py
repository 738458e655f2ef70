"""Why a picture made from a pasted text differs: one sentence for each factor, and what its button does."""

SENTENCES: dict[str, tuple[str, str]] = {
    "differs_model_missing": (
        "这里没有检查点“{model}”（哈希 {hash}）。请下载同一个文件；同名不同哈希的文件会得到不同的图片。",
        "The checkpoint “{model}” (hash {hash}) is not here. Get that very file: another one of its name gives another picture.",
    ),
    "differs_model_hash": (
        "这里的“{model}”哈希是 {here}，原图用的是 {hash}：名称相同，权重不同。",
        "“{model}” here has the hash {here}, the picture was made with {hash}: same name, other weights.",
    ),
    "differs_model_unhashed": (
        "这里有同名的“{model}”，但还没有算出它的哈希，无法确认是不是 {hash}。",
        "There is a “{model}” here, but its hash is not worked out yet, so whether it is {hash} is not known.",
    ),
    "differs_model_other": (
        "原图用的是检查点“{model}”，现在选的是“{selected}”。",
        "The picture was made with the checkpoint “{model}”; “{selected}” is chosen now.",
    ),
    "differs_model_untold": (
        "文本没有说明用了哪个检查点。",
        "The text does not say which checkpoint was used.",
    ),
    "differs_vae_missing": (
        "这里没有 VAE“{vae}”（哈希 {hash}），将使用现有的 VAE：颜色和细节会略有不同。",
        "The VAE “{vae}” (hash {hash}) is not here; another one decodes: colours and details differ a little.",
    ),
    "differs_vae_hash": (
        "这里的 VAE“{vae}”哈希是 {here}，原图用的是 {hash}。",
        "The VAE “{vae}” here has the hash {here}, the picture was decoded with {hash}.",
    ),
    "differs_vae_other": (
        "原图用的是 VAE“{vae}”，现在选的是“{selected}”。",
        "The picture was decoded with the VAE “{vae}”; “{selected}” is chosen now.",
    ),
    "differs_vae_baked": (
        "原图用的是检查点自带的 VAE，现在会用“{selected}”。",
        "The picture was decoded with the checkpoint's own VAE; “{selected}” is used now.",
    ),
    "differs_vae_untold": (
        "旧版本不写 VAE，现在会用“{selected}”；原图也许用的是检查点自带的。",
        "Older versions do not tell the VAE. “{selected}” is used now; the picture may have used the checkpoint's own.",
    ),
    "differs_lora_missing": (
        "这里没有 LoRA“{name}”（哈希 {hash}），它的效果不会出现。",
        "The LoRA “{name}” (hash {hash}) is not here; its effect will be missing.",
    ),
    "differs_lora_hash": (
        "这里的 LoRA“{name}”哈希是 {here}，原图用的是 {hash}：名称相同，权重不同。",
        "The LoRA “{name}” here has the hash {here}, the picture was made with {hash}: same name, other weights.",
    ),
    "differs_hypernet_missing": (
        "这里没有超网络“{name}”，它的效果不会出现。",
        "The hypernetwork “{name}” is not here; its effect will be missing.",
    ),
    "differs_control_missing": (
        "缺少 ControlNet 模型：{name}。",
        "The ControlNet model {name} is not here.",
    ),
    "differs_detector_missing": (
        "没有预处理器 {name}，需改用其他预处理器。",
        "The preprocessor {name} is not here; another one has to do.",
    ),
    "differs_control_picture": (
        "{unit} 的控制图像不在生成信息中，请自行放入同一张图像。",
        "The picture of {unit} is not in the parameters; put the same one in.",
    ),
    "differs_embedding_missing": (
        "这里没有嵌入式“{name}”（哈希 {hash}），它会被当作普通文字。",
        "The embedding “{name}” (hash {hash}) is not here; it counts as plain words.",
    ),
    "differs_embedding_hash": (
        "这里的嵌入式“{name}”哈希是 {here}，原图用的是 {hash}。",
        "The embedding “{name}” here has the hash {here}, the picture was made with {hash}.",
    ),
    "differs_sampler": (
        "没有名为“{name}”的采样方法；表单保持原来的选择。名称最接近的是 {closest}。",
        "There is no sampler “{name}”; the form keeps its own. The nearest by name is {closest}.",
    ),
    "differs_schedule": (
        "没有名为“{name}”的调度类型。名称最接近的是 {closest}。",
        "There is no schedule type “{name}”. The nearest by name is {closest}.",
    ),
    "differs_upscaler": (
        "这里没有放大算法“{name}”，高分辨率修复会不同。",
        "The upscaler “{name}” is not here; Hires. fix comes out differently.",
    ),
    "differs_second_model": (
        "这里没有“{label}”所用的检查点“{name}”。",
        "The checkpoint “{name}” of “{label}” is not here.",
    ),
    "differs_init": (
        "原图由另一张图片开始（图生图）；文本里没有那张图，请在图生图页提供它。",
        "The picture started from another one (img2img), which no text carries. Give it in the img2img tab.",
    ),
    "differs_init_mask": (
        "原图是局部重绘的结果；文本里没有那张图和蒙版，请在图生图页提供。",
        "The picture was inpainted; no text carries the picture and the mask. Give them in the img2img tab.",
    ),
    "differs_setting": (
        "原图的“{label}”是 {told}，现在是 {here}。",
        "“{label}” was {told}; it is {here} now.",
    ),
    "differs_setting_bad": (
        "“{label}”的值“{told}”无法理解，没有采用。",
        "The value “{told}” of “{label}” is not understood and was left out.",
    ),
    "differs_version_rule": (
        "文本来自版本 {version}，那时“{label}”的规则不同；自动兼容已关闭。",
        "The text is of version {version}, which followed another rule: “{label}”. Automatic backward compatibility is off.",
    ),
    "differs_version_unset": (
        "文本来自版本 {version}，那时的规则“{label}”这里没有：切换的步数可能差一步。",
        "The text is of version {version}; its rule “{label}” is not here: the change may come a step earlier or later.",
    ),
    "differs_version_untold": (
        "文本没有写版本。1.6 之前，[词:词:时机] 在高分辨率修复中的时机算法不同。",
        "The text tells no version. Before 1.6 the times in [a:b:when] were counted in another way.",
    ),
    "differs_program": (
        "文本来自 {program}，它的噪声或提示词权重算法与 A1111 有些不同。",
        "The text is of {program}, which draws noise or weighs words a little differently from A1111.",
    ),
    "differs_noise_gpu": (
        "原图用的是显卡噪声（GPU）。NVIDIA 显卡的噪声在这里相同；如果原图来自 AMD、苹果或 CPU，请改用 CPU 试试。",
        "The noise came from the maker's card (GPU). That of NVIDIA cards is the same here; if it was AMD, Apple or a CPU, try CPU.",
    ),
    "differs_seed_untold": (
        "文本没有写种子，构图会不同。",
        "The text tells no seed; the composition will differ.",
    ),
    "differs_size": (
        "{width}×{height} 不是 8 的倍数，实际生成 {made}。",
        "{width}×{height} is no multiple of 8; {made} is made.",
    ),
    "differs_extension": (
        "原图用了“{name}”，这里没有这个功能，它的效果不会出现。",
        "The picture was made with “{name}”, which is not here; its effect will be missing.",
    ),
    "differs_labels": (
        "这些参数这里不认识，没有采用：{names}。",
        "These are not known here and were left out: {names}.",
    ),
    "differs_batch": (
        "原图与另外的图片同批生成（每批 {count} 张），细节可能略有不同。",
        "The picture was made together with others ({count} at once); details may differ a little.",
    ),
    "differs_precision": (
        "计算精度（fp16 或 fp32）、显卡和注意力的算法不写在文本里：细节可能有肉眼难辨的差别。",
        "Precision (fp16 or fp32), the card and how attention is computed stand in no text: details may differ by what eyes hardly see.",
    ),
    "differs_do_override": ("本次使用 {value}", "Use {value} for this run"),
    "differs_do_checkpoint": ("选用 {value}", "Choose {value}"),
    "differs_do_vae": ("VAE 选用 {value}", "Use the VAE {value}"),
    "differs_do_copy": ("复制“{value}”以便搜索", "Copy “{value}” to search for it"),
    "page_differs_title": ("与原图可能不同之处：{count}", "What may differ from that picture: {count}"),
    "page_differs_none": ("文本提到的都在这里，设置也一致。", "All that the text names is here, and set as it says."),
    "page_differs_done": ("已设置：{value}", "Set: {value}"),
}
