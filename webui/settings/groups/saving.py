"""How and where pictures are written."""

from dataclasses import dataclass
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
    use_original_name_batch: Annotated[
        bool,
        Control(
            "Use original name for output filename during batch process in extras tab",
            a1111="use_original_name_batch",
        ),
    ] = True
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
    outdir_extras_samples: Annotated[
        str, Control("Output directory for images from extras tab", a1111="outdir_extras_samples", locked=True)
    ] = "outputs/extras-images"
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
