"""The same pictures as diffusers' ControlNet pipelines on the same small weights, to 1e-4 of the largest value."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.torch

STEPS, SCALE = 4, 5.0
HINTS: dict[str, Any] = {"conditioning_embedding_out_channels": (16, 16, 32, 32)}


class Said:
    """Conditioning that never changes."""

    def __init__(self, prompt: Any, negative: Any) -> None:
        self.prompt, self.negative = prompt, negative

    def at(self, call: int) -> Any:
        return [[(self.prompt, 1.0)]], [self.negative]


class NoNoise:
    def next(self) -> Any:
        raise AssertionError("Euler draws nothing")

    def between(self, sigma: float, sigma_next: float) -> Any:
        raise AssertionError("Euler draws nothing")


def random(seed: int, *shape: int) -> Any:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hint(seed: int = 9, height: int = 64, width: int = 64) -> Any:
    import torch

    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def sampled(model: Any, prompt: Any, negative: Any, units: list[Any], *, height: int = 8, width: int = 8) -> Any:
    """Our Euler with these units beside the model."""
    from webui.engine.control import controlled
    from webui.engine.guidance import guided
    from webui.engine.samplers.k import euler

    sigmas = model.prediction.uniform(STEPS)
    denoise = controlled(model.denoise, units)
    guide = guided(denoise, Said(prompt, negative), cfg_scale=SCALE, batch=1, steps=STEPS)
    x = random(3, 1, 4, height, width) * sigmas[0]
    return euler(guide, x, sigmas, noise=NoNoise(), on_step=lambda *_: None)


def scheduler() -> Any:
    from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="linspace"
    )


def asked(height: int = 8, width: int = 8, **more: Any) -> dict[str, Any]:
    """What every pipeline is called with."""
    return {
        "num_inference_steps": STEPS, "guidance_scale": SCALE, "height": 8 * height, "width": 8 * width,
        "latents": random(3, 1, 4, height, width), "output_type": "latent", **more,
    }  # fmt: skip


def near(ours: Any, theirs: Any) -> bool:
    return float((ours - theirs).abs().max()) <= 1e-4 * float(theirs.abs().max())


# Stable Diffusion 1


@pytest.fixture
def sd1_texts() -> tuple[Any, Any]:
    from webui.engine.types import Encoded

    return Encoded(random(11, 7, 64)), Encoded(random(12, 7, 64))


def sd1_pipeline(name: str, tiny: SimpleNamespace, **more: Any) -> Any:
    import diffusers
    from transformers import CLIPImageProcessor

    nothing = {"safety_checker": None, "requires_safety_checker": False}
    made = getattr(diffusers, name)(
        vae=tiny.vae, text_encoder=tiny.text, tokenizer=None, unet=tiny.unet, scheduler=scheduler(),
        feature_extractor=CLIPImageProcessor(), **nothing, **more,
    )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    return made


def told(texts: tuple[Any, Any]) -> dict[str, Any]:
    return {"prompt_embeds": texts[0].states[None], "negative_prompt_embeds": texts[1].states[None]}


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 13)])
@pytest.mark.parametrize("layout", ["cldm", "bare cldm", "diffusers"])
def test_a_controlnet_guides_as_in_diffusers_pipeline(
    tiny: SimpleNamespace, model: Any, tiny_control: Any, save_control: Callable[..., Any],
    sd1_texts: tuple[Any, Any], layout: str, height: int, width: int,
) -> None:  # fmt: skip
    from webui.engine.control import Applied, ControlCache
    from webui.engine.control.layouts import to_cldm

    state = tiny_control.state_dict()
    if layout != "diffusers":
        state = to_cldm(tiny_control, prefix="control_model." if layout == "cldm" else "")
    network = ControlCache().load(save_control(state), base=model)
    shown = hint(height=8 * height, width=8 * width)
    theirs = sd1_pipeline("StableDiffusionControlNetPipeline", tiny, controlnet=tiny_control)(
        image=shown, controlnet_conditioning_scale=0.8, **told(sd1_texts), **asked(height, width)
    ).images
    unit = Applied(network=network, hints=shown, weight=0.8)
    assert near(sampled(model, *sd1_texts, [unit], height=height, width=width), theirs)


def test_two_controlnets_guide_as_in_diffusers_pipeline(
    tiny: SimpleNamespace, model: Any, tiny_control: Any, save_control: Callable[..., Any],
    sd1_texts: tuple[Any, Any],
) -> None:  # fmt: skip
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel

    from tests.engine.control.conftest import woken
    from webui.engine.control import Applied, ControlCache
    from webui.engine.control.layouts import to_cldm

    torch.manual_seed(8)
    other = woken(ControlNetModel.from_unet(tiny.unet, **HINTS), seed=6)
    cache = ControlCache()
    networks = [
        cache.load(save_control(to_cldm(each), name), base=model)
        for name, each in (("one", tiny_control), ("two", other))
    ]
    shown = [hint(1), hint(2)]
    theirs = sd1_pipeline("StableDiffusionControlNetPipeline", tiny, controlnet=[tiny_control, other])(
        image=shown, controlnet_conditioning_scale=[0.8, 0.5], **told(sd1_texts), **asked()
    ).images
    units = [
        Applied(network=network, hints=picture, weight=weight)
        for network, picture, weight in zip(networks, shown, (0.8, 0.5), strict=True)
    ]
    assert near(sampled(model, *sd1_texts, units), theirs)


def adapter(unet: Any, kind: str, channels: int = 3) -> Any:
    """A small T2I-Adapter with an answer worth adding."""
    import torch
    from diffusers.models.adapter import T2IAdapter

    torch.manual_seed(30)
    widths = list(unet.config.block_out_channels)
    levels = {"full_adapter": widths, "full_adapter_xl": [*widths, widths[-1]], "light_adapter": widths[:-1]}
    made = T2IAdapter(
        in_channels=channels, channels=levels[kind], num_res_blocks=2,
        downscale_factor=16 if kind.endswith("xl") else 8, adapter_type=kind,
    )  # fmt: skip
    return made.eval().requires_grad_(False).half().float()


def original(network: Any) -> dict[str, Any]:
    """A T2I-Adapter's weights under the names it was published with."""
    import re

    blocks = network.config.num_res_blocks
    state: dict[str, Any] = {}
    for name, value in network.state_dict().items():
        name = name.removeprefix("adapter.")
        if network.config.adapter_type == "light_adapter":
            state[name.replace(".resnets.", ".body.")] = value
            continue
        found = re.fullmatch(r"body\.(\d+)\.(?:resnets\.(\d+)\.)?(.+)", name)
        state[f"body.{int(found[1]) * blocks + int(found[2] or 0)}.{found[3]}" if found else name] = value
    return state


