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
    "extensions_not_for_guests": (
        "只有本机使用者或已登录的人可以更改扩展或重启服务。",
        "Only who sits at the server, or has signed in, may change extensions or restart the server.",
    ),
    "restart_impossible": (
        "这个服务不能自行重启，请手动重启。",
        "This server cannot restart itself; restart it by hand.",
    ),
    "page_extensions_need_restart": ("已保存，重启后生效。", "Saved; it takes effect after a restart."),
    "page_extensions_restarting": ("正在重启…", "Restarting…"),
    "page_extensions_no_answer": (
        "服务没有恢复，请查看控制台。",
        "The server did not come back; look at its console.",
    ),
    "page_extensions_spent": ("{calls} 次调用，{seconds} 秒", "{calls} calls, {seconds} s"),
    "page_extensions_failed": ("出错 {count} 次，最后一次：", "Failed {count} times, last:"),
    "page_extensions_folder": ("把扩展放进 {folder}，然后重启。", "Put extensions into {folder}, then restart."),
    "plugins_none": ("没有找到扩展。", "There are no extensions."),
}
