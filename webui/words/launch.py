"""What set-up says in the console."""

SENTENCES: dict[str, tuple[str, str]] = {
    "launch_waiting": ("另一个启动正在安装，等待其完成……", "Another start is installing here; waiting for it ..."),
    "launch_making": ("正在创建 Python 环境：{folder}", "Making the Python environment: {folder}"),
    "launch_no_venv": ("{python} 无法创建虚拟环境。在 Debian/Ubuntu 上请运行 apt install python3-venv，然后重试。",
                       "{python} cannot make a virtual environment. On Debian or Ubuntu run: apt install python3-venv, then try again."),
    "launch_no_python": ("没有找到 Python 3.11 至 3.13。请从 python.org 安装 3.11 后重试。",
                         "No Python 3.11 to 3.13 was found. Install 3.11 from python.org and try again."),
    "launch_moved": ("文件夹或 Python 的位置已改变，正在离线修复：{folder}", "The folder or its Python has moved; mending it offline: {folder}"),
    "launch_resuming": ("上次安装（{phase}）没有完成，继续进行。不完整的包：{broken}",
                        "The last install ({phase}) did not finish; going on. Incomplete packages: {broken}"),
    "launch_phase_pip": ("安装 1/3：pip", "Install 1/3: pip"),
    "launch_phase_torch": ("安装 2/3：torch 与 torchvision（数 GB，请耐心等待）", "Install 2/3: torch and torchvision (several GB, this takes a while)"),
    "launch_phase_packages": ("安装 3/3：其余依赖", "Install 3/3: everything else"),
    "launch_phase_test": ("安装测试所需的包", "Installing what the tests need"),
    "launch_plain_index": ("默认软件源", "the plain package index"),
    "launch_torch_from": ("torch 来源：{index}", "torch comes from {index}"),
    "launch_torch_own": ("按 TORCH_COMMAND 安装：{command}", "Installing by TORCH_COMMAND: {command}"),
    "launch_torch_plain_windows": (
        "注意：默认软件源在 Windows 上只有 CPU 版 torch，显卡不会被使用。网络恢复后请用 --reinstall-torch，或设置 TORCH_INDEX_URL。",
        "Note: on Windows the plain index has torch for the CPU only, the graphics card will not be used. "
        "Use --reinstall-torch when PyTorch's index can be reached, or set TORCH_INDEX_URL.",
    ),
    "launch_failed": (
        "安装失败：{what}\n请查看上面的 pip 输出；检查网络与磁盘空间，或用 INDEX_URL 指定镜像，然后再次运行，会从中断处继续。",
        "Could not install: {what}\nSee pip's words above. Check the network and the disk space, or name a mirror with INDEX_URL, "
        "and run this again: it goes on where it stopped.",
    ),
    "launch_skipped": ("按 --skip-install 跳过安装；环境可能不完整。", "Installing nothing (--skip-install); the environment may be incomplete."),
    "launch_ready": ("安装完成。", "Everything is installed."),
    "launch_apt": ("正在用 apt 安装：{what}", "Installing with apt: {what}"),
    "launch_no_chromium": ("浏览器测试需要 Chromium：请安装后重试，或用 MAPLE_CHROMIUM 指定其路径。",
                           "The browser tests need Chromium: install it and try again, or name its path in MAPLE_CHROMIUM."),
    "launch_unknown_flags": ("忽略不认识的参数：{flags}", "Flags we do not know, skipped: {flags}"),
    "launch_idle_flags": ("以下参数已接受，但在此无作用：{flags}", "Flags accepted without effect here: {flags}"),
    "launch_pip_install": ("正在安装 {what}", "Installing {what}"),
    "launch_pip_failed": ("无法安装 {what}", "Couldn't install {what}"),
    "launch_stopped": ("已停止。", "Stopped."),
}
