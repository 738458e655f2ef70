"""Names in a pasted infotext: the hash decides which LoRA is meant."""

from pathlib import Path

from tests.catalog.files import safetensors
from webui.catalog.lora_hashes import after_header
from webui.domain import ModelKind
from webui.gallery.infotext import read, request_from
from webui.services import Services

HEAD = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def lora(services: Services, name: str, rank: int, **metadata: str) -> Path:
    folder = Path(services.catalog.searched(ModelKind.LORA)[0])
    shapes = {f"{LAYER}.lora_up.weight": (4, rank), f"{LAYER}.lora_down.weight": (rank, 4)}
    return safetensors(folder / f"{name}.safetensors", shapes, metadata=metadata or None)


def pasted(services: Services, prompt: str, hashes: str) -> str:
    text = f'{prompt}\n{HEAD}, Lora hashes: "{hashes}"'
    return request_from(read(text), settings=services.settings.current, lookup=services.names)[0]["prompt"]


def test_a_hash_leads_to_the_file_whatever_lies_under_the_name(services: Services):
    same_name, other = lora(services, "soft", 2), lora(services, "mine", 3)
    services.catalog.scan()
    own, theirs = after_header(same_name)[:12], after_header(other)[:12]
    assert pasted(services, "a <lora:soft:0.8>", f"soft: {theirs}") == "a <lora:mine:0.8>"
    assert pasted(services, "a <lora:soft:0.8>", f"soft: {own}") == "a <lora:soft:0.8>"
    assert pasted(services, "a <lora:away:0.8>", f"away: {theirs}") == "a <lora:mine:0.8>"
    assert pasted(services, "a <lora:soft:0.8>", "soft: 0123456789ab") == "a <lora:soft:0.8>"


def test_a_hash_in_a_header_counts_as_the_trainer_wrote_it(services: Services):
    lora(services, "deep/known", 2, sshs_model_hash="ABCDEF012345" + "0" * 52)
    services.catalog.scan()
    assert pasted(services, "<lora:x:1:te=0.5>", "x: abcdef012345") == "<lora:known:1:te=0.5>"
