"""Every setting, declared once. One line gives type, default, label, range, A1111's key and infotext label.

A module per group of settings; `Settings` below holds the groups in the order they are shown. Defaults are A1111
1.10.1's wherever it has the setting. A setting stands here when a feature reads it; keys of A1111 that nothing reads
yet live untouched in `SettingsStore.extras`. Add one: a line in its group; add a group: a module, and a line below.
"""

from dataclasses import dataclass, field

from webui.settings.groups.api import Api
from webui.settings.groups.control import ControlNet
from webui.settings.groups.extensions import Extensions
from webui.settings.groups.img2img import Img2img
from webui.settings.groups.infotext import InfotextSettings
from webui.settings.groups.model import Model, Upscaling
from webui.settings.groups.networks import Networks
from webui.settings.groups.page import Page, Previews
from webui.settings.groups.sampling import Sampling
from webui.settings.groups.saving import Paths, Saving

__all__ = [
    "Api",
    "ControlNet",
    "Extensions",
    "Img2img",
    "InfotextSettings",
    "Model",
    "Networks",
    "Page",
    "Paths",
    "Previews",
    "Sampling",
    "Saving",
    "Settings",
    "Upscaling",
]


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
    control: ControlNet = field(default_factory=ControlNet)
    page: Page = field(default_factory=Page)
    extensions: Extensions = field(default_factory=Extensions)
    api: Api = field(default_factory=Api)
