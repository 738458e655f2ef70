"""A1111's file name patterns, and numbers nobody shares."""

import hashlib
import os
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from webui.gallery.filenames import (
    TOKENS,
    BatchPlace,
    FolderNumbers,
    NameFacts,
    Sanitizing,
    filled,
    fitted,
    sanitized,
    subfolder,
)
from webui.gallery.infotext import InfotextFields

IMAGE = Image.new("RGB", (64, 32), "red")
FIELDS = InfotextFields(
    prompt="a red cat, (best:1.2)", negative="blurry", steps=20, sampler="DPM++ 2M", schedule="Karras", cfg_scale=7.5,
    seed=123, model="dream: v1.0", model_hash="abcdef1234", vae="kl-f8.ckpt", clip_skip=2,
)  # fmt: skip
NOW = datetime(2023, 11, 22, 15, 30, 45)


def facts(fields: InfotextFields = FIELDS, batch: BatchPlace | None = None, **more: object) -> NameFacts:
    return NameFacts(fields=fields, image=IMAGE, batch=batch or BatchPlace(), now=NOW, **more)  # type: ignore[arg-type]


BATCH = BatchPlace(
    size=2, count=3, index=1, iteration=2, seeds=(120, 121, 122, 123, 124, 125), styles=("Oil, thick", "None"),
    style_prompts=("{prompt}, (best:1.2)",), user="某人", started=datetime(2023, 1, 2, 3, 4, 5),
)  # fmt: skip


@pytest.mark.parametrize(("token", "expected"), [
    ("seed", "123"), ("seed_first", "120"), ("seed_last", "125"), ("steps", "20"), ("cfg", "7.5"), ("width", "64"),
    ("height", "32"), ("styles", "Oil, thick"), ("sampler", "DPM++ 2M"), ("sampler_scheduler", "DPM++ 2M Karras"),
    ("scheduler", "Karras"), ("model_hash", "abcdef1234"), ("model_name", "dream_ v1.0"), ("date", "2023-11-22"),
    ("datetime", "20231122153045"), ("datetime<%Y_%m>", "2023_11"), ("datetime<%H:%M>", "15_30"),
    ("DateTime<%Y><No/Such zone>", "2023"), ("job_timestamp", "20230102030405"),
    ("prompt_hash", hashlib.sha256(b"a red cat, (best:1.2)").hexdigest()[:8]),
    ("prompt_hash<4>", hashlib.sha256(b"a red cat, (best:1.2)").hexdigest()[:4]),
    ("negative_prompt_hash", hashlib.sha256(b"blurry").hexdigest()[:8]),
    ("full_prompt_hash", hashlib.sha256(b"a red cat, (best:1.2) blurry").hexdigest()[:8]),
    ("prompt", "a_red_cat,_(best_1.2)"), ("prompt_no_styles", "a red cat"), ("prompt_spaces", "a red cat, (best_1.2)"),
    ("prompt_words", "a red cat best 1 2"), ("batch_number", "2"), ("batch_size", "2"), ("generation_number", "6"),
    ("hasprompt<CAT|none><dog|no dog>", "catno_dog"), ("clip_skip", "2"), ("user", "某人"), ("vae_filename", "kl-f8"),
    ("basename", "img"), ("none", ""), ("image_hash<6>", hashlib.sha256(IMAGE.tobytes()).hexdigest()[:6]),
    ("image_hash", hashlib.sha256(IMAGE.tobytes()).hexdigest()),
])  # fmt: skip
def test_every_token_gives_what_a1111_gives(token: str, expected: str):
    assert filled(f"x-[{token}]-y", facts(batch=BATCH)) == f"x-{expected}-y"


def test_every_token_was_tried_above():
    (mark,) = test_every_token_gives_what_a1111_gives.pytestmark  # type: ignore[attr-defined]
    names = {token.split("<")[0].lower() for token, _ in mark.args[1]}
    assert names | {"denoising"} == set(TOKENS)


def test_a_name_for_many_pictures_leaves_out_what_counts_within_a_run():
    batch = replace(BATCH, archive=True, basename="源图.png")
    pattern = "a-[batch_number]-[generation_number]-[seed_last]-[basename]"
    assert filled(pattern, facts(batch=batch)) == "-125-源图.png"


def test_a_time_zone_moves_the_clock():
    text = filled("[datetime<%H%M><Asia/Tokyo>]", facts())
    assert text != "" and len(text) == 4
    tokyo = NOW.astimezone().timestamp() + 9 * 3600
    assert text == time.strftime("%H%M", time.gmtime(tokyo))


@pytest.mark.parametrize("token", ["seed_last", "batch_number", "generation_number", "denoising"])
def test_tokens_that_are_not_there_take_the_text_before_them_along(token: str):
    assert filled(f"[seed]-[{token}]", facts()) == "123"
    assert filled(f"[seed]-[{token}]-[steps]", facts()) == "123-20"