@pytest.mark.parametrize("kind", ["full_adapter", "light_adapter"])
@pytest.mark.parametrize("names", ["diffusers", "original"])
def test_a_t2i_adapter_guides_as_in_diffusers_pipeline_and_is_asked_once(
    tiny: SimpleNamespace, model: Any, save_control: Callable[..., Any], sd1_texts: tuple[Any, Any], kind: str,
    names: str,
) -> None:  # fmt: skip
    from webui.engine.control import Applied, ControlCache

    made = adapter(tiny.unet, kind)
    network = ControlCache().load(
        save_control(original(made) if names == "original" else made.state_dict()), base=model
    )
    shown = hint(height=128, width=128)
    theirs = sd1_pipeline("StableDiffusionAdapterPipeline", tiny, adapter=made)(
        image=shown, adapter_conditioning_scale=0.7, **told(sd1_texts), **asked(16, 16)
    ).images
    unit = Applied(network=network, hints=shown, weight=0.7)
    assert near(sampled(model, *sd1_texts, [unit], height=16, width=16), theirs)
    assert network.calls == 1


# SDXL


@pytest.fixture
def xl_texts() -> tuple[Any, Any]:
    import torch

    from webui.engine.types import Encoded

    numbers = torch.tensor([64.0, 64, 0, 0, 64, 64])
    return tuple(  # pyright: ignore[reportReturnType]
        Encoded(random(seed, 7, 128), {"pooled": random(seed + 1, 64), "numbers": numbers}) for seed in (11, 13)
    )


def xl_pipeline(name: str, xl: SimpleNamespace, **more: Any) -> Any:
    import diffusers

    made = getattr(diffusers, name)(
        vae=xl.vae, text_encoder=xl.text, text_encoder_2=xl.big, tokenizer=None, tokenizer_2=None, unet=xl.unet,
        scheduler=scheduler(), **more,
    )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    return made


def xl_told(texts: tuple[Any, Any]) -> dict[str, Any]:
    prompt, negative = texts
    return {
        **told(texts),
        "pooled_prompt_embeds": prompt.extras["pooled"][None],
        "negative_pooled_prompt_embeds": negative.extras["pooled"][None],
    }


