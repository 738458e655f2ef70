"""Upcast attention: fp32 between queries and values, bit for bit as before when it is off."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch


def test_attention_is_computed_in_fp32_and_given_back(
    tiny_checkpoint: Path, record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from torch.nn import functional

    from webui.engine.cache import ModelCache
    from webui.engine.device import Precision
    from webui.engine.patches.attention import Upcast

    model = ModelCache(torch.device("cpu"), Precision(unet=torch.bfloat16)).load(record(tiny_checkpoint), None)
    seen: list[Any] = []
    plain = functional.scaled_dot_product_attention

    def watched(query: Any, key: Any, value: Any, **more: Any) -> Any:
        seen.append({query.dtype, key.dtype, value.dtype})
        return plain(query, key, value, **more)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)

    def asked() -> Any:
        seen.clear()
        x = torch.ones(1, 4, 16, 16, dtype=torch.bfloat16)
        text = torch.ones(1, 77, 64, dtype=torch.bfloat16)
        with torch.no_grad():
            return model.unet(x, torch.tensor([5.0]), text, return_dict=False)[0]

    bare = asked()
    assert seen and all(types == {torch.bfloat16} for types in seen)
    with model.wearing((Upcast(),)):
        upcast = asked()
        assert seen and all(types == {torch.float32} for types in seen)
    assert upcast.dtype == torch.bfloat16
    assert torch.allclose(bare.float(), upcast.float(), atol=0.2)
    model.bare()
    assert torch.equal(asked(), bare)
