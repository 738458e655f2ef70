"""LoRAs by the hash an infotext tells: from headers at once, from the data where no header tells it."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.files import safetensors
from webui.catalog import Catalog, folders_from
from webui.catalog.lora_hashes import LoraHashes, after_header
from webui.domain import ModelKind

LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def lora(folder: Path, name: str, seed: int = 0, **metadata: str) -> Path:
    return safetensors(
        folder / "models" / "Lora" / f"{name}.safetensors",
        {f"{LAYER}.lora_up.weight": (4, 2 + seed), f"{LAYER}.lora_down.weight": (2 + seed, 4)},
        metadata=metadata or None,
    )


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "m.db", folders_from(object(), tmp_path))
    yield made
    made.close()


def test_a_hash_in_a_header_is_found_without_reading(tmp_path: Path, catalog: Catalog):
    lora(tmp_path, "other", seed=1, sshs_model_hash="ab" * 32)
    path = lora(tmp_path, "wanted", sshs_model_hash="CD" * 32)
    catalog.scan()
    os.truncate(path, path.stat().st_size)
    found = LoraHashes().find("cd" * 6, catalog)
    assert found is not None
    assert found.stem == "wanted"
    assert LoraHashes().find("cdcd", catalog) is None


def test_where_no_header_tells_it_the_data_is_read_once(tmp_path: Path, catalog: Catalog):
    for seed, name in enumerate(("a", "b", "c")):
        lora(tmp_path, name, seed=seed)
    catalog.scan()
    hashes = LoraHashes()
    wanted = catalog.need(ModelKind.LORA, "b")
    digits = after_header(wanted.path)[:12]
    assert hashes.find(digits, catalog) == wanted
    wanted.path.write_bytes(b"")
    assert hashes.short(wanted, catalog) == digits
    data = (tmp_path / "models" / "Lora" / "a.safetensors").read_bytes()
    whole = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
    assert hashes.short(catalog.need(ModelKind.LORA, "a"), catalog) == whole[:12]


def test_without_hashing_only_headers_count(tmp_path: Path):
    lora(tmp_path, "a")
    catalog = Catalog(tmp_path / "m.db", folders_from(object(), tmp_path), hashes=False)
    catalog.scan()
    digits = after_header(catalog.need(ModelKind.LORA, "a").path)[:12]
    assert LoraHashes().find(digits, catalog) is None
    catalog.close()
