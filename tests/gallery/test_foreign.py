"""Other programs' pictures: what they tell becomes our fields, and garbage becomes nothing."""

import gzip
import io
import json
import random
import time
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webui.gallery.foreign import READERS, translate
from webui.gallery.foreign.novelai import emphasis
from webui.gallery.foreign.stealth import hidden_text
from webui.gallery.infotext import Infotext, read
from webui.gallery.metadata import EXIF_IFD, MAKER_NOTE, USER_COMMENT, PictureInfo, read_picture
from webui.words import sentences

SIZE = (48, 32)


def png(chunks: dict[str, Any], image: Image.Image | None = None) -> bytes:
    told = PngInfo()
    for key, value in chunks.items():
        told.add_text(key, value if isinstance(value, str) else json.dumps(value))
    data = io.BytesIO()
    (image or Image.new("RGB", SIZE, "teal")).save(data, "PNG", pnginfo=told)
    return data.getvalue()


def told(chunks: dict[str, Any]) -> tuple[PictureInfo, Infotext]:
    found = read_picture(png(chunks))
    assert all(key in sentences() for key, _ in found.notes)
    return found, read(found.infotext)


def left_out(found: PictureInfo) -> list[str]:
    return next((list(fields["names"]) for key, fields in found.notes if key == "foreign_left_out"), [])


# --- ComfyUI

SIMPLE: dict[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {
        "seed": 123456789012345678, "steps": 22, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras",
        "denoise": 1.0, "model": ["11", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "anime/cat v3.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 384, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["12", 0]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["12", 0]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["13", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "a.safetensors", "strength_model": 0.8,
                                                  "strength_clip": 0.8, "model": ["4", 0], "clip": ["4", 1]}},
    "11": {"class_type": "LoraLoader", "inputs": {"lora_name": "b.safetensors", "strength_model": 0.5,
                                                  "strength_clip": 1, "model": ["10", 0], "clip": ["10", 1]}},
    "12": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["11", 1]}},
    "13": {"class_type": "VAELoader", "inputs": {"vae_name": "vae-ft.safetensors"}},
}  # fmt: skip


def changed(**nodes: dict[str, Any]) -> dict[str, Any]:
    graph = json.loads(json.dumps(SIMPLE))
    for id, inputs in nodes.items():
        graph[id.removeprefix("n")]["inputs"] |= inputs
    return graph


def test_a_comfyui_graph_is_followed_from_its_sampler():
    found, text = told({"prompt": SIMPLE, "workflow": {"nodes": [], "links": []}})
    assert found.source == "comfyui" and found.program == "ComfyUI"
    assert (text.prompt, text.negative) == ("a cat <lora:a:0.8> <lora:b:1:0.5>", "blurry")
    assert dict(text.fields) == {
        "Steps": "22", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "6.5",
        "Seed": "123456789012345678", "Size-1": "640", "Size-2": "384", "Model": "cat v3", "VAE": "vae-ft.safetensors",
        "Clip skip": "2", "RNG": "CPU",
    }  # fmt: skip
    assert set(found.items) == {"prompt", "workflow"}, "the graph itself stays in sight"
    assert left_out(found) == []


def test_a_drawn_comfyui_workflow_without_a_run_is_read_too():
    drawn = {
        "nodes": [
            {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["m.ckpt"]},
            {"id": 2, "type": "CLIPTextEncode", "inputs": [{"name": "clip", "link": 1}], "widgets_values": ["a dog"]},
            {"id": 3, "type": "CLIPTextEncode", "inputs": [{"name": "clip", "link": 2}], "widgets_values": ["ugly"]},
            {"id": 4, "type": "EmptyLatentImage", "widgets_values": [512, 768, 1]},
            {"id": 5, "type": "KSampler", "widgets_values": [42, "fixed", 9, 3.5, "euler_ancestral", "normal", 1],
             "inputs": [{"name": "model", "link": 3}, {"name": "positive", "link": 4}, {"name": "negative", "link": 5},
                        {"name": "latent_image", "link": 6}]},
            {"id": 6, "type": "VAEDecode", "inputs": [{"name": "samples", "link": 7}, {"name": "vae", "link": 8}]},
            {"id": 7, "type": "SaveImage", "inputs": [{"name": "images", "link": 9}], "widgets_values": ["x"]},
            {"id": 8, "type": "KSampler", "mode": 2, "widgets_values": [1, "", 1, 1, "lcm", "simple", 1]},
        ],
        "links": [[1, 1, 1, 2, 0, "CLIP"], [2, 1, 1, 3, 0, "CLIP"], [3, 1, 0, 5, 0, "MODEL"],
                  [4, 2, 0, 5, 1, "COND"], [5, 3, 0, 5, 2, "COND"], [6, 4, 0, 5, 3, "LATENT"],
                  [7, 5, 0, 6, 0, "LATENT"], [8, 1, 2, 6, 1, "VAE"], [9, 6, 0, 7, 0, "IMAGE"]],
    }  # fmt: skip
    _, text = told({"workflow": drawn})
    assert (text.prompt, text.negative) == ("a dog", "ugly")
    assert {"Steps": "9", "Sampler": "Euler a", "Schedule type": "Normal", "Seed": "42", "Size-1": "512",
            "Size-2": "768", "Model": "m", "CFG scale": "3.5"}.items() <= text.fields.items()  # fmt: skip