def test_unknown_tokens_and_bad_arguments_stay_as_they_stand():
    assert filled("[what]-[seed] [prompt_hash<x>] [steps<3>]", facts()) == "[what]-123 [prompt_hash<x>] [steps<3>]"


def test_brackets_in_a_prompt_are_not_tokens():
    found = filled("[prompt_spaces]-[seed]", facts(InfotextFields(prompt="[seed] [steps]", seed=9)))
    assert found == "[seed] [steps]-9"


def test_an_empty_prompt_has_the_word_empty():
    assert filled("[prompt_words]", facts(InfotextFields(prompt=" ,. "))) == "empty"


@pytest.mark.parametrize(("text", "made"), [
    ('a#b<c>d:e"f/g\\h|i?j*k\nl\rm\tn', "a_b_c_d_e_f_g_h_i_j_k_l_m_n"), ("  lead", "__lead"), ("trail. .", "trail._"),
    ("dots...", "dots"), ("猫" * 200, "猫" * 128), ("a\0b", "ab"), ("\x07bell", "bell"),
])  # fmt: skip
def test_parts_are_made_safe(text: str, made: str):
    assert sanitized(text, how=Sanitizing()) == made


def test_unix_sanitizing_only_minds_the_slash():
    how = Sanitizing(unix=True, most=5)
    assert sanitized("a:b/c?*", replace_spaces=False, how=how) == "a:b_c"


@pytest.mark.parametrize(("pattern", "folder"), [
    ("[date]", "2023-11-22"), ("[date]/[model_name]", "2023-11-22/dream_ v1.0"), ("", "a red cat best 1 2"),
    ("../../etc", "etc"), ("/etc/passwd", "etc/passwd"), ("a/./b/../c", "a/b/c"), ("..\\..\\x", "x"),
    ("C:\\Windows", "C_/Windows"), ("con/aux.txt", "_con/_aux.txt"), ("...", "."), ("[date] / ", "2023-11-22"),
])  # fmt: skip
def test_a_folder_pattern_never_leads_out(pattern: str, folder: str):
    assert subfolder(pattern, facts()) == Path(folder)


def test_a_prompt_cannot_open_folders():
    sly = InfotextFields(prompt="../../../etc/passwd")
    assert len(subfolder("[prompt_spaces]", facts(sly)).parts) == 1
    assert "/" not in fitted(filled("[prompt_spaces]", facts(sly)), ending=".png", how=Sanitizing())


def test_names_fit_the_file_system_in_bytes():
    stem = fitted("猫" * 200, ending=".png", how=Sanitizing())
    assert len(f"{stem}-999.png".encode()) <= 255 and stem == "猫" * len(stem)


def test_the_next_number_follows_the_highest(tmp_path: Path):
    for name in ("00003-1.png", "00010-2.png", "notes.txt", "grid-0099.png", "00011", "x-00099.png", "00012abc.png"):
        (tmp_path / name).touch()
    assert FolderNumbers().claim(tmp_path, "")[0] == 12
    assert FolderNumbers().claim(tmp_path, "grid")[0] == 100


def test_a_folder_is_listed_once(tmp_path: Path):
    numbers = FolderNumbers()
    for expected in range(50):
        number, held = numbers.claim(tmp_path, "")
        assert number == expected
        held.rename(tmp_path / f"{number:05}-1.png")
        numbers.settle(tmp_path)
    assert numbers.listings == 1


def test_a_folder_somebody_else_wrote_into_is_listed_again(tmp_path: Path):
    numbers = FolderNumbers()
    numbers.claim(tmp_path, "")[1].unlink()
    numbers.settle(tmp_path)
    time.sleep(0.02)
    (tmp_path / "00077-5.png").touch()
    assert numbers.claim(tmp_path, "")[0] == 78
    assert numbers.listings == 2


def test_two_workers_never_hold_one_number(tmp_path: Path):
    workers = [FolderNumbers() for _ in range(4)]
    held: list[int] = []

    def work(numbers: FolderNumbers) -> None:
        for _ in range(25):
            held.append(numbers.claim(tmp_path, "")[0])

    threads = [threading.Thread(target=work, args=(numbers,)) for numbers in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == len(set(held)) == 100


def test_claims_of_killed_processes_are_cleared(tmp_path: Path):
    stale, fresh = tmp_path / ".image-00000.tmp", tmp_path / ".image-00001.tmp"
    for path in (stale, fresh):
        path.touch()
    old = time.time() - 7200
    os.utime(stale, (old, old))
    assert FolderNumbers().claim(tmp_path, "")[0] == 0
    assert fresh.exists()
