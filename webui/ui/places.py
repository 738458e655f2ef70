"""Every element id of the page in one table: where it stands, in A1111's order, and which of them are built.

Extensions and people's own scripts find controls by these ids, so they are a contract. A place whose feature is not
built yet is reserved: its id is used for nothing else, and no control appears there until it does something.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One element id. `inside` is the id of the nearest reserved container; `built` says whether it is on the page."""

    id: str
    inside: str
    built: bool = True


def _places(inside: str, ids: str, *, built: bool = True) -> Iterator[Place]:
    for name in ids.split():
        yield Place(name, inside, built)


def _cards(tab: str) -> Iterator[Place]:
    """The models' cards beside Generation; all but the first two ids of a page are made by `cards.js`."""
    yield from _places("", f"{tab}_save_preview {tab}_preview_filename")
    for page in ("textual_inversion", "hypernetworks", "checkpoints", "lora"):
        name = f"{tab}_{page}"
        yield from _places(f"{tab}_extra_tabs", name)
        yield from _places(name, f"{name}_cards_html")
        yield from _places(f"{name}_cards_html", f"{name}_pane")
        yield from _places(f"{name}_pane", f"{name}_controls {name}_cards {name}_tree {name}_dirs")
        sorts = " ".join(f"{name}_extra_sort_{key}" for key in ("path", "name", "date_created", "date_modified", "dir"))
        yield from _places(
            f"{name}_controls", f"{name}_extra_search {sorts} {name}_extra_tree_view {name}_extra_refresh"
        )