def test_a_second_comfyui_pass_becomes_hires_fix():
    graph = changed(n8={"samples": ["21", 0]})
    graph["20"] = {"class_type": "LatentUpscaleBy", "inputs": {"samples": ["3", 0], "scale_by": 1.5,
                                                               "upscale_method": "nearest-exact"}}  # fmt: skip
    graph["21"] = {"class_type": "KSampler", "inputs": SIMPLE["3"]["inputs"] | {
        "seed": 5, "steps": 12, "denoise": 0.55, "sampler_name": "euler", "latent_image": ["20", 0]}}  # fmt: skip
    _, text = told({"prompt": graph})
    assert text.fields["Seed"] == "123456789012345678" and text.fields["Size-1"] == "640"
    assert {"Denoising strength": "0.55", "Hires upscale": "1.5", "Hires steps": "12", "Hires sampler": "Euler",
            "Hires upscaler": "Latent (nearest-exact)"}.items() <= text.fields.items()  # fmt: skip


def test_a_comfyui_upscale_by_a_model_takes_its_size_from_the_picture():
    graph = changed(n8={"samples": ["21", 0]})
    graph |= {
        "20": {"class_type": "VAEEncode", "inputs": {"pixels": ["22", 0], "vae": ["4", 2]}},
        "21": {"class_type": "KSampler", "inputs": SIMPLE["3"]["inputs"] | {"latent_image": ["20", 0], "denoise": 0.3}},
        "22": {"class_type": "ImageUpscaleWithModel", "inputs": {"upscale_model": ["23", 0], "image": ["24", 0]}},
        "23": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "4x-sharp.pth"}},
        "24": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    }
    _, text = told({"prompt": graph})
    assert text.fields["Hires upscaler"] == "4x-sharp"
    assert (text.fields["Hires resize-1"], text.fields["Hires resize-2"]) == ("48", "32")


def test_two_advanced_comfyui_samplers_are_a_refiner():
    graph = changed(n8={"samples": ["21", 0]})
    graph["3"] = {"class_type": "KSamplerAdvanced", "inputs": SIMPLE["3"]["inputs"] | {
        "noise_seed": 7, "steps": 25, "start_at_step": 0, "end_at_step": 20}}  # fmt: skip
    del graph["3"]["inputs"]["seed"]
    graph["20"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "xl_refiner.safetensors"}}
    graph["21"] = {"class_type": "KSamplerAdvanced", "inputs": graph["3"]["inputs"] | {
        "model": ["20", 0], "latent_image": ["3", 0], "start_at_step": 20, "end_at_step": 10000}}  # fmt: skip
    _, text = told({"prompt": graph})
    assert (text.fields["Refiner"], text.fields["Refiner switch at"]) == ("xl_refiner", "0.8")
    assert (text.fields["Seed"], text.fields["Steps"]) == ("7", "25") and "Hires upscaler" not in text.fields


