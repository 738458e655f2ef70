"""Sentences about settings and their file."""

SENTENCES: dict[str, tuple[str, str]] = {
    "setting_wrong_type": (
        "设置“{field}”的值 {value} 类型不对，应为 {expected}。",
        "The setting “{field}” cannot be {value}; it takes a value of type {expected}.",
    ),
    "setting_not_a_choice": (
        "设置“{field}”没有“{value}”这个选项，可选：{choices}。",
        "The setting “{field}” has no choice “{value}”. Choose one of: {choices}.",
    ),
    "setting_frozen": (
        "设置“{name}”已被启动参数锁定。要修改请去掉 --freeze-settings 一类的参数后重启。",
        "The setting “{name}” is frozen by a command-line flag. Restart without the --freeze-… flag to change it.",
    ),
    "settings_not_saved": (
        "设置未能写入 {path}：{reason}。当前设置保持不变，请检查文件夹权限后重试。",
        (
            "The settings could not be written to {path}: {reason}. "
            "Nothing was changed; check the folder's permissions and try again."
        ),
    ),
    "setting_replaced": (
        "{path} 中“{name}”的值 {value} 无效，已改用默认值 {default}。请在设置页重新选择。",
        (
            "“{name}” in {path} was {value}, which is not valid; "
            "the default {default} is used. Choose it again on the Settings page."
        ),
    ),
    "setting_migrated": ("旧设置“{old}”已转换为“{name}”。", "The older setting “{old}” was taken over as “{name}”."),
    "settings_unreadable": (
        "无法读取设置文件 {path}：{reason}。暂用默认设置。",
        "The settings file {path} cannot be read: {reason}. Default settings are used for now.",
    ),
    "settings_broken": (
        "设置文件 {path} 已损坏，已移到 {aside}，现使用默认设置。",
        "The settings file {path} was broken; it was moved to {aside} and default settings are used.",
    ),
    "settings_broken_backup": (
        "设置文件 {path} 已损坏，已移到 {aside}，并从备份 {backup} 恢复。",
        "The settings file {path} was broken; it was moved to {aside} and the backup {backup} is used.",
    ),
}