PLACES: tuple[Place, ...] = (
    *_places("", "quicksettings tabs footer"),
    *_places("", "settings_json audio_notification", built=False),
    *_places(
        "quicksettings",
        "setting_sd_model_checkpoint refresh_sd_model_checkpoint setting_sd_vae refresh_sd_vae"
        " setting_CLIP_stop_at_last_layers",
    ),
    *_places("tabs", "tab_txt2img"),
    *_places("tabs", "tab_img2img"),
    *_places("tabs", "tab_extras"),
    *_places("tabs", "tab_pnginfo"),
    *_places("tabs", "tab_modelmerger tab_train", built=False),
    *_places("tabs", "tab_controlnet tab_models tab_settings"),
    *_places("tabs", "tab_extensions"),
    *_places("tab_txt2img", "txt2img_toprow txt2img_extra_tabs"),
    *_places("txt2img_toprow", "txt2img_prompt_container txt2img_actions_column"),
    *_places(
        "txt2img_prompt_container",
        "txt2img_prompt_row txt2img_prompt txt2img_token_counter txt2img_prompt_image txt2img_neg_prompt_row"
        " txt2img_neg_prompt txt2img_negative_token_counter",
    ),
    *_places(
        "txt2img_prompt_container",
        "txt2img_token_button txt2img_negative_token_button",
        built=False,
    ),
    *_places(
        "txt2img_actions_column",
        "txt2img_generate_box txt2img_interrupt txt2img_skip txt2img_interrupting txt2img_generate"
        " txt2img_tools paste txt2img_clear_prompt txt2img_style_apply txt2img_restore_progress"
        " txt2img_styles_row txt2img_styles txt2img_styles_edit_button txt2img_need",
    ),
    *_places("", "txt2img_styles_dialog"),
    *_places(
        "txt2img_styles_dialog",
        "txt2img_styles_edit_select txt2img_edit_style_prompt txt2img_edit_style_neg_prompt"
        " txt2img_edit_style_copy txt2img_edit_style_save txt2img_edit_style_delete"
        " txt2img_edit_style_close",
    ),
    *_places("txt2img_extra_tabs", "txt2img_generation_tab txt2img_settings txt2img_results"),
    *_places("txt2img_settings", "sampler_selection_txt2img txt2img_sampling txt2img_scheduler txt2img_steps"),
    *_places("txt2img_settings", "txt2img_accordions"),
    *_places(
        "txt2img_accordions",
        "txt2img_hr txt2img_hr-checkbox txtimg_hr_finalres txt2img_hr_upscaler txt2img_hires_steps"
        " txt2img_denoising_strength txt2img_hr_scale txt2img_hr_resize_x txt2img_hr_resize_y"
        " txt2img_hires_fix_row_sampler hr_checkpoint hr_sampler hr_scheduler txt2img_hires_fix_row_prompts"
        " hires_prompt hires_neg_prompt txt2img_enable txt2img_enable-checkbox txt2img_checkpoint"
        " txt2img_checkpoint_refresh txt2img_switch_at",
    ),
    *_places(
        "txt2img_settings",
        "txt2img_tiling txt2img_column_size txt2img_width txt2img_height txt2img_res_switch_btn"
        " txt2img_column_batch txt2img_batch_count txt2img_batch_size txt2img_cfg_scale txt2img_seed_row"
        " txt2img_seed txt2img_random_seed txt2img_reuse_seed txt2img_subseed_show txt2img_seed_extras"
        " txt2img_subseed txt2img_random_subseed txt2img_reuse_subseed txt2img_subseed_strength"
        " txt2img_seed_resize_from_w txt2img_seed_resize_from_h txt2img_override_settings"
        " txt2img_controlnet",
    ),
    *_places("txt2img_settings", "txt2img_script_container script_list", built=False),
    *_places(
        "txt2img_results",
        "txt2img_results_panel txt2img_gallery_container txt2img_gallery image_buttons_txt2img"
        " txt2img_open_folder save_txt2img save_zip_txt2img txt2img_send_to_img2img txt2img_send_to_inpaint"
        " txt2img_send_to_extras"
        " txt2img_upscale download_files_txt2img txt2img_differences"
        " html_info_txt2img html_log_txt2img"
        " generation_info_txt2img",
    ),
    *_places(
        "txt2img_results",
        "txt2img_generation_info_button",
        built=False,
    ),
    *_places("tab_img2img", "img2img_toprow img2img_extra_tabs"),
    *_places("img2img_toprow", "img2img_prompt_container img2img_actions_column"),
    *_places(
        "img2img_prompt_container",
        "img2img_prompt_row img2img_prompt img2img_token_counter img2img_prompt_image img2img_neg_prompt_row"
        " img2img_neg_prompt img2img_negative_token_counter",
    ),
    *_places(
        "img2img_actions_column",
        "img2img_generate_box img2img_interrupt img2img_skip img2img_interrupting img2img_generate"
        " img2img_tools img2img_paste img2img_clear_prompt img2img_style_apply img2img_restore_progress"
        " img2img_styles_row img2img_styles img2img_styles_edit_button img2img_need",
    ),
    *_places("img2img_actions_column", "interrogate deepbooru", built=False),
    *_places("img2img_extra_tabs", "img2img_generation_tab img2img_settings img2img_results"),
    *_places("img2img_settings", "mode_img2img img2img_copy_row"),
    *_places(
        "mode_img2img",
        "img2img_img2img_tab img2img_img2img_sketch_tab img2img_inpaint_tab img2img_inpaint_sketch_tab"
        " img2img_inpaint_upload_tab img2img_batch_tab",
    ),
    *_places("img2img_img2img_tab", "img2img_image"),
    *_places("img2img_img2img_sketch_tab", "img2img_sketch"),
    *_places("img2img_inpaint_tab", "img2maskimg"),
    *_places("img2img_inpaint_sketch_tab", "inpaint_sketch"),
    *_places("img2img_inpaint_upload_tab", "img_inpaint_base img_inpaint_mask"),
    *_places(
        "img2img_batch_tab",
        "img2img_batch_source img2img_batch_upload img2img_batch_input_dir img2img_batch_output_dir"
        " img2img_batch_inpaint_mask_dir img2img_batch_use_png_info img2img_batch_png_info_dir"
        " img2img_batch_png_info_props img2img_batch_png_info img2img_batch_upload_tab img2img_batch_from_dir_tab",
    ),
    *_places(
        "img2img_copy_row",
        "img2img_copy_to_img2img img2img_copy_to_sketch img2img_copy_to_inpaint img2img_copy_to_inpaint_sketch",
    ),
    *_places("img2img_settings", "resize_mode inpaint_controls"),
    *_places(
        "inpaint_controls",
        "img2img_mask_blur img2img_mask_alpha img2img_mask_mode img2img_inpainting_fill img2img_inpaint_full_res"
        " img2img_inpaint_full_res_padding",
    ),
    *_places("img2img_settings", "sampler_selection_img2img img2img_sampling img2img_scheduler img2img_steps"),
    *_places(
        "img2img_settings",
        "soft_inpainting_enabled soft_inpainting_enabled-checkbox soft_inpainting_schedule_bias img2img_accordions"
        " soft_inpainting_preservation_strength soft_inpainting_transition_contrast_boost"
        " soft_inpainting_mask_influence soft_inpainting_difference_threshold soft_inpainting_difference_contrast"
        " img2img_enable img2img_enable-checkbox img2img_checkpoint img2img_checkpoint_refresh img2img_switch_at"
        " img2img_tiling img2img_column_size img2img_tabs_resize"
        " img2img_tab_resize_to img2img_width img2img_height img2img_res_switch_btn img2img_detect_image_size_btn"
        " img2img_tab_resize_by img2img_scale img2img_scale_resolution_preview img2img_update_resize_to"
        " img2img_column_batch img2img_batch_count img2img_batch_size img2img_cfg_scale img2img_image_cfg_scale"
        " img2img_denoising_strength img2img_seed_row img2img_seed img2img_random_seed img2img_reuse_seed"
        " img2img_subseed_show img2img_seed_extras img2img_subseed img2img_random_subseed img2img_reuse_subseed"
        " img2img_subseed_strength img2img_seed_resize_from_w img2img_seed_resize_from_h img2img_override_settings"
        " img2img_controlnet",
    ),
    *_places("img2img_settings", "img2img_script_container", built=False),
    *_places(
        "img2img_results",
        "img2img_results_panel img2img_gallery_container img2img_gallery image_buttons_img2img"
        " img2img_open_folder save_img2img save_zip_img2img img2img_send_to_img2img img2img_send_to_inpaint"
        " img2img_send_to_extras"
        " download_files_img2img img2img_differences"
        " html_info_img2img html_log_img2img"
        " generation_info_img2img",
    ),
    *_places("tab_extras", "extras_settings extras_results"),
    *_places("extras_settings", "mode_extras extras_upscale extras_upscale-checkbox"),
    *_places("mode_extras", "extras_single_tab extras_batch_process_tab extras_batch_directory_tab"),
    *_places("extras_single_tab", "extras_image"),
    *_places("extras_batch_process_tab", "extras_image_batch"),
    *_places("extras_batch_directory_tab", "extras_batch_input_dir extras_batch_output_dir extras_show_extras_results"),
    *_places("extras_upscale", "extras_resize_mode extras_upscaler_1 extras_upscaler_2 extras_upscaler_2_visibility"),
    *_places("extras_resize_mode", "extras_scale_by_tab extras_scale_to_tab"),
    *_places("extras_scale_by_tab", "extras_upscaling_resize extras_upscale_max_side_length"),
    *_places(
        "extras_scale_to_tab",
        "extras_upscaling_resize_w extras_upscaling_resize_h extras_upscaling_crop upscaling_res_switch_btn",
    ),
    *_places(
        "extras_results",
        "extras_generate_box extras_interrupt extras_skip extras_interrupting extras_generate extras_results_panel"
        " extras_gallery_container extras_gallery image_buttons_extras extras_open_folder extras_send_to_img2img"
        " extras_send_to_inpaint extras_send_to_extras html_info_extras html_log_extras generation_info_extras",
    ),
    *_places(
        "extras_settings",
        "extras_gfpgan_visibility extras_codeformer_visibility extras_codeformer_weight",
        built=False,
    ),
    *(place for tab in ("txt2img", "img2img") for place in _cards(tab)),
    *_places("tab_pnginfo", "pnginfo_image pnginfo_generation_info txt2img_tab img2img_tab inpaint_tab"),
    *_places("tab_pnginfo", "pnginfo_differences pnginfo_html"),
    *_places("tab_pnginfo", "extras_tab"),
    *_places("tab_controlnet", "controlnet_tab"),
    *_places(
        "tab_models",
        "models_convert convert_name convert_start convert_stop convert_refresh convert_progress convert_said",
    ),
    *_places(
        "tab_settings",
        "request_notifications settings_submit settings_result settings_search settings settings_show_all_pages",
    ),
    *_places("tab_settings", "settings_restart_gradio"),
    *_places("tab_settings", "settings_show_one_page", built=False),
    *_places("tab_extensions", "extensions_installed extensions_apply extensions_restart extensions_disable_all"),
)


def built() -> list[str]:
    """Ids that are on the page now."""
    return [place.id for place in PLACES if place.built]