@pytest.mark.parametrize("layout", ["cldm", "diffusers"])
def test_an_sdxl_controlnet_guides_as_in_diffusers_pipeline(
    xl: SimpleNamespace, xl_model: Any, save_control: Callable[..., Any], xl_texts: tuple[Any, Any], layout: str
) -> None:
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel

    from tests.engine.control.conftest import woken
    from webui.engine.control import Applied, ControlCache
    from webui.engine.control.layouts import to_cldm

    torch.manual_seed(4)
    made = woken(ControlNetModel.from_unet(xl.unet, **HINTS))
    network = ControlCache().load(
        save_control(made.state_dict() if layout == "diffusers" else to_cldm(made, prefix="")), base=xl_model
    )
    theirs = xl_pipeline("StableDiffusionXLControlNetPipeline", xl, controlnet=made, add_watermarker=False)(
        image=hint(), controlnet_conditioning_scale=0.8, **xl_told(xl_texts), **asked()
    ).images
    assert near(sampled(xl_model, *xl_texts, [Applied(network=network, hints=hint(), weight=0.8)]), theirs)


def union_of(unet: Any, types: int = 8) -> Any:
    """A small union network with the parts published ones have, all awake."""
    import torch
    from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

    from tests.engine.control.conftest import woken
    from webui.engine.keys import config_of

    torch.manual_seed(5)
    known = config_of(unet)
    names = ("block_out_channels", "layers_per_block", "down_block_types", "cross_attention_dim", "attention_head_dim",
             "transformer_layers_per_block", "use_linear_projection", "addition_embed_type",
             "addition_time_embed_dim", "projection_class_embeddings_input_dim")  # fmt: skip
    made = ControlNetUnionModel(
        **{name: known[name] for name in names}, **HINTS, num_control_type=types, num_trans_channel=32,
        num_proj_channel=32,
    )  # fmt: skip
    return woken(made)


@pytest.mark.parametrize("layout", ["cldm", "diffusers"])
@pytest.mark.parametrize("types", [6, 8])
def test_a_union_guides_as_in_diffusers_pipeline(
    xl: SimpleNamespace, xl_model: Any, save_control: Callable[..., Any], xl_texts: tuple[Any, Any], layout: str,
    types: int,
) -> None:  # fmt: skip
    from webui.engine.control import Applied, ControlCache
    from webui.engine.control.layouts import to_cldm

    made = union_of(xl.unet, types)
    network = ControlCache().load(
        save_control(made.state_dict() if layout == "diffusers" else to_cldm(made, prefix="")), base=xl_model
    )
    theirs = xl_pipeline("StableDiffusionXLControlNetUnionPipeline", xl, controlnet=made, add_watermarker=False)(
        control_image=[hint()], control_mode=[3], controlnet_conditioning_scale=0.8, **xl_told(xl_texts), **asked()
    ).images
    unit = Applied(network=network, hints=hint(), weight=0.8, union_type="Hard Edge")
    assert near(sampled(xl_model, *xl_texts, [unit]), theirs)


@pytest.mark.parametrize("names", ["diffusers", "original"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_sdxl_t2i_adapter_guides_as_in_diffusers_pipeline(
    xl: SimpleNamespace, xl_model: Any, save_control: Callable[..., Any], xl_texts: tuple[Any, Any], names: str,
    channels: int,
) -> None:  # fmt: skip
    from webui.engine.control import Applied, ControlCache

    made = adapter(xl.unet, "full_adapter_xl", channels)
    # Its last two levels are as wide as each other.
    network = ControlCache().load(
        save_control(original(made) if names == "original" else made.state_dict()), base=xl_model
    )
    theirs = xl_pipeline("StableDiffusionXLAdapterPipeline", xl, adapter=made)(
        image=hint()[:, :channels], adapter_conditioning_scale=0.7, **xl_told(xl_texts), **asked()
    ).images
    assert near(sampled(xl_model, *xl_texts, [Applied(network=network, hints=hint(), weight=0.7)]), theirs)


def test_folders_are_read_too(model: Any, tiny_control: Any, record: Callable[..., Any], tmp_path: Path) -> None:
    import torch

    from webui.engine.control import ControlCache

    tiny_control.save_pretrained(tmp_path / "folder")
    network = ControlCache().load(record(tmp_path / "folder"), base=model)
    wanted = tiny_control.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in network.module.state_dict().items())
