"""Sentences about control networks: files that cannot be used, and models they do not fit."""

SENTENCES: dict[str, tuple[str, str]] = {
    "control_misfit_shape": (
        "“{model}”与模型“{checkpoint}”的尺寸不符，不能一起使用。它需要：{expects}；模型是：{has}。请选择为这个模型训练的 ControlNet。",
        "“{model}” and the checkpoint “{checkpoint}” differ in size, so they cannot work together. It needs {expects}; "
        "the checkpoint has {has}. Choose a ControlNet trained for this checkpoint.",
    ),
    "control_unsupported": (
        "“{path}”是 {found}，目前还不能使用。可用的有：ControlNet、union、control-LoRA、T2I-Adapter。",
        "“{path}” is {found}; that cannot be used yet. Those that can: ControlNet, union, control-LoRA, T2I-Adapter.",
    ),
    "unknown_union_type": (
        "“{model}”不认识控制类型“{name}”。可选：{known}。",
        "“{model}” does not know the control type “{name}”. It knows: {known}.",
    ),
}
