"""Ids are a contract with extensions and people's own scripts."""

import re
from importlib.resources import files

import pytest

from webui.catalog.cards import PAGES
from webui.services import Services
from webui.ui import build
from webui.ui.places import PLACES, built

# Ids that A1111's users and extensions look for on the txt2img tab as it is now, in the order of the page.
A1111 = [
    "quicksettings",
    "setting_sd_model_checkpoint",
    "refresh_sd_model_checkpoint",
    "setting_sd_vae",
    "setting_CLIP_stop_at_last_layers",
    "tabs",
    "tab_txt2img",
    "txt2img_toprow",
    "txt2img_prompt_container",
    "txt2img_prompt",
    "txt2img_token_counter",
    "txt2img_neg_prompt",
    "txt2img_negative_token_counter",
    "txt2img_actions_column",
    "txt2img_generate_box",
    "txt2img_interrupt",
    "txt2img_skip",
    "txt2img_interrupting",
    "txt2img_generate",
    "txt2img_tools",
    "paste",
    "txt2img_clear_prompt",
    "txt2img_style_apply",
    "txt2img_restore_progress",
    "txt2img_styles",
    "txt2img_styles_edit_button",
    "txt2img_extra_tabs",
    "txt2img_settings",
    "sampler_selection_txt2img",
    "txt2img_sampling",
    "txt2img_scheduler",
    "txt2img_steps",
    "txt2img_accordions",
    "txt2img_hr",
    "txtimg_hr_finalres",
    "txt2img_hr_upscaler",
    "txt2img_hires_steps",
    "txt2img_denoising_strength",
    "txt2img_hr_scale",
    "txt2img_hr_resize_x",
    "txt2img_hr_resize_y",
    "hr_checkpoint",
    "hr_sampler",
    "hr_scheduler",
    "hires_prompt",
    "hires_neg_prompt",
    "txt2img_enable",
    "txt2img_checkpoint",
    "txt2img_checkpoint_refresh",
    "txt2img_switch_at",
    "txt2img_tiling",
    "txt2img_width",
    "txt2img_height",
    "txt2img_res_switch_btn",
    "txt2img_batch_count",
    "txt2img_batch_size",
    "txt2img_cfg_scale",
    "txt2img_seed",
    "txt2img_random_seed",
    "txt2img_reuse_seed",
    "txt2img_subseed_show",
    "txt2img_seed_extras",
    "txt2img_subseed",
    "txt2img_random_subseed",
    "txt2img_reuse_subseed",
    "txt2img_subseed_strength",
    "txt2img_seed_resize_from_w",
    "txt2img_seed_resize_from_h",
    "txt2img_override_settings",
    "txt2img_results",
    "txt2img_results_panel",
    "txt2img_gallery_container",
    "txt2img_gallery",
    "image_buttons_txt2img",
    "txt2img_open_folder",
    "save_txt2img",
    "save_zip_txt2img",
    "txt2img_send_to_img2img",
    "txt2img_send_to_inpaint",
    "txt2img_upscale",
    "html_info_txt2img",
    "html_log_txt2img",
    "generation_info_txt2img",
    "tab_pnginfo",
    "pnginfo_image",
    "pnginfo_generation_info",
    "txt2img_tab",
    "tab_settings",
    "footer",
]


@pytest.fixture(scope="module")
def drawn(services: Services) -> list[str]:
    """Element ids of Gradio's blocks in the order in which they are laid out."""
    page = build(services)
    config = page.get_config_file()
    ids = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
    order: list[str] = []

    def walk(node: dict) -> None:
        name = ids.get(node["id"])
        if name:
            order.append(name)
        for child in node.get("children") or []:
            walk(child)

    walk(config["layout"])
    return order


def test_every_place_of_a1111_is_on_the_page_in_its_order(drawn: list[str]) -> None:
    assert [name for name in drawn if name in A1111] == A1111


def test_no_id_stands_twice(drawn: list[str]) -> None:
    assert sorted(set(drawn)) == sorted(drawn)
    reserved = [place.id for place in PLACES]
    assert sorted(set(reserved)) == sorted(reserved)


def test_what_the_table_calls_built_is_there_and_the_rest_is_not(drawn: list[str]) -> None:
    scripts = "".join(
        file.read_text("utf-8") for file in files("webui.ui").joinpath("assets").iterdir() if file.name.endswith(".js")
    )
    in_scripts = set(re.findall(r'id: "([A-Za-z_0-9]+)"', scripts)) | set(
        re.findall(r'"(settings_show_all_pages)"', scripts)
    )
    in_scripts |= {
        f"txt2img_{name}"
        for pattern in (r"id: `\$\{tab\}_(\w+)`", r"`\$\{tab\}_(edit_style_\w+)`")
        for name in re.findall(pattern, scripts)
    }
    there = set(drawn) | in_scripts | ids_of_cards(scripts)
    assert [name for name in built() if name not in there] == []
    assert [place.id for place in PLACES if not place.built and place.id in there] == []


def ids_of_cards(scripts: str) -> set[str]:
    """Ids that `cards.js` makes of tab, page and its own words."""
    words = set(re.findall(r"id: `\$\{tab\}_\$\{page\}_(\w+)`", scripts))
    assert "id: `${tab}_${page}_extra_sort_${key}`" in scripts
    words |= {
        f"extra_sort_{key}"
        for key in re.findall(r'\["(\w+)", "[\w ]+"\]', scripts.split("const SORTS")[1].split(";")[0])
    }
    tabs = ("txt2img", "img2img")
    hidden = {
        f"{tab}_{name}" for tab in tabs for name in ("save_preview", "preview_filename") if f"_{name}`" in scripts
    }
    return hidden | {f"{tab}_{page}_{word}" for tab in tabs for page in PAGES for word in words}


def test_everything_with_an_id_of_a1111_is_in_the_table(drawn: list[str]) -> None:
    ours = {
        "txt2img_fill",
        "extras_fill",
        "img2img_fill",
        "img2img_dimensions",
        "img2img_dimensions_row",
        "maple_corner",
        "settings_frame",
        "txt2img_dimensions",
        "txt2img_dimensions_row",
        "pnginfo_send_buttons",
    }
    assert sorted(set(drawn) - {place.id for place in PLACES} - ours) == []