def test_comfyui_conditioning_is_followed_through_nodes_that_pass_it_on():
    graph = changed(n3={"positive": ["30", 0], "negative": ["30", 1], "seed": ["33", 0]})
    graph |= {
        "30": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["31", 0], "negative": ["7", 0]}},
        "31": {
            "class_type": "ConditioningCombine",
            "inputs": {"conditioning_1": ["6", 0], "conditioning_2": ["32", 0]},
        },
        "32": {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_g": ["34", 0], "text_l": ["34", 0]}},
        "33": {"class_type": "SeedNode", "inputs": {"seed": 99}},
        "34": {
            "class_type": "StringConcatenate",
            "inputs": {"string_a": "a hat", "string_b": "red", "delimiter": ", "},
        },
    }
    found, text = told({"prompt": graph})
    assert text.prompt.startswith("a cat AND a hat, red ") and text.negative == "blurry"
    assert text.fields["Seed"] == "99" and left_out(found) == ["ControlNet"]


def test_newer_comfyui_samplers_and_img2img_are_read():
    graph = {
        "1": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["2", 0], "guider": ["3", 0],
              "sampler": ["4", 0], "sigmas": ["5", 0], "latent_image": ["6", 0]}},
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 3}},
        "3": {"class_type": "BasicGuider", "inputs": {"model": ["7", 0], "conditioning": ["8", 0]}},
        "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "5": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 4, "denoise": 0.6}},
        "6": {"class_type": "VAEEncode", "inputs": {"pixels": ["9", 0]}},
        "7": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
        "8": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["10", 0], "guidance": 3.5}},
        "9": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
        "10": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox"}},
        "11": {"class_type": "VAEDecode", "inputs": {"samples": ["1", 0]}},
        "12": {"class_type": "SaveImage", "inputs": {"images": ["11", 0]}},
    }  # fmt: skip
    found, text = told({"prompt": graph})
    assert text.prompt == "a fox"
    assert {"Steps": "4", "Sampler": "Euler", "Schedule type": "Simple", "Seed": "3", "Denoising strength": "0.6",
            "Model": "flux1-dev", "Distilled CFG Scale": "3.5"}.items() <= text.fields.items()  # fmt: skip
    assert "foreign_init_missing" in [key for key, _ in found.notes]


def test_samplers_that_are_not_here_are_named():
    found, text = told({"prompt": changed(n3={"sampler_name": "res_multistep", "scheduler": "linear_quadratic"})})
    assert text.fields["Sampler"] == "Euler" and left_out(found) == ["res_multistep", "linear_quadratic"]


@pytest.mark.parametrize("graph", [
    changed(n3={"latent_image": ["8", 0], "positive": ["6", 0]}),
    changed(n6={"text": ["6", 0]}, n12={"clip": ["12", 0]}, n10={"model": ["11", 0]}),
    {str(n): {"class_type": "ConditioningCombine",
              "inputs": {"conditioning_1": [str(n - 1), 0], "conditioning_2": [str(n - 1), 0]}} for n in range(1, 60)}
    | {"s": {"class_type": "KSampler", "inputs": {"positive": ["59", 0], "latent_image": ["s", 0]}}},
])  # fmt: skip
def test_graphs_that_turn_in_circles_or_double_come_to_an_end(graph: dict[str, Any]):
    before = time.process_time()
    told({"prompt": graph})
    assert time.process_time() - before < 2


def test_comfyuis_webp_keeps_its_graph_in_exif():
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(SIMPLE)
    Image.new("RGB", SIZE).save(data, "WEBP", exif=exif)
    found = read_picture(data.getvalue())
    assert found.source == "comfyui" and read(found.infotext).fields["Model"] == "cat v3"


# --- the others


def test_both_fooocus_schemes_are_read():
    said = {
        "prompt": "a cat", "negative_prompt": "bad", "styles": "['Fooocus V2']", "performance": "Speed", "steps": 30,
        "resolution": "(1152, 896)", "guidance_scale": 4.0, "sharpness": 2.0, "base_model": "jug_v8",
        "base_model_hash": "aeb7e9e689", "refiner_model": "None", "clip_skip": 2, "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras", "vae": "Default (model)", "seed": "77", "lora_combined_1": "offset.safetensors : 0.1",
        "version": "Fooocus v2.5.0",
    }  # fmt: skip
    found, text = told({"parameters": said, "fooocus_scheme": "fooocus"})
    assert found.source == "fooocus" and text.prompt == "a cat <lora:offset:0.1>"
    assert {"Steps": "30", "Sampler": "DPM++ 2M SDE", "Schedule type": "Karras", "CFG scale": "4", "Seed": "77",
            "Size-1": "1152", "Model": "jug_v8", "Model hash": "aeb7e9e689",
            "Clip skip": "2"}.items() <= text.fields.items()  # fmt: skip
    assert left_out(found) == ["styles 'Fooocus V2'", "sharpness 2.0"]
    lines = ("a cat, cinematic\nNegative prompt: bad\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 77, "
             'Size: 1152x896, CFG scale: 4, Sharpness: 2, ADM Guidance: "(1.5, 0.8, 0.3)", Model: jug_v8, '
             'Lora hashes: "offset: 4852686128", Lora weights: "offset: 0.1", Version: Fooocus v2.5.0')  # fmt: skip
    found, text = told({"parameters": lines, "fooocus_scheme": "a1111"})
    assert found.source == "fooocus" and text.prompt == "a cat, cinematic <lora:offset:0.1>"
    assert text.fields["Size-2"] == "896" and text.fields["Lora hashes"] == "offset: 4852686128"
    assert "Sharpness" not in text.fields


