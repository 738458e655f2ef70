"""Settings: one declaration each, A1111's defaults, checks, overlays."""

import json
from dataclasses import FrozenInstanceError

import pytest

from webui.domain.errors import LockedSetting, OutOfRange
from webui.settings import (
    NotAChoice,
    Settings,
    WrongType,
    a1111_to_key,
    closest,
    declared,
    flat,
    from_flat,
    infotext_labels,
    locked,
    overlay,
)

# A1111 1.10.1's own defaults, by its keys, as an untouched installation answers them.
A1111_DEFAULTS = {
    "samples_save": True, "samples_format": "png", "samples_filename_pattern": "", "save_images_add_number": True,
    "save_images_replace_action": "Replace", "grid_save": True, "grid_format": "png", "grid_extended_filename": False,
    "grid_only_if_multiple": True, "grid_prevent_empty_spots": False, "n_rows": -1, "enable_pnginfo": True,
    "save_txt": False, "jpeg_quality": 80, "webp_lossless": False, "export_for_4chan": True,
    "img_downscale_threshold": 4.0, "target_side_length": 4000, "img_max_size_mp": 200, "save_incomplete_images": False,
    "save_images_before_highres_fix": False, "ESRGAN_tile": 192, "ESRGAN_tile_overlap": 8,
    "save_init_img": False, "save_images_before_color_correction": False, "save_mask": False,
    "save_mask_composite": False, "outdir_img2img_samples": "outputs/img2img-images",
    "outdir_extras_samples": "outputs/extras-images", "use_original_name_batch": True,
    "outdir_img2img_grids": "outputs/img2img-grids", "outdir_init_images": "outputs/init-images",
    "img2img_fix_steps": False, "initial_noise_multiplier": 1.0, "img2img_extra_noise": 0.0,
    "img2img_batch_show_results_limit": 32, "img2img_editor_height": 720, "img2img_inpaint_mask_high_contrast": True,
    "img2img_inpaint_mask_brush_color": "#ffffff", "img2img_sketch_default_brush_color": "#ffffff",
    "img2img_inpaint_sketch_default_brush_color": "#ffffff",
    "img2img_color_correction": False, "img2img_background_color": "#ffffff", "inpainting_mask_weight": 1.0,
    "overlay_inpaint": True, "return_mask": False, "return_mask_composite": False,
    "upscaler_for_img2img": "None",
    "save_to_dirs": True, "grid_save_to_dirs": True, "directories_filename_pattern": "[date]",
    "directories_max_prompt_words": 8, "outdir_samples": "", "outdir_txt2img_samples": "outputs/txt2img-images",
    "outdir_grids": "", "outdir_txt2img_grids": "outputs/txt2img-grids",
    "upcast_attn": False, "sd_checkpoints_limit": 1, "sd_checkpoints_keep_in_cpu": True,
    "sd_vae_encode_method": "Full", "sd_vae_decode_method": "Full",
    "sd_vae": "Automatic", "sd_vae_overrides_per_model_preferences": True, "auto_vae_precision": True,
    "auto_vae_precision_bfloat16": False, "sd_vae_checkpoint_cache": 0,
    "CLIP_stop_at_last_layers": 1, "sdxl_clip_l_skip": False, "sdxl_crop_top": 0, "sdxl_crop_left": 0,
    "sdxl_refiner_low_aesthetic_score": 2.5, "sdxl_refiner_high_aesthetic_score": 6.0, "sd_noise_schedule": "Default",
    "tiling": False, "randn_source": "GPU",
    "eta_noise_seed_delta": 0, "eta_ancestral": 1.0, "eta_ddim": 0.0, "s_churn": 0.0, "s_tmin": 0.0, "s_tmax": 0.0,
    "s_noise": 1.0, "sigma_min": 0.0, "sigma_max": 0.0, "rho": 0.0, "beta_dist_alpha": 0.6, "beta_dist_beta": 0.6,
    "always_discard_next_to_last_sigma": False, "sgm_noise_multiplier": False, "uni_pc_variant": "bh1",
    "uni_pc_skip_type": "time_uniform", "uni_pc_order": 3, "uni_pc_lower_order_final": True, "s_min_uncond": 0.0,
    "s_min_uncond_all": False, "skip_early_cond": 0.0, "emphasis": "Original", "comma_padding_backtrack": 20,
    "enable_prompt_comments": True, "pad_cond_uncond": False, "pad_cond_uncond_v0": False, "batch_cond_uncond": True,
    "enable_quantization": False, "use_old_scheduling": False,
    "use_old_karras_scheduler_sigmas": False, "use_old_emphasis_implementation": False,
    "use_downcasted_alpha_bar": False, "live_previews_enable": True, "live_previews_image_format": "png",
    "show_progress_grid": True, "show_progress_every_n_steps": 10, "show_progress_type": "Approx NN",
    "live_preview_content": "Prompt",
    "live_preview_refresh_period": 1000, "add_model_name_to_info": True,
    "add_model_hash_to_info": True, "add_vae_name_to_info": True, "add_vae_hash_to_info": True,
    "add_version_to_infotext": True, "add_user_name_to_info": False,
    "save_selected_only": True, "save_write_log_csv": True, "use_save_to_dirs_for_ui": False,
    "grid_zip_filename_pattern": "", "outdir_save": "log/images",
    "disable_weights_auto_swap": True, "infotext_skip_pasting": (), "infotext_styles": "Apply if any",
    "auto_backcompat": True, "interrupt_after_current": True, "show_progress_in_title": True, "return_grid": True,
    "hires_fix_show_sampler": False, "hires_fix_show_prompts": False, "hires_button_gallery_insert": False,
    "disable_token_counters": False,
    "sd_lora": "None", "sd_hypernetwork": "None", "lora_add_hashes_to_infotext": True,
    "textual_inversion_add_hashes_to_infotext": True,
    "extra_networks_default_multiplier": 1.0, "lora_preferred_name": "Alias from file",
    "extra_networks_add_text_separator": " ", "lora_filter_disabled": True,
    "extra_networks_hidden_models": "When searched", "extra_networks_show_hidden_directories": True,
    "extra_networks_card_width": 0, "extra_networks_card_height": 0, "extra_networks_card_text_scale": 1.0,
    "extra_networks_card_show_desc": True, "extra_networks_card_order_field": "Path",
    "extra_networks_card_order": "Ascending", "extra_networks_tree_view_style": "Dirs",
    "disabled_extensions": (), "disable_all_extensions": "none",
    "extra_networks_tree_view_default_enabled": True, "extra_networks_tree_view_default_width": 180,
    # sd-webui-controlnet 1.1.455's
    "control_net_unit_count": 3, "control_net_model_cache_size": 2, "control_net_inpaint_blur_sigma": 7,
    "control_net_no_detectmap": False, "control_net_detectmap_autosaving": False,
    "control_net_detectedmap_dir": "detected_maps", "control_net_sync_field_args": True,
    "controlnet_ignore_noninpaint_mask": False,
    "api_enable_requests": True, "api_forbid_local_requests": True, "api_useragent": "",
}  # fmt: skip
OURS = {"sd_model_checkpoint", "quicksettings_list"}  # "" for null; the row of quick settings Chinese users know


