"""Sentences of the queue."""

SENTENCES: dict[str, tuple[str, str]] = {
    "job_failed": (
        "任务失败：{reason}。详情见控制台日志。",
        "The job failed: {reason}. The console log has the details.",
    ),
    "job_gave_up": (
        "该任务已 {attempts} 次在运行中遇到服务器退出，不再自动重试。请检查设置后重新提交。",
        "The server ended {attempts} times while this job ran; it is not tried again. Check its settings and submit it anew.",
    ),
    "job_not_resumable": (
        "服务器重启，该任务的参数无法保存，未能继续。请重新提交。",
        "The server was restarted and this job's arguments could not be stored. Please submit it again.",
    ),
    "phase_waiting": ("排队中", "Waiting"),
    "phase_loading": ("加载模型", "Loading the model"),
    "phase_encoding": ("编码提示词", "Encoding the prompt"),
    "phase_sampling": ("采样中", "Sampling"),
    "phase_upscaling": ("放大中", "Upscaling"),
    "phase_decoding": ("解码中", "Decoding"),
    "phase_saving": ("保存中", "Saving"),
}
