"""Sentences of the HTTP API."""

SENTENCES: dict[str, tuple[str, str]] = {
    "remote_off": (
        "这台服务器不接受图像地址（设置“允许 API 使用 http:// 与 https:// 图像地址”已关闭）。请直接发送图像。",
        "This server takes no addresses of pictures (“Allow http:// and https:// URLs for input images in API” is off). "
        "Send the picture itself.",
    ),
    "remote_forbidden": (
        "地址 {host} 指向本机或内部网络，不允许访问。请直接发送图像。",
        "The address {host} is of this machine or of the network around it, which is not allowed. "
        "Send the picture itself.",
    ),
    "remote_failed": (
        "无法从 {host} 获取图像：{reason}。请检查地址，或直接发送图像。",
        "The picture could not be fetched from {host}: {reason}. Check the address, or send the picture itself.",
    ),
    "remote_too_large": (
        "{host} 上的文件太大：最多 {most} MB。",
        "The file at {host} is too large: at most {most} MB.",
    ),
    "control_field_bad": (
        "ControlNet 单元 {unit} 的“{name}”无法使用：{given}。",
        "ControlNet unit {unit}: “{name}” cannot be {given}.",
    ),
    "control_mask_size": (
        "ControlNet 单元 {unit} 的蒙版大小为 {mask_width}×{mask_height}，与图像的 {width}×{height} 不同。请使用同样大小的蒙版。",
        "ControlNet unit {unit}: the mask is {mask_width}×{mask_height} but its picture is {width}×{height}. "
        "Use a mask of the picture's size.",
    ),
    "control_pickled": (
        "ControlNet 单元 {unit} 的“{name}”需要反序列化才能读取，可能执行其中的代码，因此不接受。请改用图像。",
        "ControlNet unit {unit}: “{name}” would have to be unpickled, which can run code hidden in it, so it is not "
        "taken. Send a picture instead.",
    ),
    "detect_no_pictures": (
        "没有要预处理的图像。请附上至少一张图像。",
        "There is no picture to make a map of. Send at least one.",
    ),
    "detect_masks_missing": (
        "预处理器 {module} 需要每张图像各一张蒙版：有 {pictures} 张图像、{masks} 张蒙版。",
        "The preprocessor {module} needs a mask for each picture: there are {pictures} pictures and {masks} masks.",
    ),
    "detect_too_many": ("一次最多 {most} 项，收到 {given} 项。", "At most {most} at once; {given} were sent."),
    "api_picture_gone": ("第 {number} 张图片已不在原处。", "Picture {number} is no longer where it was saved."),
    "extras_no_pictures": (
        "没有要处理的图片。请附上至少一张图片。",
        "There is no picture to work on. Send at least one.",
    ),
    "no_interrogator": (
        "没有可用的图像反推模型（{model}），此版本尚未内置反推功能。",
        "There is no model here that describes pictures ({model}); this version does not have that built in yet.",
    ),
    "not_yet": (
        "此版本尚不支持“{field}”。为免得到不同的图片，请求未执行。",
        "This version cannot do “{field}” yet. Nothing was made, rather than a picture without it.",
    ),
    "script_not_numbers": (
        "脚本“{script}”的参数应为数字，收到：{given}。",
        "The arguments of the script “{script}” must be numbers, not: {given}.",
    ),
}