def test_fooocus_jpeg_tells_its_scheme_in_exif():
    data, exif = io.BytesIO(), Image.Exif()
    said = json.dumps({"base_model": "jug", "steps": 8, "seed": "5", "prompt": "a hat"})
    tags = exif.get_ifd(EXIF_IFD)
    tags[USER_COMMENT], tags[MAKER_NOTE] = b"ASCII\0\0\0" + said.encode(), b"fooocus"
    Image.new("RGB", SIZE).save(data, "JPEG", exif=exif)
    found = read_picture(data.getvalue())
    assert (found.source, read(found.infotext).prompt) == ("fooocus", "a hat")


def test_invokeai_of_all_versions_is_read():
    found, text = told({"invokeai_metadata": {
        "app_version": "3.4.0", "generation_mode": "txt2img", "positive_prompt": "cat++, (two hats)1.2, dog-- run",
        "negative_prompt": "bad", "width": 512, "height": 640, "seed": 11, "rand_device": "cpu", "cfg_scale": 7.5,
        "steps": 30, "scheduler": "dpmpp_2m_sde_k", "clip_skip": 1,
        "model": {"model_name": "deliberate_v2", "base_model": "sd-1"},
        "loras": [{"lora": {"model_name": "ink"}, "weight": 0.75}],
        "vae": {"name": "mse"}, "controlnets": [{"x": 1}],
    }})  # fmt: skip
    assert found.source == "invokeai"
    assert text.prompt == "(cat:1.21), (two hats:1.2), (dog:0.81) run <lora:ink:0.75>"
    assert {"Sampler": "DPM++ 2M SDE", "Schedule type": "Karras", "Clip skip": "2", "Model": "deliberate_v2",
            "VAE": "mse", "RNG": "CPU"}.items() <= text.fields.items()  # fmt: skip
    assert left_out(found) == ["controlnets"]
    _, text = told({"sd-metadata": {"model_weights": "sd-1.5", "image": {
        "prompt": [{"prompt": "a cat [ugly, bad]", "weight": 1}], "steps": 50, "cfg_scale": 7.5, "seed": 3,
        "width": 512, "height": 512, "sampler": "k_euler_a"}}})  # fmt: skip
    assert (text.prompt, text.negative, text.fields["Sampler"]) == ("a cat", "ugly, bad", "Euler a")
    _, text = told({"Dream": '"a cat" -s 40 -S 123 -W 512 -H 704 -C 8 -A k_lms'})
    assert (text.prompt, text.fields["Size-2"], text.fields["Sampler"]) == ("a cat", "704", "LMS")


def test_swarmui_is_read():
    said = {"sui_image_params": {
        "prompt": "a cat <segment:face>", "negativeprompt": "bad", "model": "OfficialModels/xl_base", "seed": 4,
        "steps": 20, "cfgscale": 7.0, "width": 1024, "height": 832, "sampler": "dpmpp_2m", "scheduler": "karras",
        "loras": ["a/ink"], "loraweights": ["0.6"], "clipstopatlayer": "-2", "controlnetmodel": "canny"}}  # fmt: skip
    found, text = told({"parameters": said})
    assert found.source == "swarmui" and text.prompt == "a cat <lora:ink:0.6>"
    assert {"Model": "xl_base", "Clip skip": "2", "Size-2": "832", "Sampler": "DPM++ 2M"}.items() <= text.fields.items()
    assert left_out(found) == ["<segment>", "controlnetmodel"]


