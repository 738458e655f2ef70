"""What is written with a picture, and how it is read back."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


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
