"""LoRA, embeddings, hypernetworks and their cards."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


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