@pytest.mark.parametrize(("theirs", "ours"), [
    ("{girl}, smile", "(girl:1.05), smile"),
    ("{{{best}}} [dim] (literal)", r"(best:1.1576) (dim:0.9524) \(literal\)"),
    ("{a {b} c}", "(a:1.05) (b:1.1025) (c:1.05)"),
    ("1.5::rain, storm::, sun", "(rain, storm:1.5), sun"),
    ("broken {one", "broken one"),
    ("plain", "plain"),
])  # fmt: skip
def test_novelais_brackets_become_weights(theirs: str, ours: str):
    assert emphasis(theirs) == ours


def bits(image: Image.Image, name: str, text: str) -> Image.Image:
    """The picture with text in its lowest bits, as NovelAI hides it."""
    data = gzip.compress(text.encode()) if name.endswith("comp") else text.encode()
    stream = "".join(f"{byte:08b}" for byte in name.encode() + (len(data) * 8).to_bytes(4, "big") + data)
    pixels = image.load()
    assert pixels is not None
    rgb = "rgb" in name
    places = [(x, y) for x in range(image.width) for y in range(image.height)]
    for at, bit in enumerate(stream):
        x, y = places[at // 3] if rgb else places[at]
        pixel = list(pixels[x, y])
        channel = at % 3 if rgb else 3
        pixel[channel] = (pixel[channel] & ~1) | int(bit)
        pixels[x, y] = tuple(pixel)
    return image


@pytest.mark.parametrize("name", ["stealth_pnginfo", "stealth_pngcomp", "stealth_rgbinfo", "stealth_rgbcomp"])
def test_text_in_the_lowest_bits_is_found(name: str):
    text = "a 猫\nSteps: 5, Sampler: Euler, Seed: 8, Size: 64x64"
    image = bits(Image.new("RGBA", (64, 50), (10, 20, 30, 255)), name, text)
    found = read_picture(png({}, image))
    assert found.infotext == text and found.source == "a1111"
    assert hidden_text(image.convert("L")) == ""


def test_novelais_hidden_chunks_are_read_as_if_they_stood_in_the_file():
    told = {"Software": "NovelAI", "Description": "girl", "Source": "NovelAI Diffusion V3",
            "Comment": json.dumps({"prompt": "{girl}", "uc": "bad", "steps": 28, "scale": 5, "seed": 6,
                                   "sampler": "k_euler_ancestral", "sm": True})}  # fmt: skip
    image = bits(Image.new("RGBA", (64, 64), (10, 20, 30, 255)), "stealth_pngcomp", json.dumps(told))
    found = read_picture(png({}, image))
    assert found.source == "novelai" and read(found.infotext).prompt == "(girl:1.05)"
    assert left_out(found) == ["sm"]
    assert "foreign_model_only_there" in [key for key, _ in found.notes]


def test_a_hidden_length_that_lies_reads_nothing():
    image = bits(Image.new("RGBA", (64, 64), (1, 2, 3, 254)), "stealth_pngcomp", "x")
    pixels = image.load()
    assert pixels is not None
    for y in range(56, 64):
        pixels[1, y] = (1, 2, 3, 255)
    assert hidden_text(image) == ""


def test_easy_diffusion_and_draw_things_are_read():
    found, text = told({
        "prompt": "a cat", "negative_prompt": "bad", "seed": "5", "num_inference_steps": "25", "guidance_scale": "7.5",
        "width": "512", "height": "512", "sampler_name": "euler_a", "use_stable_diffusion_model": "x/sd-v1-4",
        "use_lora_model": '["ink"]', "lora_alpha": "[0.5]",
    })  # fmt: skip
    assert found.source == "easy diffusion" and text.prompt == "a cat <lora:ink:0.5>"
    assert (text.fields["Sampler"], text.fields["Model"]) == ("Euler a", "sd-v1-4")
    said = {"c": "a cat & dog", "uc": "bad", "seed": 5, "steps": 8, "scale": 4.5, "size": "512x768",
            "sampler": "DPM++ 2M Karras", "model": "m.ckpt"}  # fmt: skip
    body = json.dumps(said).replace("&", "&amp;").replace('"', "&quot;")
    xmp = f"<x><exif:UserComment><rdf:Alt><rdf:li xml:lang='x'>{body}</rdf:li></rdf:Alt></exif:UserComment></x>"
    found, text = told({"XML:com.adobe.xmp": xmp})
    assert (found.source, text.prompt, text.fields["Size-2"]) == ("draw things", "a cat & dog", "768")


def test_civitais_generator_is_read_from_its_comment():
    said = {"extraMetadata": json.dumps({"prompt": "a cat", "negativePrompt": "bad", "steps": 25, "cfgScale": 6,
            "seed": 9, "sampler": "Euler a", "width": 832, "height": 1216,
            "resources": [{"modelVersionId": 290640, "strength": 1}]})}  # fmt: skip
    found, text = told({"parameters": said})
    assert (found.source, text.prompt, text.fields["Seed"]) == ("civitai", "a cat", "9")
    assert left_out(found) == ["modelVersionId 290640"]


# --- strangers


def test_an_infotext_stays_what_it_is_beside_other_programs_chunks():
    line = "{a|b} cat\nSteps: 5, Sampler: Euler, Seed: 8, Size: 64x64"
    found, _ = told({"parameters": line})
    assert (found.source, found.infotext, found.notes) == ("a1111", line, ())
    found, _ = told({"parameters": "a cat\nSteps: 5, Sampler: Euler, Seed: 8", "prompt": SIMPLE})
    assert found.source == "a1111"


WORDS: list[Any] = [
    None, True, 0, -1, 2**70, 1e400, float("nan"), "", "x", "None", "[1,2]", "{", "\0", "模", [], {}, ["3", 0],
    ["9", 9],
    [["a", "b"]], {"on": True, "lora": 5}, {"text": "x"}, "1" * 5000, [[]] * 3, {"image": {"prompt": 5}}, "karras",
]  # fmt: skip


def test_garbage_in_any_place_never_breaks_a_reader():
    chance = random.Random(7)
    fooocus = {"base_model": "x", "loras": [], "styles": "", "seed": 1, "resolution": "", "steps": 1, "sampler": ""}
    invoke = {"positive_prompt": "", "seed": 1, "steps": 1, "loras": [], "model": {}, "vae": {}, "scheduler": ""}
    swarm = {"prompt": "", "seed": 1, "loras": [], "loraweights": [], "model": "", "clipstopatlayer": 1}
    extra = {"prompt": "", "resources": [], "steps": 1}
    drawn = {"nodes": [{"id": 1, "type": "KSampler", "widgets_values": [], "inputs": []}], "links": [[1, 1, 1]]}
    chunks = [
        {"prompt": SIMPLE}, {"workflow": drawn}, {"parameters": fooocus, "fooocus_scheme": "fooocus"},
        {"invokeai_metadata": invoke}, {"sd-metadata": {"image": invoke}}, {"Dream": "'a' -s 5"},
        {"parameters": {"sui_image_params": swarm}}, {"parameters": {"extraMetadata": extra}},
        {"Software": "NovelAI", "Comment": {"steps": 1, "seed": 2, "v4_prompt": {}}},
        {"draw things": {"c": "", "sampler": "", "steps": 1, "lora": []}},
        {"prompt": "a", "seed": "1", "Steps": "2", "Sampler": "x", "use_lora_model": "", "lora_alpha": ""},
    ]  # fmt: skip

    def spoiled(value: Any, share: float) -> Any:
        if chance.random() < share:
            return chance.choice(WORDS)
        if isinstance(value, dict):
            return {key: spoiled(inner, share) for key, inner in value.items()}
        return [spoiled(inner, share) for inner in value] if isinstance(value, list) else value

    for number in range(3000):
        texts = spoiled(chance.choice(chunks), 0.02 + number % 7 * 0.03)
        texts = texts if isinstance(texts, dict) else {}
        items = {key: value if isinstance(value, str) else json.dumps(value) for key, value in texts.items()}
        if chance.random() < 0.1:
            items = {key: value[: chance.randrange(len(value) + 1)] for key, value in items.items()}
        found = translate(items, 64, 64)
        if found is not None:
            read(found[1].infotext)


@pytest.mark.parametrize("name", READERS)
def test_every_reader_declines_what_is_not_its_own(name: str):
    assert READERS[name]({}, 8, 8) is None
    assert READERS[name]({"parameters": "a cat\nSteps: 5", "prompt": "a cat", "Comment": "hello"}, 8, 8) is None
