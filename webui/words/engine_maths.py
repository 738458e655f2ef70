"""Sentences of samplers and schedules."""

SENTENCES: dict[str, tuple[str, str]] = {
    "too_few_steps": ("{sampler} 至少需要 {least} 步，现在是 {steps} 步。请增加步数，或在设置中降低 UniPC 阶数。",
                      "{sampler} needs at least {least} steps, not {steps}. Use more steps, or lower the UniPC order in the settings."),
}
