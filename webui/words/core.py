"""Sentences of the shared errors in `webui/domain/errors.py`."""

SENTENCES: dict[str, tuple[str, str]] = {
    "error": ("出错了。", "Something went wrong."),
    "bad_input": ("请求无法按原样执行。", "This cannot be done as asked."),
    "not_found": ("找不到所指的内容。", "What was named is not there."),
    "refused": ("不允许这样做。", "This is not allowed."),
    "bad_file": ("文件内容与其位置不符。", "The file is not what its place says."),
    "failed": ("机器未能完成。", "The machine could not do this."),
    "out_of_range": ("{field} 的值 {value} 超出范围，请填 {lo} 到 {hi}。", "{field} is {value}; choose {lo} to {hi}."),
    "unknown_sampler": (
        "没有名为“{name}”的采样方法。相近的有：{closest}。",
        "There is no sampler called “{name}”. Close: {closest}.",
    ),
    "unknown_schedule": (
        "没有名为“{name}”的调度类型。相近的有：{closest}。",
        "There is no schedule type called “{name}”. Close: {closest}.",
    ),
    "unreadable_picture": (
        "无法读取这张图片：{reason}。请换一张 PNG、JPEG 或 WebP。",
        "This picture cannot be read: {reason}. Try a PNG, JPEG or WebP.",
    ),
    "too_long": (
        "{field} 太长（{length} 个字符），最多 {most} 个。",
        "{field} is too long ({length} characters); at most {most}.",
    ),
    "unknown_model": (
        "找不到{kind}“{name}”。已查找：{searched}。相近的有：{closest}。请放入文件后刷新列表。",
        "No {kind} called “{name}”. Searched: {searched}. Close: {closest}. Put the file there and refresh the list.",
    ),
    "model_gone": (
        "模型“{name}”的文件已不在：{path}。请刷新列表后另选。",
        "The file of “{name}” is gone: {path}. Refresh the list and choose another.",
    ),
    "unknown_job": ("没有编号为 {id} 的任务。", "There is no job {id}."),
    "unsafe_file": (
        "已拒绝 {path}：它要求执行 {asked}，这可能是恶意代码。请改用 .safetensors 版本。",
        "{path} was refused: it asks to run {asked}, which may be malicious. Use a .safetensors version.",
    ),
    "locked_setting": (
        "“{name}”只能由主人在设置页修改。",
        "“{name}” can be changed on the owner's Settings page only.",
    ),
    "broken_file": (
        "文件已损坏：{path}（{reason}）。请重新下载。",
        "The file is broken: {path} ({reason}). Download it again.",
    ),
    "wrong_kind": (
        "{path} 应为 {expected}，实际是 {found}。请移到对应的文件夹。",
        "{path} should be a {expected} but is a {found}. Move it to that folder.",
    ),
    "unsupported_model": ("暂不能运行 {path}（{family}）：{reason}。", "{path} ({family}) cannot be run: {reason}."),
    "out_of_memory": (
        "{doing} 时显存或内存不足：需要 {needed} 字节，剩余 {free} 字节。请减小尺寸或批量。",
        "Out of memory while {doing}: {needed} bytes needed, {free} free. Use a smaller size or batch.",
    ),
    "disk_full": (
        "磁盘空间不足，无法写入 {path}。请清理后重试；已生成的图片未丢失。",
        "The disk is full, {path} could not be written. Free some space and try again; pictures already made are kept.",
    ),
    "not_a_number": (
        "{where} 的结果出现 NaN（无效数值）。请换一个 VAE 或使用 --no-half。",
        "{where} gave NaN (not a number). Try another VAE or --no-half.",
    ),
}
