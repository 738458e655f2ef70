"""Sentences about extensions."""

SENTENCES: dict[str, tuple[str, str]] = {
    "extension_manifest": (
        "扩展的说明文件 {path} 无法使用：{problem}。请改正后重启，或联系扩展作者。",
        "An extension's {path} cannot be used: {problem}. Mend it and restart, or ask the extension's author.",
    ),
    "extension_failed": (
        "扩展“{extension}”在 {hook} 中出错：{reason}。请在设置中停用它并重启，或联系扩展作者；详细信息见控制台。",
        "The extension “{extension}” failed in {hook}: {reason}. Turn it off in Settings and restart, or ask its author; the console has the details.",
    ),
    "extension_name_taken": (
        "{folder} 已经存在。请换一个名字。",
        "{folder} is there already. Choose another name.",
    ),
    "extension_name_bad": (
        "“{name}”不能作为扩展名：只能使用字母、数字、“-”“_”“.”。",
        "“{name}” is no name for an extension: letters, digits, '-', '_' and '.' alone.",
    ),
    "plugins_written": (
        "已生成扩展 {folder}：运行 `python -m pytest {folder}` 测试，重启后生效。",
        "Wrote the extension {folder}. `python -m pytest {folder}` tests it; it takes part after a restart.",
    ),
    "plugins_none": ("没有找到扩展。", "There are no extensions."),
}
