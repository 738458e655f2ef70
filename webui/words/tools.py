"""Sentences of the tools for model files."""

SENTENCES: dict[str, tuple[str, str]] = {
    "tools_help": ("处理模型文件的工具。", "Tools for model files."),
    "phase_converting": ("转换中", "converting"),
    "convert_help": ("转换模型格式：.ckpt/.pt/.pth/.bin、.safetensors、diffusers 文件夹。", "Convert a model: .ckpt/.pt/.pth/.bin, .safetensors, diffusers folder."),
    "convert_help_source": ("模型文件，或 diffusers 文件夹", "a model file or diffusers folder"),
    "convert_help_target": ("结果；后缀决定格式，无后缀为 diffusers 文件夹", "the result; its ending says the format, none means a diffusers folder"),
    "convert_help_no_ema": ("不保留训练用的 EMA 权重", "leave out the running averages of training (EMA)"),
    "convert_help_overwrite": ("允许替换已有文件", "replace what is already there"),
    "converted": ("已转换：{path}（{tensors} 个张量，{megabytes} MB）。", "Converted: {path} ({tensors} tensors, {megabytes} MB)."),
    "convert_overflown": ("{count} 个张量中有数值超出所选精度的范围，变成了无穷大；结果可能无法使用。请改用 bf16 或 fp32。",
                          "{count} tensors hold numbers too large for the chosen precision, which became infinite; the result may be unusable. Take bf16 or fp32."),
    "convert_no_vae": ("这个模型不含 VAE，文件夹里也没有；diffusers 需要另外指定一个。", "The model carries no VAE, so the folder has none; diffusers needs to be given one."),
    "convert_same_file": ("源与目标是同一个文件：{path}。请给结果另取名字。", "Source and target are the same file: {path}. Give the result another name."),
    "convert_name_outside": ("名称“{name}”会写到模型文件夹之外。请只填文件夹内的名称。", "“{name}” would lie outside the models' folder. Give a name inside it."),
    "not_convertible": ("无法转换 {path}：{reason}。", "{path} cannot be converted: {reason}."),
    "not_writable": ("{name} 的数值类型 {dtype} 无法写入 {format}。请选择 fp16、bf16 或 fp32，或改用 .safetensors。",
                     "{name} is of type {dtype}, which {format} cannot hold. Choose fp16, bf16 or fp32, or write .safetensors."),
    "convert_not_for_guests": ("只有登录的用户或本机的使用者可以转换模型。", "Models are converted by who is signed in, or sits at this machine."),
    "convert_not_a_choice": ("{field} 不能是“{value}”。", "{field} cannot be “{value}”."),
    "already_there": ("{path} 已存在，没有改动它。请换一个名称，或允许替换。", "{path} is already there and was left as it is. Choose another name, or allow replacing it."),
    "not_writable_folder": ("无法写入文件夹 {path}：{reason}。", "The folder {path} cannot be written to: {reason}."),
}
