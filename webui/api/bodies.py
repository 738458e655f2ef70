"""Bodies of A1111's two great routes: 1.10.1's fields and defaults, and what they mean as a request."""

from dataclasses import replace
from typing import Any, cast

from pydantic import BaseModel, Field

from webui.api import units
from webui.api.handed_in import kept
from webui.domain import (
    GenerationRequest,
    Hires,
    Init,
    Inpaint,
    MaskedContent,
    Refiner,
    ResizeMode,
    SamplerOptions,
    SoftInpainting,
)
from webui.domain.errors import BadInput, OutOfRange
from webui.gallery.blobs import Blobs
from webui.intake.accept import NoInitImage
from webui.settings.groups.api import Api

RESIZE_MODES, CONTENTS = tuple(ResizeMode), tuple(MaskedContent)
SOFT_INPAINTING = "soft inpainting"
SOFT_FIELDS = (
    "schedule_bias", "preservation_strength", "transition_contrast_boost", "mask_influence", "difference_threshold",
    "difference_contrast",
)  # fmt: skip
"""In the order of that script's arguments, after whether it is on."""


class NotYet(BadInput):
    """A field of A1111's that nothing here carries out yet. Fields: field."""

    key = "not_yet"


class Shared(BaseModel):
    """What both have. Unknown fields are passed over, as there."""

    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] | None = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: float | None = None
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    disable_extra_networks: bool = False
    comments: dict[str, Any] | None = None
    force_task_id: str | None = None
    sampler_index: str = "Euler"
    script_name: str | None = None
    script_args: list[Any] = Field(default_factory=list)
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = Field(default_factory=dict)
    infotext: str | None = None

    def unbuilt(self) -> dict[str, Any]:
        """Fields that would otherwise be silently left out of the picture."""
        return {
            "restore_faces": self.restore_faces,
            "script_name": self.script_name,
            "alwayson_scripts": {n: told for n, told in self.alwayson_scripts.items() if n.lower() != units.NAME},
        }

    def asked(self, blobs: Blobs, remote: Api | None) -> GenerationRequest:
        """The domain's noun, without what belongs to one route alone. Raises NotYet and what `units_of` raises."""
        for field, value in self.unbuilt().items():
            if value and value != "None":
                raise NotYet(field=field)
        return GenerationRequest(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            styles=tuple(self.styles or ()),
            sampler=self.sampler_name or self.sampler_index,
            schedule=self.scheduler or "Automatic",
            steps=self.steps,
            cfg_scale=self.cfg_scale,
            width=self.width,
            height=self.height,
            batch_size=self.batch_size,
            batch_count=self.n_iter,
            seed=self.seed,
            subseed=self.subseed,
            subseed_strength=self.subseed_strength,
            seed_resize_width=max(0, self.seed_resize_from_w),
            seed_resize_height=max(0, self.seed_resize_from_h),
            tiling=bool(self.tiling),
            networks=not self.disable_extra_networks,
            refiner=self.refiner(),
            options=SamplerOptions(
                eta=self.eta, s_churn=self.s_churn, s_tmin=self.s_tmin, s_tmax=self.s_tmax, s_noise=self.s_noise,
                s_min_uncond=self.s_min_uncond,
            ),
            overrides=dict(self.override_settings or {}),
            controls=units.units_of(self.alwayson_scripts, blobs, lambda text: kept(text, blobs, remote)),
            save=self.save_images and not self.do_not_save_samples,
            save_grid=self.save_images and not self.do_not_save_grid,
        )  # fmt: skip

    def refiner(self) -> Refiner | None:
        """The refiner, when one is named. Without a fraction it is in force from the first step, as in A1111."""
        if self.refiner_checkpoint in (None, "", "None"):
            return None
        return Refiner(checkpoint=str(self.refiner_checkpoint), switch_at=self.refiner_switch_at or 0.0)


