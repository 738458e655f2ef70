"""Sentences about ControlNet units: what is missing or does not fit, and what a run noticed."""

SENTENCES: dict[str, tuple[str, str]] = {
    "control_without_model": (
        "ControlNet 单元 {unit} 已启用，但没有选择模型（预处理器：{module}）。请选择模型，或取消启用该单元。",
        "ControlNet Unit {unit} is enabled without a model (preprocessor: {module}). Choose a model, or switch the unit off.",
    ),
    "control_without_picture": (
        "ControlNet 单元 {unit} 已启用，但没有图像。请放入图像，或取消启用该单元。",
        "ControlNet Unit {unit} is enabled and has no picture. Put one in, or switch the unit off.",
    ),
    "control_misfit": (
        "ControlNet 模型 {name} 适用于 {family}，而当前模型 {model} 是 {needed}。请改用：{fitting}。",
        "The ControlNet model {name} is for {family}, but the checkpoint {model} is {needed}. Use one of these: {fitting}.",
    ),
    "control_misfit_none": (
        "ControlNet 模型 {name} 适用于 {family}，而当前模型 {model} 是 {needed}。请把适用的模型放入 models/ControlNet，或更换大模型。",
        "The ControlNet model {name} is for {family}, but the checkpoint {model} is {needed}. Put one that fits into "
        "models/ControlNet, or choose another checkpoint.",
    ),
    "control_not_in_stage": (
        "ControlNet 单元 {unit} 的模型 {name} 不适用于 {model}，因此在该模型生效的步数中未起作用。",
        "The model {name} of ControlNet Unit {unit} does not fit {model}, so the unit was left out while that checkpoint drew.",
    ),
    "control_white_ground": (
        "ControlNet 单元 {unit} 的图像是白底，而 {name} 需要黑底白线。请把预处理器改为“invert (from white bg & black line)”。",
        "The map of ControlNet Unit {unit} has a white ground, but {name} wants white lines on black. "
        "Choose the preprocessor “invert (from white bg & black line)”.",
    ),
    "control_blank_map": (
        "ControlNet 单元 {unit} 的检测图是空白的：预处理器“{module}”没有在图像中找到任何内容，该单元起不到引导作用。",
        "The map of ControlNet Unit {unit} is blank: the preprocessor “{module}” found nothing in the picture, "
        "so the unit has nothing to guide with.",
    ),
    "control_mask_resized": (
        "ControlNet 单元 {unit} 的蒙版为 {mask}，图像为 {picture}；蒙版已缩放到图像的尺寸。",
        "The mask of ControlNet Unit {unit} is {mask}, its picture {picture}; the mask was brought to the picture's size.",
    ),
    "control_layers_unfit": (
        "ControlNet 单元 {unit} 的分层权重有 {given} 个，应为 {wanted} 个。",
        "ControlNet Unit {unit} has {given} layer weights; it takes {wanted}.",
    ),
    "control_start_after_end": (
        "ControlNet 单元 {unit} 的引导介入时机（{start}）晚于终止时机（{end}）。请调换两者。",
        "ControlNet Unit {unit} starts ({start}) after it ends ({end}). Turn the two round.",
    ),
    "phase_control": ("生成控制图中", "Making control maps"),
}
