"""The page itself and what it shows while it works."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class Previews:
    """Live previews while sampling."""

    enabled: Annotated[bool, Control("Show live previews of the created image", a1111="live_previews_enable")] = True
    image_format: Annotated[
        str, Control("Live preview file format", choices=("jpeg", "png", "webp"), a1111="live_previews_image_format")
    ] = "png"
    grid: Annotated[
        bool, Control("Show previews of all images generated in a batch as a grid", a1111="show_progress_grid")
    ] = True
    every_n_steps: Annotated[
        int,
        Control(
            "Live preview display period",
            lo=-1,
            hi=32,
            a1111="show_progress_every_n_steps",
            info="in sampling steps; -1 = only show after completion of batch",
        ),
    ] = 10
    content: Annotated[
        str,
        Control(
            "Live preview subject",
            choices=("Combined", "Prompt", "Negative prompt"),
            a1111="live_preview_content",
            info="what the preview is made of: both prompts joined, or one alone",
        ),
    ] = "Prompt"
    method: Annotated[
        str,
        Control(
            "Live preview method",
            choices=("Full", "Approx NN", "Approx cheap", "TAESD"),
            a1111="show_progress_type",
            info="Full = slow but pretty; Approx NN, TAESD = fast but low quality; Approx cheap = super fast but rough",
        ),
    ] = "Approx NN"
    refresh_period: Annotated[
        int,
        Control(
            "Progressbar and preview update period",
            lo=50,
            hi=60000,
            a1111="live_preview_refresh_period",
            info="in milliseconds",
        ),
    ] = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page itself."""

    language: Annotated[str, Control("Language", choices=("auto", "zh-CN", "en"), info="auto: the browser's")] = "auto"
    theme: Annotated[str, Control("Theme", choices=("auto", "light", "dark"), info="auto: the browser's")] = "auto"
    quicksettings_list: Annotated[
        tuple[str, ...],
        Control(
            "Quicksettings list",
            a1111="quicksettings_list",
            restart=True,
            info="setting entries that appear at the top of page rather than in settings tab",
        ),
    ] = ("sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers")
    interrupt_after_current: Annotated[
        bool,
        Control(
            "Don't Interrupt in the middle",
            a1111="interrupt_after_current",
            info="the first Interrupt finishes the current image, the second stops at once",
        ),
    ] = True
    show_progress_in_title: Annotated[
        bool, Control("Show generation progress in window title.", a1111="show_progress_in_title")
    ] = True
    return_grid: Annotated[bool, Control("Show grid in gallery", a1111="return_grid")] = True
    hires_show_sampler: Annotated[
        bool, Control("Hires fix: show hires checkpoint and sampler selection", a1111="hires_fix_show_sampler")
    ] = False
    hires_show_prompts: Annotated[
        bool, Control("Hires fix: show hires prompt and negative prompt", a1111="hires_fix_show_prompts")
    ] = False
    hires_insert: Annotated[
        bool,
        Control(
            "Insert [✨ Upscale] results to gallery",
            a1111="hires_button_gallery_insert",
            info="off: the upscaled picture takes the place of the one it was made from",
        ),
    ] = False
    disable_token_counters: Annotated[
        bool, Control("Disable prompt token counters", a1111="disable_token_counters", restart=True)
    ] = False
