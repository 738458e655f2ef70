"""Every setting, declared once. One line gives type, default, label, range, A1111's key and infotext label.

Defaults are A1111 1.10.1's wherever it has the setting. A setting stands here when a feature reads it; keys of A1111
that nothing reads yet live untouched in `SettingsStore.extras`.
"""

from dataclasses import dataclass, field
from typing import Annotated

from webui.domain.control import Control

FORMATS = ("png", "jpg", "jpeg", "webp", "avif")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """How pictures are written."""

    samples_save: Annotated[bool, Control("Always save all generated images", a1111="samples_save")] = True
    samples_format: Annotated[str, Control("File format for images", choices=FORMATS, a1111="samples_format")] = "png"
    samples_filename_pattern: Annotated[
        str,
        Control(
            "Images filename pattern",
            a1111="samples_filename_pattern",
            locked=True,
            info="empty: [seed] inside a subdirectory, else [seed]-[prompt_spaces]",
        ),
    ] = ""
    save_images_add_number: Annotated[
        bool, Control("Add number to filename when saving", a1111="save_images_add_number")
    ] = True
    save_images_replace_action: Annotated[
        str,
        Control(
            "Saving the image to an existing file",
            choices=("Replace", "Add number suffix"),
            a1111="save_images_replace_action",
            info="Replace only ever overwrites when numbers are off",
        ),
    ] = "Replace"
    grid_save: Annotated[bool, Control("Always save all generated image grids", a1111="grid_save")] = True
    grid_format: Annotated[str, Control("File format for grids", choices=FORMATS, a1111="grid_format")] = "png"
    grid_extended_filename: Annotated[
        bool, Control("Add extended info (seed, prompt) to filename when saving grid", a1111="grid_extended_filename")
    ] = False
    grid_only_if_multiple: Annotated[
        bool, Control("Do not save grids consisting of one picture", a1111="grid_only_if_multiple")
    ] = True
    grid_prevent_empty_spots: Annotated[
        bool, Control("Prevent empty spots in grid (when set to autodetect)", a1111="grid_prevent_empty_spots")
    ] = False
    n_rows: Annotated[
        int,
        Control(
            "Grid row count; use -1 for autodetect and 0 for it to be same as batch size", lo=-1, hi=16, a1111="n_rows"
        ),
    ] = -1
    jpeg_quality: Annotated[
        int, Control("Quality for saved jpeg and avif images", lo=1, hi=100, a1111="jpeg_quality")
    ] = 80
    webp_lossless: Annotated[bool, Control("Use lossless compression for webp images", a1111="webp_lossless")] = False
    export_for_4chan: Annotated[
        bool,
        Control(
            "Save copy of large images as JPG",
            a1111="export_for_4chan",
            info="if the file size is above the limit, or either width or height are above the limit",
        ),
    ] = True
    img_downscale_threshold: Annotated[
        float, Control("File size limit for the above option, MB", lo=0, a1111="img_downscale_threshold")
    ] = 4.0
    target_side_length: Annotated[
        int, Control("Width/height limit for the above option, in pixels", lo=0, a1111="target_side_length")
    ] = 4000
    img_max_size_mp: Annotated[
        int, Control("Maximum image size", lo=1, a1111="img_max_size_mp", info="in megapixels; for grids")
    ] = 200
    save_incomplete_images: Annotated[
        bool,
        Control(
            "Save incomplete images",
            a1111="save_incomplete_images",
            info="save images that have been stopped in mid-generation; they are shown in any case",
        ),
    ] = False
    save_images_before_highres_fix: Annotated[
        bool, Control("Save a copy of image before applying highres fix", a1111="save_images_before_highres_fix")
    ] = False
    save_init_img: Annotated[bool, Control("Save init images when using img2img", a1111="save_init_img")] = False
    save_images_before_color_correction: Annotated[
        bool,
        Control(
            "Save a copy of image before applying color correction to img2img results",
            a1111="save_images_before_color_correction",
        ),
    ] = False
    save_mask: Annotated[bool, Control("For inpainting, save a copy of the greyscale mask", a1111="save_mask")] = False
    save_mask_composite: Annotated[
        bool, Control("For inpainting, save a masked composite", a1111="save_mask_composite")
    ] = False
    save_selected_only: Annotated[
        bool, Control('When using "Save" button, only save a single selected image', a1111="save_selected_only")
    ] = True
    save_write_log_csv: Annotated[
        bool, Control('Write log.csv when saving images using "Save" button', a1111="save_write_log_csv")
    ] = True
    use_save_to_dirs_for_ui: Annotated[
        bool, Control('When using "Save" button, save images to a subdirectory', a1111="use_save_to_dirs_for_ui")
    ] = False
    grid_zip_filename_pattern: Annotated[
        str,
        Control(
            "Archive filename pattern",
            a1111="grid_zip_filename_pattern",
            locked=True,
            info="empty: [datetime]_[[model_name]]_[seed]-[seed_last]",
        ),
    ] = ""
    save_to_dirs: Annotated[bool, Control("Save images to a subdirectory", a1111="save_to_dirs")] = True
    grid_save_to_dirs: Annotated[bool, Control("Save grids to a subdirectory", a1111="grid_save_to_dirs")] = True
    directories_filename_pattern: Annotated[
        str, Control("Directory name pattern", a1111="directories_filename_pattern", locked=True)
    ] = "[date]"
    directories_max_prompt_words: Annotated[
        int, Control("Max prompt words for [prompt_words] pattern", lo=1, hi=20, a1111="directories_max_prompt_words")
    ] = 8
    keep_unsaved_days: Annotated[
        int,
        Control(
            "Days to keep pictures that were not saved",
            lo=1,
            hi=3650,
            info="they lie in the cache so that results can be shown again",
        ),
    ] = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where pictures go. Relative paths are below the data folder."""

    outdir_samples: Annotated[
        str,
        Control(
            "Output directory for images; if empty, defaults to three directories below",
            a1111="outdir_samples",
            locked=True,
        ),
    ] = ""
    outdir_txt2img_samples: Annotated[
        str, Control("Output directory for txt2img images", a1111="outdir_txt2img_samples", locked=True)
    ] = "outputs/txt2img-images"
    outdir_img2img_samples: Annotated[
        str, Control("Output directory for img2img images", a1111="outdir_img2img_samples", locked=True)
    ] = "outputs/img2img-images"
    outdir_grids: Annotated[
        str,
        Control(
            "Output directory for grids; if empty, defaults to two directories below", a1111="outdir_grids", locked=True
        ),
    ] = ""
    outdir_txt2img_grids: Annotated[
        str, Control("Output directory for txt2img grids", a1111="outdir_txt2img_grids", locked=True)
    ] = "outputs/txt2img-grids"
    outdir_img2img_grids: Annotated[
        str, Control("Output directory for img2img grids", a1111="outdir_img2img_grids", locked=True)
    ] = "outputs/img2img-grids"
    outdir_save: Annotated[
        str, Control("Directory for saving images using the Save button", a1111="outdir_save", locked=True)
    ] = "log/images"
    outdir_init_images: Annotated[
        str, Control("Directory for saving init images when using img2img", a1111="outdir_init_images", locked=True)
    ] = "outputs/init-images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Which weights, and how they are kept."""

    checkpoint: Annotated[
        str, Control("Stable Diffusion checkpoint", a1111="sd_model_checkpoint", infotext="Model hash")
    ] = ""
    """"": the first one found, or the demo checkpoint."""
    vae: Annotated[
        str,
        Control(
            "SD VAE",
            a1111="sd_vae",
            infotext="VAE",
            info="Automatic = use one with same filename as checkpoint; None = use VAE from checkpoint",
        ),
    ] = "Automatic"
    checkpoints_limit: Annotated[
        int,
        Control(
            "Maximum number of checkpoints loaded at the same time", lo=1, hi=10, a1111="sd_checkpoints_limit",
            info="those used last stay in memory",
        ),
    ] = 1
    checkpoints_keep_in_cpu: Annotated[
        bool,
        Control(
            "Only keep one model on device",
            a1111="sd_checkpoints_keep_in_cpu",
            info="will keep models other than the currently used one in RAM rather than VRAM",
        ),
    ] = True
    vae_overrides: Annotated[
        bool, Control("Selected VAE overrides per-model preferences", a1111="sd_vae_overrides_per_model_preferences")
    ] = True
    upcast_attn: Annotated[
        bool,
        Control(
            "Upcast cross attention layer to float32",
            a1111="upcast_attn",
            info="for models that give NaN in half precision; slower",
        ),
    ] = False
    vae_encode_method: Annotated[
        str,
        Control(
            "VAE type for encode",
            choices=("Full", "TAESD"),
            a1111="sd_vae_encode_method",
            infotext="VAE Encoder",
            info="how pictures become latents in img2img, hires fix and inpainting; TAESD: small, fast, less exact",
        ),
    ] = "Full"
    vae_decode_method: Annotated[
        str,
        Control(
            "VAE type for decode",
            choices=("Full", "TAESD"),
            a1111="sd_vae_decode_method",
            infotext="VAE Decoder",
            info="how latents become pictures; TAESD: small, fast, less exact",
        ),
    ] = "Full"
    auto_vae_precision: Annotated[
        bool,
        Control(
            "Automatically revert VAE to 32-bit floats",
            a1111="auto_vae_precision",
            info="triggers when a tensor with NaNs is produced in VAE",
        ),
    ] = True
    clip_skip: Annotated[
        int,
        Control(
            "Clip skip",
            lo=1,
            hi=12,
            a1111="CLIP_stop_at_last_layers",
            infotext="Clip skip",
            info="ignore last layers of CLIP network; 1 ignores none, 2 ignores one layer",
        ),
    ] = 1
    sdxl_clip_l_skip: Annotated[
        bool,
        Control(
            "Clip skip SDXL",
            a1111="sdxl_clip_l_skip",
            info="clip skip counts for the first text encoder of SDXL too; no effect on SD 1.5",
        ),
    ] = False
    sdxl_crop_top: Annotated[
        int, Control("crop top coordinate", lo=0, hi=16384, a1111="sdxl_crop_top", info="what SDXL is told")
    ] = 0
    sdxl_crop_left: Annotated[
        int, Control("crop left coordinate", lo=0, hi=16384, a1111="sdxl_crop_left", info="what SDXL is told")
    ] = 0
    sdxl_refiner_low_aesthetic_score: Annotated[
        float,
        Control(
            "SDXL low aesthetic score",
            lo=0,
            hi=10,
            a1111="sdxl_refiner_low_aesthetic_score",
            info="used for refiner model negative prompt",
        ),
    ] = 2.5
    sdxl_refiner_high_aesthetic_score: Annotated[
        float,
        Control(
            "SDXL high aesthetic score",
            lo=0,
            hi=10,
            a1111="sdxl_refiner_high_aesthetic_score",
            info="used for refiner model prompt",
        ),
    ] = 6.0
    tiling: Annotated[bool, Control("Tiling", a1111="tiling", infotext="Tiling", info="produce a tileable picture")] = (
        False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Noise, sampler options, and how prompts become conditioning."""

    noise_source: Annotated[
        str,
        Control(
            "Random number generator source.",
            choices=("GPU", "CPU", "NV"),
            a1111="randn_source",
            infotext="RNG",
            info="changes seeds drastically; CPU: the same picture on every card; NV: the same as on NVidia cards",
        ),
    ] = "GPU"
    ensd: Annotated[
        int,
        Control(
            "Eta noise seed delta",
            a1111="eta_noise_seed_delta",
            infotext="ENSD",
            info="does not improve anything, just produces different results for ancestral samplers",
        ),
    ] = 0
    eta_ancestral: Annotated[
        float,
        Control(
            "Eta for k-diffusion samplers",
            lo=0,
            hi=1,
            step=0.01,
            a1111="eta_ancestral",
            infotext="Eta",
            info="noise multiplier; applies to ancestral and SDE samplers",
        ),
    ] = 1.0
    eta_ddim: Annotated[
        float,
        Control(
            "Eta for DDIM",
            lo=0,
            hi=1,
            step=0.01,
            a1111="eta_ddim",
            infotext="Eta DDIM",
            info="noise multiplier; higher = more unpredictable results",
        ),
    ] = 0.0
    s_churn: Annotated[
        float,
        Control(
            "sigma churn",
            lo=0,
            hi=100,
            step=0.01,
            a1111="s_churn",
            infotext="Sigma churn",
            info="amount of stochasticity; only applies to Euler, Heun, and DPM2",
        ),
    ] = 0.0
    s_tmin: Annotated[
        float,
        Control(
            "sigma tmin",
            lo=0,
            hi=10,
            step=0.01,
            a1111="s_tmin",
            infotext="Sigma tmin",
            info="start value of the sigma range of churn",
        ),
    ] = 0.0
    s_tmax: Annotated[
        float,
        Control(
            "sigma tmax",
            lo=0,
            hi=999,
            step=0.01,
            a1111="s_tmax",
            infotext="Sigma tmax",
            info="0 = inf; end value of the sigma range of churn",
        ),
    ] = 0.0
    s_noise: Annotated[
        float,
        Control(
            "sigma noise",
            lo=0,
            hi=1.1,
            step=0.001,
            a1111="s_noise",
            infotext="Sigma noise",
            info="amount of additional noise to counteract loss of detail during sampling",
        ),
    ] = 1.0
    sigma_min: Annotated[
        float, Control("sigma min", lo=0, a1111="sigma_min", infotext="Schedule min sigma", info="0 = default (~0.03)")
    ] = 0.0
    sigma_max: Annotated[
        float, Control("sigma max", lo=0, a1111="sigma_max", infotext="Schedule max sigma", info="0 = default (~14.6)")
    ] = 0.0
    rho: Annotated[
        float,
        Control(
            "rho", lo=0, a1111="rho", infotext="Schedule rho", info="0 = default (7 for karras, 1 for polyexponential)"
        ),
    ] = 0.0
    beta_alpha: Annotated[
        float,
        Control(
            "Beta scheduler - alpha", lo=0.01, hi=1, step=0.01, a1111="beta_dist_alpha", infotext="Beta schedule alpha"
        ),
    ] = 0.6
    beta_beta: Annotated[
        float,
        Control(
            "Beta scheduler - beta", lo=0.01, hi=1, step=0.01, a1111="beta_dist_beta", infotext="Beta schedule beta"
        ),
    ] = 0.6
    discard_penultimate: Annotated[
        bool,
        Control(
            "Always discard next-to-last sigma",
            a1111="always_discard_next_to_last_sigma",
            infotext="Discard penultimate sigma",
        ),
    ] = False
    sgm_noise_multiplier: Annotated[
        bool,
        Control(
            "SGM noise multiplier",
            a1111="sgm_noise_multiplier",
            infotext="SGM noise multiplier",
            info="match the initial noise of the official SDXL implementation",
        ),
    ] = False
    unipc_variant: Annotated[
        str,
        Control(
            "UniPC variant", choices=("bh1", "bh2", "vary_coeff"), a1111="uni_pc_variant", infotext="UniPC variant"
        ),
    ] = "bh1"
    unipc_skip_type: Annotated[
        str,
        Control(
            "UniPC skip type",
            choices=("time_uniform", "time_quadratic", "logSNR"),
            a1111="uni_pc_skip_type",
            infotext="UniPC skip type",
        ),
    ] = "time_uniform"
    unipc_order: Annotated[
        int,
        Control(
            "UniPC order", lo=1, hi=50, a1111="uni_pc_order", infotext="UniPC order", info="must be < sampling steps"
        ),
    ] = 3
    unipc_lower_order_final: Annotated[
        bool, Control("UniPC lower order final", a1111="uni_pc_lower_order_final", infotext="UniPC lower order final")
    ] = True
    s_min_uncond: Annotated[
        float,
        Control(
            "Negative Guidance minimum sigma",
            lo=0,
            hi=15,
            step=0.01,
            a1111="s_min_uncond",
            infotext="NGMS",
            info="skip negative prompt for some steps when the image is almost ready; 0 = disable, higher = faster",
        ),
    ] = 0.0
    s_min_uncond_all: Annotated[
        bool,
        Control(
            "Negative Guidance minimum sigma all steps",
            a1111="s_min_uncond_all",
            infotext="NGMS all steps",
            info="by default every second step is skipped",
        ),
    ] = False
    skip_early_cond: Annotated[
        float,
        Control(
            "Ignore negative prompt during early sampling",
            lo=0,
            hi=1,
            step=0.01,
            a1111="skip_early_cond",
            infotext="Skip Early CFG",
            info="share of steps at the beginning without CFG; 0 = skip none, 1 = skip all",
        ),
    ] = 0.0
    emphasis: Annotated[
        str,
        Control(
            "Emphasis mode",
            choices=("None", "Ignore", "Original", "No norm"),
            a1111="emphasis",
            infotext="Emphasis",
            info="makes (more:1.1) or (less:0.9) emphasis work",
        ),
    ] = "Original"
    comma_padding_backtrack: Annotated[
        int,
        Control(
            "Prompt word wrap length limit",
            lo=0,
            hi=74,
            a1111="comma_padding_backtrack",
            info="in tokens; texts that do not fit into the 75 token limit move to the next 75 token chunk",
        ),
    ] = 20
    enable_prompt_comments: Annotated[
        bool,
        Control(
            "Enable comments",
            a1111="enable_prompt_comments",
            info="# and what follows on the line is left out of prompts",
        ),
    ] = True
    pad_cond_uncond: Annotated[
        bool,
        Control(
            "Pad prompt/negative prompt",
            a1111="pad_cond_uncond",
            infotext="Pad conds",
            info="to the same length; faster when they differ; changes seeds",
        ),
    ] = False
    pad_cond_uncond_v0: Annotated[
        bool,
        Control(
            "Pad prompt/negative prompt (v0)",
            a1111="pad_cond_uncond_v0",
            infotext="Pad conds v0",
            info="as DDIM before 1.6.0: a longer negative prompt is cut off",
        ),
    ] = False
    batch_cond_uncond: Annotated[
        bool, Control("Batch cond/uncond", a1111="batch_cond_uncond", info="both in one call; more memory, faster")
    ] = True
    enable_quantization: Annotated[
        bool,
        Control(
            "Enable quantization in K samplers for sharper and cleaner results",
            a1111="enable_quantization",
            info="rounds timesteps; may change existing seeds",
        ),
    ] = False
    noise_schedule: Annotated[
        str,
        Control(
            "Noise schedule for sampling",
            choices=("Default", "Zero Terminal SNR"),
            a1111="sd_noise_schedule",
            infotext="Noise Schedule",
            info="for use with zero terminal SNR trained models; those that say so themselves need no setting",
        ),
    ] = "Default"
    prediction_type: Annotated[
        str,
        Control(
            "Prediction type",
            choices=("Automatic", "Epsilon", "V-prediction"),
            infotext="Prediction type",
            info="what the checkpoint predicts; Automatic = as the file says, else epsilon",
        ),
    ] = "Automatic"
    use_old_scheduling: Annotated[
        bool,
        Control(
            "Use old prompt editing timelines.",
            a1111="use_old_scheduling",
            infotext="Old prompt editing timelines",
            info="numbers below 1 are a share of the steps, others a step, the same in both passes",
        ),
    ] = False
    use_old_emphasis: Annotated[
        bool,
        Control(
            "Use old emphasis implementation. Can be useful to reproduce old seeds.",
            a1111="use_old_emphasis_implementation",
        ),
    ] = False
    use_old_karras_sigmas: Annotated[
        bool, Control("Use old karras scheduler sigmas (0.1 to 10).", a1111="use_old_karras_scheduler_sigmas")
    ] = False
    downcast_alphas: Annotated[
        bool,
        Control(
            "Downcast model alphas_cumprod to fp16 before sampling. For reproducing old seeds.",
            a1111="use_downcasted_alpha_bar",
            infotext="Downcast alphas_cumprod",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Img2img:
    """How pictures are started from, and how masks are used."""

    fix_steps: Annotated[
        bool,
        Control(
            "With img2img, do exactly the amount of steps the slider specifies.",
            a1111="img2img_fix_steps",
            info="normally you'd do less with less denoising",
        ),
    ] = False
    noise_multiplier: Annotated[
        float,
        Control(
            "Noise multiplier for img2img",
            lo=0,
            hi=1.5,
            step=0.001,
            a1111="initial_noise_multiplier",
            infotext="Noise multiplier",
        ),
    ] = 1.0
    extra_noise: Annotated[
        float,
        Control(
            "Extra noise multiplier for img2img and hires fix",
            lo=0,
            hi=1,
            step=0.01,
            a1111="img2img_extra_noise",
            infotext="Extra noise",
            info="0 = disabled; should be lower than denoising strength",
        ),
    ] = 0.0
    color_correction: Annotated[
        bool,
        Control(
            "Apply color correction to img2img results to match original colors.", a1111="img2img_color_correction"
        ),
    ] = False
    background_color: Annotated[
        str,
        Control(
            "With img2img, fill transparent parts of the input image with this color.",
            a1111="img2img_background_color",
        ),
    ] = "#ffffff"
    mask_weight: Annotated[
        float,
        Control(
            "Inpainting conditioning mask strength",
            lo=0,
            hi=1,
            step=0.01,
            a1111="inpainting_mask_weight",
            infotext="Conditional mask weight",
            info="of inpainting checkpoints: 1 hides what lies under the mask, 0 shows it",
        ),
    ] = 1.0
    overlay: Annotated[
        bool,
        Control(
            "Overlay original for inpaint",
            a1111="overlay_inpaint",
            info="when inpainting, put the original image over the areas that weren't inpainted",
        ),
    ] = True
    return_mask: Annotated[
        bool, Control("For inpainting, include the greyscale mask in results for web", a1111="return_mask")
    ] = False
    return_mask_composite: Annotated[
        bool, Control("For inpainting, include masked composite in results for web", a1111="return_mask_composite")
    ] = False
    upscaler: Annotated[
        str,
        Control(
            "Upscaler for img2img", a1111="upscaler_for_img2img", info="where an image must grow to the size asked for"
        ),
    ] = "None"
    batch_show_results_limit: Annotated[
        int,
        Control(
            "Show the first N batch img2img results in UI",
            lo=-1,
            hi=1000,
            a1111="img2img_batch_show_results_limit",
            info="0: none, -1: all. Many pictures make the page slow.",
        ),
    ] = 32
    editor_height: Annotated[
        int,
        Control("Height of the image editor", lo=80, hi=1600, a1111="img2img_editor_height", info="in pixels, at most"),
    ] = 720
    mask_high_contrast: Annotated[
        bool,
        Control(
            "For inpainting, use a high-contrast brush pattern",
            a1111="img2img_inpaint_mask_high_contrast",
            info="squares of light and dark instead of a colour",
        ),
    ] = True
    mask_brush_color: Annotated[str, Control("Inpaint mask brush color", a1111="img2img_inpaint_mask_brush_color")] = (
        "#ffffff"
    )
    sketch_brush_color: Annotated[
        str, Control("Initial color for img2img sketch", a1111="img2img_sketch_default_brush_color")
    ] = "#ffffff"
    inpaint_sketch_brush_color: Annotated[
        str, Control("Initial color for inpaint sketch", a1111="img2img_inpaint_sketch_default_brush_color")
    ] = "#ffffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscaling:
    """How upscaler models are fed."""

    tile: Annotated[
        int, Control("Tile size for ESRGAN upscalers", lo=0, hi=512, a1111="ESRGAN_tile", info="0 = no tiling")
    ] = 192
    tile_overlap: Annotated[
        int,
        Control(
            "Tile overlap for ESRGAN upscalers",
            lo=0,
            hi=48,
            a1111="ESRGAN_tile_overlap",
            info="low values = visible seam",
        ),
    ] = 8


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
class InfotextSettings:
    """What is written with a picture, and how it is read back."""

    enable_pnginfo: Annotated[
        bool, Control("Write infotext to metadata of the generated image", a1111="enable_pnginfo")
    ] = True
    save_txt: Annotated[
        bool, Control("Create a text file with infotext next to every generated image", a1111="save_txt")
    ] = False
    add_model_name: Annotated[bool, Control("Add model name to infotext", a1111="add_model_name_to_info")] = True
    add_model_hash: Annotated[bool, Control("Add model hash to infotext", a1111="add_model_hash_to_info")] = True
    add_vae_name: Annotated[bool, Control("Add VAE name to infotext", a1111="add_vae_name_to_info")] = True
    add_vae_hash: Annotated[bool, Control("Add VAE hash to infotext", a1111="add_vae_hash_to_info")] = True
    add_version: Annotated[bool, Control("Add program version to infotext", a1111="add_version_to_infotext")] = True
    add_user_name: Annotated[
        bool, Control("Add user name to infotext when authenticated", a1111="add_user_name_to_info")
    ] = False
    disregard_model: Annotated[
        bool,
        Control(
            "Disregard checkpoint information from pasted infotext",
            a1111="disable_weights_auto_swap",
            info="when reading generation parameters from text into the page",
        ),
    ] = True
    skip_pasting: Annotated[
        tuple[str, ...], Control("Disregard fields from pasted infotext", a1111="infotext_skip_pasting")
    ] = ()
    styles: Annotated[
        str,
        Control(
            "Infer styles from prompts of pasted infotext",
            choices=("Ignore", "Apply", "Discard", "Apply if any"),
            a1111="infotext_styles",
            info="Ignore: keep prompt and styles as they are; Apply: move style text out of the prompt "
            "and choose those styles; "
            "Discard: drop style text, keep the styles chosen; Apply if any: Apply, but only when a style was found",
        ),
    ] = "Apply if any"
    auto_backcompat: Annotated[
        bool,
        Control(
            "Automatic backward compatibility",
            a1111="auto_backcompat",
            info="enable options for backwards compatibility when importing infotext of an older program version",
        ),
    ] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """LoRA, embeddings, hypernetworks and their cards beside Generation."""

    default_multiplier: Annotated[
        float,
        Control(
            "Default multiplier for extra networks", lo=0, hi=2, step=0.01, a1111="extra_networks_default_multiplier"
        ),
    ] = 1.0
    preferred_name: Annotated[
        str,
        Control(
            "When adding to prompt, refer to Lora by",
            choices=("Alias from file", "Filename"),
            a1111="lora_preferred_name",
        ),
    ] = "Alias from file"
    lora: Annotated[
        str,
        Control(
            "Add network to prompt", a1111="sd_lora", info="name of a Lora that every prompt gets at its end; None: no"
        ),
    ] = "None"
    hypernetwork: Annotated[
        str,
        Control(
            "Add hypernetwork to prompt",
            a1111="sd_hypernetwork",
            info="name of a hypernetwork that every prompt gets at its end; None: no",
        ),
    ] = "None"
    add_lora_hashes: Annotated[bool, Control("Add Lora hashes to infotext", a1111="lora_add_hashes_to_infotext")] = True
    add_embedding_hashes: Annotated[
        bool,
        Control("Add Textual Inversion hashes to infotext", a1111="textual_inversion_add_hashes_to_infotext"),
    ] = True
    add_text_separator: Annotated[
        str,
        Control(
            "Extra networks separator",
            a1111="extra_networks_add_text_separator",
            info="extra text to add before <...> when adding extra network to prompt",
        ),
    ] = " "
    show_all_loras: Annotated[
        bool,
        Control(
            "Always show all networks on the Lora page",
            a1111="lora_filter_disabled",
            info="otherwise, those for another family of models than the chosen one are hidden",
        ),
    ] = True
    hidden_models: Annotated[
        str,
        Control(
            "Show cards for models in hidden directories",
            choices=("Always", "When searched", "Never"),
            a1111="extra_networks_hidden_models",
            info="hidden: the directory's name begins with a dot; found by searches of four letters and more",
        ),
    ] = "When searched"
    show_hidden_directories: Annotated[
        bool, Control("Show hidden directories", a1111="extra_networks_show_hidden_directories")
    ] = True
    card_width: Annotated[
        int,
        Control(
            "Card width for Extra Networks", lo=0, hi=1000, a1111="extra_networks_card_width", info="pixels; 0: 160"
        ),
    ] = 0
    card_height: Annotated[
        int,
        Control(
            "Card height for Extra Networks", lo=0, hi=1000, a1111="extra_networks_card_height", info="pixels; 0: 240"
        ),
    ] = 0
    card_text_scale: Annotated[
        float, Control("Card text scale", lo=0, hi=2, step=0.01, a1111="extra_networks_card_text_scale")
    ] = 1.0
    card_show_desc: Annotated[bool, Control("Show description on card", a1111="extra_networks_card_show_desc")] = True
    card_order_field: Annotated[
        str,
        Control(
            "Default order field for Extra Networks cards",
            choices=("Path", "Name", "Date Created", "Date Modified"),
            a1111="extra_networks_card_order_field",
        ),
    ] = "Path"
    card_order: Annotated[
        str,
        Control(
            "Default order for Extra Networks cards",
            choices=("Ascending", "Descending"),
            a1111="extra_networks_card_order",
        ),
    ] = "Ascending"
    tree_view_style: Annotated[
        str,
        Control(
            "Extra Networks directory view style", choices=("Tree", "Dirs"), a1111="extra_networks_tree_view_style"
        ),
    ] = "Dirs"
    tree_view_default_enabled: Annotated[
        bool,
        Control("Show the Extra Networks directory view by default", a1111="extra_networks_tree_view_default_enabled"),
    ] = True
    tree_view_default_width: Annotated[
        int,
        Control(
            "Default width for the Extra Networks directory tree view",
            lo=80,
            hi=1000,
            a1111="extra_networks_tree_view_default_width",
        ),
    ] = 180


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one moment. A change makes a new one."""

    saving: Saving = field(default_factory=Saving)
    paths: Paths = field(default_factory=Paths)
    model: Model = field(default_factory=Model)
    sampling: Sampling = field(default_factory=Sampling)
    img2img: Img2img = field(default_factory=Img2img)
    upscaling: Upscaling = field(default_factory=Upscaling)
    previews: Previews = field(default_factory=Previews)
    infotext: InfotextSettings = field(default_factory=InfotextSettings)
    networks: Networks = field(default_factory=Networks)
    page: Page = field(default_factory=Page)