def test_defaults_are_a1111s_own():
    ours = {row.control.a1111: row.default for row in declared().values() if row.control.a1111}
    assert {key: value for key, value in ours.items() if key not in OURS} == A1111_DEFAULTS


def test_every_default_passes_its_own_check():
    assert from_flat(flat(Settings())) == Settings()
    assert overlay(Settings(), flat(Settings())) == Settings()


def test_every_setting_has_a_label_and_no_two_share_a_stored_key():
    rows = declared().values()
    assert all(row.control.label.strip() for row in rows)
    assert len({row.stored for row in rows}) == len(rows)
    labels = [row.control.infotext for row in rows if row.control.infotext]
    assert len(set(labels)) == len(labels)


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        Settings().model.clip_skip = 2  # type: ignore[misc]


def test_every_folder_and_pattern_is_locked():
    for row in declared().values():
        if row.group == "paths" or "pattern" in row.stored or "outdir" in row.stored:
            assert row.locked, row.key


@pytest.mark.parametrize("name", [
    "outdir_save", "outdir_img2img_samples", "temp_dir", "grid_zip_filename_pattern",
    "control_net_models_path", "control_net_modules_path",
    "control_net_detectedmap_dir", "api_some_future_thing", "disabled_extensions",
    "wildcard_folder", "run_command",
])  # fmt: skip
def test_unknown_keys_that_name_places_are_locked_too(name: str):
    assert locked(name)
    with pytest.raises(LockedSetting):
        overlay(Settings(), {name: "/tmp/x"})


def test_what_the_api_may_fetch_is_not_the_apis_to_say():
    for name, value in {"api_enable_requests": False, "api_forbid_local_requests": False, "api_useragent": "x"}.items():
        with pytest.raises(LockedSetting):
            overlay(Settings(), {name: value})