class Txt2Img(Shared):
    """POST /sdapi/v1/txt2img."""

    denoising_strength: float | None = None
    firstpass_image: str | None = None
    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""

    def request(self, blobs: Blobs, remote: Api | None = None) -> GenerationRequest:
        """The domain's noun, its pictures kept in `blobs`; `remote`: what of addresses is allowed. Raises NotYet, what
        `units_of` and what `kept` raises.
        """
        hires = self.hires()
        # Without a second pass A1111 passes over the picture that stands for the first one's.
        if hires is not None and self.firstpass_image:
            hires = replace(hires, picture=kept(self.firstpass_image, blobs, remote))
        return replace(self.asked(blobs, remote), hires=hires)

    def hires(self) -> Hires | None:
        """The second pass, when one is asked for."""
        if not self.enable_hr:
            return None
        strength = 0.75 if self.denoising_strength is None else self.denoising_strength
        return Hires(
            scale=self.hr_scale,
            width=self.hr_resize_x,
            height=self.hr_resize_y,
            upscaler=self.hr_upscaler or "Latent",
            steps=self.hr_second_pass_steps,
            denoising_strength=strength,
            sampler=same(self.hr_sampler_name, "Use same sampler"),
            schedule=same(self.hr_scheduler, "Use same scheduler"),
            checkpoint=same(self.hr_checkpoint_name, "Use same checkpoint"),
            prompt=self.hr_prompt,
            negative_prompt=self.hr_negative_prompt,
        )


class Img2Img(Shared):
    """POST /sdapi/v1/img2img. `inpainting_fill`, `inpaint_full_res` and its padding are not the page's defaults, as in
    A1111.
    """

    denoising_strength: float | None = 0.75
    init_images: list[str] | None = None
    resize_mode: int = 0
    image_cfg_scale: float | None = None
    mask: str | None = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_blur: int | None = None
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float | None = None
    latent_mask: str | None = None
    include_init_images: bool = False

    def unbuilt(self) -> dict[str, Any]:
        whole = super().unbuilt()
        others = {name: told for name, told in whole["alwayson_scripts"].items() if name.lower() != SOFT_INPAINTING}
        return whole | {"alwayson_scripts": others}

    def request(self, blobs: Blobs, remote: Api | None = None) -> GenerationRequest:
        """The domain's noun, its pictures kept in `blobs`; `remote`: what of addresses is allowed. Raises NotYet,
        NoInitImage, OutOfRange, what `units_of` and what `kept` raises.
        """
        asked = self.asked(blobs, remote)
        if not self.init_images:
            raise NoInitImage()
        init = Init(
            images=tuple(kept(text, blobs, remote) for text in self.init_images),
            # A1111 takes null for nothing to change.
            denoising_strength=self.denoising_strength or 0.0,
            resize_mode=RESIZE_MODES[numbered("resize_mode", self.resize_mode)],
            image_cfg_scale=self.image_cfg_scale,
            inpaint=self.inpaint(blobs, remote),
            latent_mask=kept(self.latent_mask, blobs, remote) if self.latent_mask else "",
            noise_multiplier=self.initial_noise_multiplier,
        )
        return replace(asked, init=init)

    def inpaint(self, blobs: Blobs, remote: Api | None) -> Inpaint | None:
        """The mask, when one is given."""
        if not self.mask:
            return None
        both = self.mask_blur
        return Inpaint(
            mask=kept(self.mask, blobs, remote),
            blur_x=self.mask_blur_x if both is None else both,
            blur_y=self.mask_blur_y if both is None else both,
            invert=bool(self.inpainting_mask_invert),
            content=CONTENTS[numbered("inpainting_fill", self.inpainting_fill)],
            only_masked=self.inpaint_full_res,
            padding=self.inpaint_full_res_padding,
            round_mask=self.mask_round,
            soft=self.soft(),
        )

    def soft(self) -> SoftInpainting | None:
        """Soft inpainting from its script's arguments: [on, six numbers], those at the end may be left out."""
        scripts = {name.lower(): told for name, told in self.alwayson_scripts.items()}
        told = scripts.get(SOFT_INPAINTING)
        arguments: list[Any] = cast("dict[str, Any]", told).get("args") or [] if isinstance(told, dict) else []
        if not arguments or arguments[0] is not True:
            return None
        numbers = arguments[1:]
        try:
            return SoftInpainting(**{name: float(number) for name, number in zip(SOFT_FIELDS, numbers, strict=False)})
        except (TypeError, ValueError) as error:
            raise NotNumbers(script="Soft Inpainting", given=numbers) from error


class NotNumbers(BadInput):
    """Arguments of a script that are no numbers. Fields: script, given."""

    key = "script_not_numbers"


def numbered(field: str, value: int) -> int:
    """One of A1111's four choices by number. Raises OutOfRange."""
    if not 0 <= value <= 3:
        raise OutOfRange(field=field, value=value, lo=0, hi=3)
    return value


def same(name: str | None, as_before: str) -> str:
    """A name, "" for what A1111 says when it means the first pass's."""
    return "" if name in (None, as_before) else str(name)
