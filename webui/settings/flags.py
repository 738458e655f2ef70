"""Command-line flags: A1111's names, ours beside them. Standard library alone, `launch.py` reads this before anything is installed.

`parse(argv, env)` gives a frozen `Flags`; COMMANDLINE_ARGS comes first and the command line wins. A flag we do not know is
skipped and named in `unknown`; one we accept for A1111's sake without effect is named in `without_effect`.
Add one: a field of `Flags` (its help in 简体中文 and English), or a row of `WITHOUT_EFFECT`.
"""

import argparse
import locale
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn


class BadFlag(ValueError):
    """A flag we know has a value it cannot have; the text is argparse's own."""


def _flag(
    group: str, zh: str, en: str, *, default: Any = False, kind: type = bool, spelling: str = "",
    many: bool = False, choices: tuple[str, ...] = (), secret: bool = False,
) -> Any:
    """One flag; `many` may be repeated and gives a tuple, `secret` stays out of repr, logs and cmd-flags."""
    meta = {"group": group, "zh": zh, "en": en, "kind": kind, "spelling": spelling, "many": many, "choices": choices, "secret": secret}
    return field(default=() if many else default, metadata=meta, repr=not secret)


def _folders(zh: str, en: str) -> Any:
    return _flag("folders", zh, en, kind=Path, many=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """Every flag that acts, by A1111's attribute name."""

    listen: bool = _flag("network", "允许局域网访问（0.0.0.0）", "serve to the local network (0.0.0.0)")
    server_name: str = _flag("network", "监听的地址", "address to listen on", default="", kind=str)
    port: int = _flag("network", "端口；未填时从 7860 起找空闲端口", "port; 7860 or the next free one when not given", default=0, kind=int)
    share: bool = _flag("network", "经由 Gradio 的隧道分享", "share through Gradio's tunnel")
    subpath: str = _flag("network", "反向代理下的子路径", "path prefix behind a reverse proxy", default="", kind=str)
    tls_keyfile: Path | None = _flag("network", "TLS 私钥文件", "TLS key file", default=None, kind=Path)
    tls_certfile: Path | None = _flag("network", "TLS 证书文件", "TLS certificate file", default=None, kind=Path)
    disable_tls_verify: bool = _flag("network", "允许自签名证书", "accept a self-signed certificate")
    cors_allow_origins: str = _flag("network", "允许跨域的来源，逗号分隔", "origins allowed to call across, comma separated", default="", kind=str)
    cors_allow_origins_regex: str = _flag("network", "允许跨域的来源（正则）", "the same as a regular expression", default="", kind=str)
    allowed_host: tuple[str, ...] = _flag("network", "额外允许的主机名（可重复）", "another host name to answer to (repeatable)", kind=str, many=True)
    timeout_keep_alive: int = _flag("network", "连接保持秒数", "seconds a quiet connection is kept", default=30, kind=int)
    gradio_allowed_path: tuple[Path, ...] = _flag("network", "允许页面读取的文件夹（可重复）", "folder the page may read (repeatable)", kind=Path, many=True)
    autolaunch: bool = _flag("network", "启动后打开浏览器", "open the browser when ready")

    gradio_auth: str = _flag("accounts", "账号，格式 用户:密码，逗号分隔", "accounts as user:password, comma separated", default="", kind=str, secret=True)
    gradio_auth_path: Path | None = _flag("accounts", "账号文件，每行同上", "file of such accounts", default=None, kind=Path)
    api_auth: str = _flag("accounts", "仅用于 API 的账号", "accounts for the API", default="", kind=str, secret=True)
    insecure_no_auth: bool = _flag("accounts", "对外监听但不要求登录（危险）", "listen without any sign-in (dangerous)")

    api: bool = _flag("api", "启用 API（始终启用）", "serve the API (always on)")
    nowebui: bool = _flag("api", "只提供 API", "serve the API without the page")
    api_log: bool = _flag("api", "记录每个 API 请求", "log every API request")
    api_server_stop: bool = _flag("api", "允许经 API 停止服务", "allow the API to stop the server")
    skip_load_model_at_start: bool = _flag("api", "启动时不加载模型", "load no model until it is needed")

    data_dir: Path | None = _flag("folders", "数据文件夹（默认程序所在处）", "where run-time files lie (default: beside launch.py)", default=None, kind=Path)
    a1111_home: Path | None = _flag("folders", "直接使用已有的 A1111/秋叶 文件夹（只读）", "use an existing A1111 folder in place, read only", default=None, kind=Path)
    models_dir: Path | None = _flag("folders", "模型总文件夹", "root of the model folders", default=None, kind=Path)
    ckpt: Path | None = _flag("folders", "启动时使用的模型文件", "checkpoint to start with", default=None, kind=Path)
    vae_path: Path | None = _flag("folders", "启动时使用的 VAE 文件", "VAE to start with", default=None, kind=Path)
    ckpt_dir: tuple[Path, ...] = _folders("模型（checkpoint）文件夹", "checkpoints")
    vae_dir: tuple[Path, ...] = _folders("VAE 文件夹", "VAEs")
    embeddings_dir: tuple[Path, ...] = _folders("嵌入式文件夹", "embeddings")
    hypernetwork_dir: tuple[Path, ...] = _folders("超网络文件夹", "hypernetworks")
    lora_dir: tuple[Path, ...] = _folders("LoRA 文件夹", "LoRAs")
    lyco_dir_backcompat: tuple[Path, ...] = _folders("LyCORIS 旧文件夹", "LyCORIS, the old folder")
    controlnet_dir: tuple[Path, ...] = _folders("ControlNet 模型文件夹", "ControlNet models")
    controlnet_annotator_models_path: tuple[Path, ...] = _folders("预处理器模型文件夹", "preprocessor models")
    controlnet_preprocessor_models_dir: tuple[Path, ...] = _folders("预处理器模型文件夹（Forge 写法）", "preprocessor models, Forge's spelling")
    text_encoder_dir: tuple[Path, ...] = _folders("文本编码器文件夹", "text encoders")
    codeformer_models_path: tuple[Path, ...] = _folders("CodeFormer 文件夹", "CodeFormer")
    gfpgan_models_path: tuple[Path, ...] = _folders("GFPGAN 文件夹", "GFPGAN")
    esrgan_models_path: tuple[Path, ...] = _folders("ESRGAN 文件夹", "ESRGAN")
    bsrgan_models_path: tuple[Path, ...] = _folders("BSRGAN 文件夹", "BSRGAN")
    realesrgan_models_path: tuple[Path, ...] = _folders("RealESRGAN 文件夹", "RealESRGAN")
    dat_models_path: tuple[Path, ...] = _folders("DAT 文件夹", "DAT")
    swinir_models_path: tuple[Path, ...] = _folders("SwinIR 文件夹", "SwinIR")
    scunet_models_path: tuple[Path, ...] = _folders("ScuNET 文件夹", "ScuNET")
    ldsr_models_path: tuple[Path, ...] = _folders("LDSR 文件夹", "LDSR")
    clip_models_path: tuple[Path, ...] = _folders("CLIP 文件夹", "CLIP")
    textual_inversion_templates_dir: tuple[Path, ...] = _folders("训练模板文件夹", "training templates")
    localizations_dir: tuple[Path, ...] = _folders("本地化文件夹", "localisation files")
    styles_file: tuple[str, ...] = _flag("folders", "预设样式文件（可重复，可含通配符）", "styles file (repeatable, wildcards allowed)", kind=str, many=True)
    ui_config_file: Path | None = _flag("folders", "界面默认值文件", "file of the page's defaults", default=None, kind=Path)
    ui_settings_file: Path | None = _flag("folders", "设置文件", "settings file", default=None, kind=Path)

    medvram: bool = _flag("device", "节省显存", "use less graphics memory")
    medvram_sdxl: bool = _flag("device", "仅 SDXL 节省显存", "the same for SDXL only")
    lowvram: bool = _flag("device", "极省显存（慢）", "use very little graphics memory (slow)")
    no_half: bool = _flag("device", "全部使用 fp32", "fp32 for everything")
    no_half_vae: bool = _flag("device", "VAE 使用 fp32", "fp32 for the VAE")
    precision: str = _flag("device", "计算精度", "arithmetic", default="autocast", kind=str, choices=("full", "half", "autocast"))
    upcast_sampling: bool = _flag("device", "采样时升为 fp32", "sample in fp32")
    disable_nan_check: bool = _flag("device", "不检查 NaN", "do not look for NaN")
    use_cpu: tuple[str, ...] = _flag("device", "在 CPU 上运行的部分（all 为全部）", "parts to run on the CPU (all for everything)", kind=str, many=True)
    device_id: str | None = _flag("device", "使用第几块显卡", "which graphics card", default=None, kind=str)

    language: str = _flag("page", "语言：zh-CN 或 en（默认跟随浏览器）", "zh-CN or en (default: the browser's)", default="", kind=str)
    theme: str | None = _flag("page", "dark 或 light（默认跟随系统）", "dark or light (default: the system's)", default=None, kind=str)
    hide_ui_dir_config: bool = _flag("page", "隐藏文件夹设置", "hide folder settings")
    freeze_settings: bool = _flag("page", "禁止修改设置", "settings cannot be changed")
    freeze_settings_in_sections: str = _flag("page", "禁止修改这些分组的设置", "settings of these sections cannot be changed", default="", kind=str)
    freeze_specific_settings: str = _flag("page", "禁止修改这些设置", "these settings cannot be changed", default="", kind=str)
    no_prompt_history: bool = _flag("page", "不记录上次的参数", "do not keep the last parameters")
    unix_filenames_sanitization: bool = _flag("page", "文件名只去除 / 等 Unix 禁用字符", "strip only what Unix forbids in file names")
    filenames_max_length: int = _flag("page", "文件名最大长度", "longest file name", default=128, kind=int)
    disable_console_progressbars: bool = _flag("page", "控制台不显示进度条", "no progress bars in the console")
    no_hashing: bool = _flag("page", "不计算模型哈希", "do not hash models")
    loglevel: str = _flag("page", "日志级别", "log level", default="", kind=str)

    enable_insecure_extension_access: bool = _flag("safety", "对外监听时也允许安装扩展（危险）", "allow installing extensions while listening (dangerous)")
    allow_code: bool = _flag("safety", "允许自定义代码脚本（危险）", "allow the custom code script (dangerous)")
    disable_all_extensions: bool = _flag("safety", "停用全部扩展", "turn off every extension")
    disable_extra_extensions: bool = _flag("safety", "只保留内置扩展", "turn off all but the built-in extensions")

    skip_install: bool = _flag("launcher", "不安装任何东西", "install nothing")
    skip_prepare_environment: bool = _flag("launcher", "跳过环境检查", "do not look at the environment at all")
    skip_python_version_check: bool = _flag("launcher", "不检查 Python 版本", "accept any Python")
    reinstall_torch: bool = _flag("launcher", "重新安装 torch", "install torch again")

    unknown: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()

    def given(self) -> dict[str, Any]:
        """The flags that differ from their default, by attribute name."""
        return {row.name: value for row in rows() if (value := getattr(self, row.name)) != row.default}


GROUPS = {
    "network": ("网络", "Network"), "accounts": ("账号", "Accounts"), "api": ("API", "API"), "folders": ("文件夹", "Folders"),
    "device": ("设备与精度", "Device and precision"), "page": ("界面", "Page"), "safety": ("安全", "Safety"), "launcher": ("启动", "Launcher"),
}

# A1111's, Forge's and aki's flags that change nothing here, and how many values each takes: old start scripts must go on working.
WITHOUT_EFFECT: dict[str, str | int] = {
    "--disable-safe-unpickle": 0, "--deepdanbooru": 0, "--max-batch-count": 1, "--gradio-queue": 0, "--no-gradio-queue": 0, "--add-stop-route": 0,
    "--show-negative-prompt": 0, "--always-batch-cond-uncond": 0, "--gradio-img2img-tool": 1, "--gradio-inpaint-tool": 1,
    "--gradio-debug": 0, "--ui-debug-mode": 0, "--use-textbox-seed": 0, "--enable-console-prompts": 0, "--ngrok": 1,
    "--ngrok-options": 1, "--ngrok-region": 1, "--lowram": 0, "--opt-channelslast": 0,
    "--disable-model-loading-ram-optimization": 0, "--always-gpu": 0, "--always-high-vram": 0, "--always-normal-vram": 0,
    "--always-low-vram": 0, "--always-no-vram": 0, "--always-cpu": 0, "--always-offload-from-vram": 0, "--cuda-malloc": 0,
    "--cuda-stream": 0, "--pin-shared-memory": 0, "--use-ipex": 0, "--xformers": 0, "--force-enable-xformers": 0,
    "--xformers-flash-attention": 0, "--opt-sdp-attention": 0, "--opt-sdp-no-mem-attention": 0, "--opt-sub-quad-attention": 0,
    "--sub-quad-q-chunk-size": 1, "--sub-quad-kv-chunk-size": 1, "--sub-quad-chunk-threshold": 1, "--opt-split-attention": 0,
    "--opt-split-attention-v1": 0, "--opt-split-attention-invokeai": 0, "--disable-opt-split-attention": 0,
    "--disable-opt-xformers-attention": 0, "--skip-torch-cuda-test": 0, "--skip-version-check": 0, "--reinstall-xformers": 0,
    "--update-check": 0, "--update-all-extensions": 0, "--no-download-sd-model": 0, "--do-not-download-clip": 0,
    "--dump-sysinfo": 0, "--log-startup": 0, "--administrator": 0, "--tests": "?", "--no-tests": 0, "--unload-gfpgan": 0,
    "--gfpgan-dir": 1, "--gfpgan-model": 1, "--config": 1, "--realesrgan-ncnn": 0, "-f": 0,
    "--unet-in-bf16": 0, "--unet-in-fp16": 0, "--unet-in-fp8-e4m3fn": 0, "--unet-in-fp8-e5m2": 0, "--vae-in-fp16": 0,
    "--vae-in-fp32": 0, "--vae-in-bf16": 0, "--vae-in-cpu": 0, "--clip-in-fp8-e4m3fn": 0, "--clip-in-fp8-e5m2": 0,
    "--clip-in-fp16": 0, "--clip-in-fp32": 0, "--all-in-fp32": 0, "--all-in-fp16": 0,
}

_SPELLINGS = {"a1111_home": ("--a1111-home", "--forge-ref-a1111-home")}


def rows() -> tuple[Field[Any], ...]:
    """The declared flags, in order."""
    return tuple(row for row in fields(Flags) if row.metadata)


def secret_names() -> frozenset[str]:
    """Flags whose value must never be shown."""
    return frozenset(row.name for row in rows() if row.metadata["secret"])


def public_flags(flags: Flags) -> dict[str, Any]:
    """Every flag by A1111's attribute name, as JSON values; secrets are only said to be there."""
    shown: dict[str, Any] = {}
    for row in rows():
        value = getattr(flags, row.name)
        if row.metadata["many"]:
            shown[row.name] = [str(each) for each in getattr(flags, row.name)]
        elif row.metadata["secret"]:
            shown[row.name] = "***" if value else None
        else:
            shown[row.name] = _plain(value)
    return shown


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadFlag(message)


def parser(language: str = "en") -> argparse.ArgumentParser:
    """The argparse parser behind `parse`; extensions' preload may add to one."""
    column = 0 if language.startswith("zh") else 1
    made = _Parser(prog="launch.py", allow_abbrev=False)
    groups = {key: made.add_argument_group(titles[column]) for key, titles in GROUPS.items()}
    for row in rows():
        meta = row.metadata
        names = _SPELLINGS.get(row.name, ("--" + row.name.replace("_", "-"),))
        shape: dict[str, Any] = {"dest": row.name, "help": meta["zh" if column == 0 else "en"], "default": argparse.SUPPRESS}
        if meta["kind"] is bool:
            shape["action"] = "store_true"
        elif row.name == "use_cpu":
            shape |= {"nargs": "+", "action": "extend", "type": str.lower}
        else:
            shape |= {"type": meta["kind"], "action": "append" if meta["many"] else "store"}
        if meta["choices"]:
            shape["choices"] = meta["choices"]
        groups[meta["group"]].add_argument(*names, **shape)
    for name, count in WITHOUT_EFFECT.items():
        extra: dict[str, Any] = {"action": "store_true"} if count == 0 else {"nargs": None if count == 1 else count}
        made.add_argument(name, dest=f"_{name}", help=argparse.SUPPRESS, default=argparse.SUPPRESS, **extra)
    return made


def words_of(text: str, *, windows: bool | None = None) -> list[str]:
    """COMMANDLINE_ARGS as a shell would split it; on Windows a backslash is part of a path."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if os.name == "nt" if windows is None else windows:
        lexer.escape = ""
    return list(lexer)


def parse(argv: Sequence[str], env: Mapping[str, str]) -> Flags:
    """Flags of COMMANDLINE_ARGS and the command line. Raises BadFlag for a value a known flag cannot have."""
    language = console_language(env=env)
    found, unknown = parser(language).parse_known_args([*words_of(env.get("COMMANDLINE_ARGS", "")), *argv])
    given = vars(found)
    idle = tuple(dict.fromkeys(name[1:] for name in given if name.startswith("_")))
    many = {row.name for row in rows() if row.metadata["many"]}
    known: dict[str, Any] = {
        name: tuple(dict.fromkeys(value)) if name in many else value
        for name, value in given.items() if not name.startswith("_")
    }
    return Flags(**known, unknown=tuple(unknown), without_effect=idle)


def console_language(flags: Flags | None = None, *, env: Mapping[str, str]) -> str:
    """zh-CN or en for what we print: the flag, then the locale."""
    if flags is not None and flags.language:
        wanted = flags.language
    else:
        wanted = next((env[key] for key in ("LC_ALL", "LC_MESSAGES", "LANG") if env.get(key)), "") or locale.getlocale()[0] or ""
    return "zh-CN" if wanted.lower().startswith(("zh", "chinese")) else "en"