@pytest.mark.parametrize(
    "name", ["control_net_unit_count", "lora_functional", "extra_networks_card_width", "hidden_tabs"]
)
def test_other_unknown_keys_are_open(name: str):
    assert not locked(name)


def test_a_switch_or_a_number_is_no_place_but_the_owners_switches_are_the_owners():
    for name in ("list_hidden_files", "show_hidden_directories", "some_path"):
        assert not locked(name, True) and not locked(name, 3)
        assert locked(name, "/etc") and locked(name, ["/etc"])
    assert locked("api_enable_requests", True) and locked("disable_all_extensions", False)


def test_an_overlay_takes_dotted_and_a1111_keys_and_leaves_the_rest_alone():
    base = Settings()
    run = overlay(base, {"CLIP_stop_at_last_layers": 2, "sampling.emphasis": "No norm", "an_extension_key": 5})
    assert (run.model.clip_skip, run.sampling.emphasis) == (2, "No norm")
    assert base == Settings()
    assert run.saving is base.saving


def test_an_overlay_refuses_folders_but_not_the_value_already_in_force():
    with pytest.raises(LockedSetting):
        overlay(Settings(), {"outdir_txt2img_samples": "/etc"})
    assert overlay(Settings(), {"outdir_txt2img_samples": "outputs/txt2img-images"}) == Settings()


def test_values_are_read_as_clients_send_them():
    run = overlay(Settings(), {
        "CLIP_stop_at_last_layers": "2", "s_churn": 10, "uni_pc_order": 2.0, "tiling": "True",
        "randn_source": "nv",
        "sd_model_checkpoint": None, "infotext_skip_pasting": ["Size"], "quicksettings_list": "sd_vae, tiling",
    })  # fmt: skip
    assert run.model.clip_skip == 2
    assert run.sampling.s_churn == 10.0 and isinstance(run.sampling.s_churn, float)
    assert run.sampling.unipc_order == 2 and isinstance(run.sampling.unipc_order, int)
    assert run.model.tiling is True
    assert run.sampling.noise_source == "NV"
    assert run.model.checkpoint == ""
    assert run.infotext.skip_pasting == ("Size",)
    assert run.page.quicksettings_list == ("sd_vae", "tiling")


@pytest.mark.parametrize(("key", "value", "error"), [
    ("CLIP_stop_at_last_layers", 0, OutOfRange),
    ("CLIP_stop_at_last_layers", 13, OutOfRange),
    ("CLIP_stop_at_last_layers", 1.5, WrongType),
    ("CLIP_stop_at_last_layers", True, WrongType),
    ("CLIP_stop_at_last_layers", "two", WrongType),
    ("CLIP_stop_at_last_layers", [2], WrongType),
    ("s_noise", float("nan"), WrongType),
    ("s_churn", "inf", WrongType),
    ("s_churn", 10**400, WrongType),
    ("eta_noise_seed_delta", 10**400, WrongType),
    ("tiling", "perhaps", WrongType),
    ("tiling", None, WrongType),
    ("sd_vae", 5, WrongType),
    ("sd_vae", "a\0b", WrongType),
    ("randn_source", "TPU", NotAChoice),
    ("infotext_skip_pasting", {"a": 1}, WrongType),
])  # fmt: skip
def test_a_bad_value_is_refused_by_name(key: str, value: object, error: type[Exception]):
    with pytest.raises(error) as caught:
        overlay(Settings(), {key: value})
    assert caught.value.fields["field"] == key  # type: ignore[attr-defined]


def test_a_snapshot_survives_json_and_keys_that_are_gone():
    changed = overlay(Settings(), {"infotext_skip_pasting": ["Size", "ENSD"], "s_churn": 3.5})
    stored = json.loads(json.dumps(flat(changed)))
    assert from_flat(stored) == changed
    assert from_flat(stored | {"a.setting_of_the_past": 1, "model.clip_skip": "broken"}) == changed


def test_a1111_names_lead_to_our_keys():
    assert a1111_to_key("randn_source") == "sampling.noise_source"
    assert a1111_to_key("sampling.noise_source") == "sampling.noise_source"
    assert a1111_to_key("nothing_like_it") is None
    assert "randn_source" in closest("randn_sorce")


def test_both_spellings_of_the_beta_label_are_read():
    assert (
        infotext_labels()["Beta schedule alpha"] == infotext_labels()["Beta scheduler alpha"] == "sampling.beta_alpha"
    )
