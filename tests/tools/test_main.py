"""`python -m webui.tools convert`."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.torch


def test_the_console_converts_and_says_what_came_out_or_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file

    from webui.tools.__main__ import main

    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    torch.save({"lora_unet_x.lora_up.weight": torch.ones(2, 2)}, tmp_path / "枫.pt")
    source, target = str(tmp_path / "枫.pt"), str(tmp_path / "枫.safetensors")
    assert main(["convert", source, target, "--half"]) == 0
    assert "已转换" in capsys.readouterr().out
    assert load_file(target)["lora_unet_x.lora_up.weight"].dtype == torch.float16
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    assert main(["convert", source, target]) == 1
    assert "already there" in capsys.readouterr().err
    assert main(["convert", source, target, "--overwrite"]) == 0
    assert load_file(target)["lora_unet_x.lora_up.weight"].dtype == torch.float32
    with pytest.raises(SystemExit) as wrong:
        main(["convert", source])
    assert wrong.value.code == 2
