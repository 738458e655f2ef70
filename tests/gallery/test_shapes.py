"""A hundred shapes that infotexts have in the wild, each with what must be read from it.

Made up here from what the programs write: A1111 of all versions, its forks, sites and extensions. "p" and "n" are the
prompts; `{}` in a shape stands for a plain line of parameters.
"""

import pytest

from webui.gallery.infotext import Infotext, facts_of, init_from, parameters, read, write_pairs

LINE = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768"
PLAIN = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "5", "Size-1": "512", "Size-2": "768"}

# What follows the plain line → what is read from it besides.
TAILS: list[tuple[str, dict[str, str]]] = [
    # A1111, from its first weeks on
    ("", {}),
    ("Model hash: 7460a6fa", {"Model hash": "7460a6fa"}),
    ("Model hash: 7460a6fa, Batch size: 4, Batch pos: 2", {"Batch size": "4", "Batch pos": "2"}),
    ("Model hash: 925997e9, Denoising strength: 0.7, First pass size: 0x0", {"First pass size-1": "0"}),
    ("Model hash: 925997e9, Denoising strength: 0.7, First pass size: 512x512", {"First pass size-2": "512"}),
    ("Model hash: 925997e9, Hypernet: anime", {"Hypernet": "anime"}),
    ("Model hash: 925997e9, Hypernet: anime_3, Hypernet strength: 0.6", {"Hypernet strength": "0.6"}),
    ("Model hash: 925997e9, Eta: 0.67, ENSD: 31337", {"Eta": "0.67", "ENSD": "31337"}),
    ("Model hash: 925997e9, Clip skip: 2, ENSD: -1", {"Clip skip": "2", "ENSD": "-1"}),
    ("Face restoration: CodeFormer, Model hash: 81761151", {"Face restoration": "CodeFormer"}),
    ("Face restoration: GFPGAN", {"Face restoration": "GFPGAN"}),
    ("Model hash: 81761151, Variation seed: 9, Variation seed strength: 0.1", {"Variation seed": "9"}),
    ("Seed resize from: 512x512", {"Seed resize from-1": "512", "Seed resize from-2": "512"}),
    ("Model hash: e6415c4892, Model: Realistic_Vision_V2.0", {"Model": "Realistic_Vision_V2.0"}),
    ("Model hash: 9aba26abdf, Model: deliberate v2", {"Model": "deliberate v2"}),
    ("Model hash: fc2511737a, Model: chilloutmix_NiPrunedFp32Fix", {"Model": "chilloutmix_NiPrunedFp32Fix"}),
    ('Model hash: 0000000000, Model: "mix, 0.7 + 0.3"', {"Model": "mix, 0.7 + 0.3"}),
    ('Model hash: 0000000000, Model: "C: drive"', {"Model": "C: drive"}),
    ("Model: 512x512", {"Model": "512x512"}),
    ("Model: 国风3_GuoFeng3", {"Model": "国风3_GuoFeng3"}),
    ("Model: 动漫/模型 [v2]", {"Model": "动漫/模型 [v2]"}),
    ("Denoising strength: 0.5, Hires upscale: 2, Hires upscaler: Latent", {"Hires upscale": "2"}),
    ("Denoising strength: 0.5, Hires upscale: 2, Hires steps: 20, Hires upscaler: R-ESRGAN 4x+ Anime6B",
     {"Hires upscaler": "R-ESRGAN 4x+ Anime6B", "Hires steps": "20"}),
    ("Denoising strength: 0.5, Hires resize: 1024x1536, Hires upscaler: 4x-UltraSharp",
     {"Hires resize-1": "1024", "Hires resize-2": "1536"}),
    ("Hires upscale: 1.5, Hires upscaler: Latent (nearest-exact), Hires sampler: DPM++ 2M Karras",
     {"Hires upscaler": "Latent (nearest-exact)", "Hires sampler": "DPM++ 2M Karras"}),
    ('Hires prompt: "a, b: c\\nd", Hires negative prompt: "x, y", Hires upscale: 2, Hires upscaler: ESRGAN_4x',
     {"Hires prompt": "a, b: c\nd", "Hires negative prompt": "x, y"}),
    ("Hires checkpoint: other [abcdef1234], Hires upscale: 2, Hires upscaler: Lanczos",
     {"Hires checkpoint": "other [abcdef1234]"}),
    ("Denoising strength: 0.75, Mask blur: 4", {"Mask blur": "4"}),
    ("Denoising strength: 0.75, Conditional mask weight: 1.0, Mask blur: 4", {"Conditional mask weight": "1.0"}),
    (("Denoising strength: 0.4, Mask mode: Inpaint not masked, Mask blur: 8, Inpaint area: Only masked, "
     "Masked area padding: 64, Masked content: latent noise"), {"Masked content": "latent noise"}),
    (("Denoising strength: 0.4, Soft inpainting enabled: True, Soft inpainting schedule bias: 1, "
     "Soft inpainting preservation strength: 0.5, Soft inpainting transition contrast boost: 4, Mask blur: 4"),
     {"Soft inpainting enabled": "True"}),
    ("Image CFG scale: 1.5, Denoising strength: 1.0", {"Image CFG scale": "1.5"}),
    ("Denoising strength: 0.6, Init image hash: 0cc175b9c0f1b6a831c399e269772661",
     {"Init image hash": "0cc175b9c0f1b6a831c399e269772661"}),
    ("Denoising strength: 0.3, Noise multiplier: 1.05, Extra noise: 0.02", {"Noise multiplier": "1.05"}),
    ("RNG: CPU, Version: v1.4.0", {"RNG": "CPU", "Version": "v1.4.0"}),
    ("RNG: NV, NGMS: 1.5, Version: v1.5.1", {"RNG": "NV", "NGMS": "1.5"}),
    ("Token merging ratio: 0.5, Token merging ratio hr: 0.3, Version: v1.3.2", {"Token merging ratio": "0.5"}),
    ("Tiling: True, Version: v1.6.0", {"Tiling": "True"}),
    ("VAE hash: f921fb3f29, VAE: kl-f8-anime2.ckpt, Version: v1.6.0", {"VAE": "kl-f8-anime2.ckpt"}),
    ("VAE hash: 735e4c3a44, VAE: vae-ft-mse-840000-ema-pruned.safetensors, Clip skip: 2, Version: v1.7.0",
     {"VAE hash": "735e4c3a44", "Clip skip": "2"}),
    ("Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8, Version: v1.6.0",
     {"Refiner": "sd_xl_refiner_1.0 [7440042bbd]", "Refiner switch at": "0.8"}),
    ('Lora hashes: "add_detail: 7c6bad76eb54", Version: v1.5.2', {"Lora hashes": "add_detail: 7c6bad76eb54"}),
    ('Lora hashes: "a: 111111111111, b b: 222222222222", TI hashes: "neg: 333333333333", Version: v1.6.1',
     {"TI hashes": "neg: 333333333333"}),
    ('TI hashes: "EasyNegative: c74b4e810b03, EasyNegative: c74b4e810b03", Version: v1.6.0',
     {"TI hashes": "EasyNegative: c74b4e810b03, EasyNegative: c74b4e810b03"}),
    ("Schedule type: Karras, Version: v1.9.0", {"Schedule type": "Karras"}),
    ("Schedule type: Align Your Steps, Version: v1.10.1", {"Schedule type": "Align Your Steps"}),
    ("Schedule type: Beta, Beta schedule alpha: 0.6, Beta schedule beta: 0.6, Version: v1.10.1",
     {"Beta schedule alpha": "0.6"}),
    ("Schedule max sigma: 10, Schedule min sigma: 0.1, Schedule rho: 7, Version: v1.4.1", {"Schedule rho": "7"}),
    ("Sigma churn: 5.0, Sigma tmin: 0.1, Sigma tmax: 9.0, Sigma noise: 1.01, Version: v1.8.0", {"Sigma tmax": "9.0"}),
    ("UniPC variant: bh2, UniPC order: 2, Version: v1.6.0", {"UniPC variant": "bh2"}),
    ("Eta DDIM: 0.3, Version: v1.6.0", {"Eta DDIM": "0.3"}),
    ("Discard penultimate sigma: True, SGM noise multiplier: True, Version: v1.6.0", {"SGM noise multiplier": "True"}),
    ("Pad conds: True, Version: v1.8.0-RC", {"Pad conds": "True"}),
    ("Downcast alphas_cumprod: True, Version: v1.8.0-RC-14-gabc1234", {"Downcast alphas_cumprod": "True"}),
    ("Noise Schedule: Zero Terminal SNR, Version: v1.7.0-1-g123", {"Noise Schedule": "Zero Terminal SNR"}),
    ("VAE Encoder: TAESD, VAE Decoder: TAESD, Version: v1.6.0", {"VAE Encoder": "TAESD"}),
    ("FP8 weight: Enable for SDXL, Cache FP16 weight for LoRA: False, Version: v1.8.0",
     {"FP8 weight": "Enable for SDXL"}),
    ("Emphasis: No norm, Version: v1.9.4", {"Emphasis": "No norm"}),
    ("Old prompt editing timelines: True, Version: v1.6.0", {"Old prompt editing timelines": "True"}),
    ("User: 小明, Version: v1.10.0", {"User": "小明"}),
    ("Skip Early CFG: 0.1, Version: v1.10.0", {"Skip Early CFG": "0.1"}),
    ('Script: X/Y/Z plot, X Type: Steps, X Values: "10,20", Y Type: CFG Scale, Y Values: "5, 7", Version: v1.6.0',
     {"X Values": "10,20", "Y Type": "CFG Scale"}),
    ("SD upscale overlap: 64, SD upscale upscaler: 4x-UltraSharp, Denoising strength: 0.2",
     {"SD upscale overlap": "64"}),
    ("Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+", {"Postprocess upscaler": "R-ESRGAN 4x+"}),
    # extensions
    ('ControlNet 0: "preprocessor: canny, model: control_canny [d14c016b], starting/ending: (0, 1)"',
     {"ControlNet 0": "preprocessor: canny, model: control_canny [d14c016b], starting/ending: (0, 1)"}),
    ("ControlNet Enabled: True, ControlNet Preprocessor: openpose, ControlNet Model: control_sd15_openpose [fef5e48e]",
     {"ControlNet Model": "control_sd15_openpose [fef5e48e]"}),
    ('ControlNet: "preprocessor: none, model: x"', {"ControlNet": "preprocessor: none, model: x"}),
    ('ADetailer model: face_yolov8n.pt, ADetailer prompt: "a, b", ADetailer confidence: 0.3, ADetailer version: 23.1',
     {"ADetailer prompt": "a, b", "ADetailer confidence": "0.3"}),
    ("ADetailer model 2nd: hand_yolov8n.pt, ADetailer mask blur 2nd: 4", {"ADetailer model 2nd": "hand_yolov8n.pt"}),
    ('Tiled Diffusion: {"Method": "MultiDiffusion", "Tile tile width": 96, "Overlap": 48}',
     {"Tiled Diffusion": '{"Method": "MultiDiffusion", "Tile tile width": 96, "Overlap": 48}'}),
    ('Tiled Diffusion: "{\'Method\': \'Mixture of Diffusers\', \'Overlap\': 48}"',
     {"Tiled Diffusion": "{'Method': 'Mixture of Diffusers', 'Overlap': 48}"}),
    ("Dynamic thresholding enabled: True, Mimic scale: 7, Threshold percentile: 100, Mimic mode: Half Cosine Up",
     {"Mimic scale": "7"}),
    ("RP Active: True, RP Divide mode: Matrix, RP Ratios: \"1,1\", RP Base Ratios: 0.2, RP Use Base: False",
     {"RP Ratios": "1,1"}),
    (("AddNet Enabled: True, AddNet Module 1: LoRA, AddNet Model 1: ink(0123abcd), AddNet Weight A 1: 0.7, "
     "AddNet Weight B 1: 0.7"), {"AddNet Model 1": "ink(0123abcd)"}),
    ("Ultimate SD upscale upscaler: 4x_NMKD, Ultimate SD upscale tile_width: 512, Ultimate SD upscale padding: 32",
     {"Ultimate SD upscale tile_width": "512"}),
    ('Wildcard prompt: "__animal__, a cat", Version: v1.6.0', {"Wildcard prompt": "__animal__, a cat"}),
    ('Template: "{a|b} cat", Negative Template: bad', {"Template": "{a|b} cat"}),
    ("Cutoff enabled: True, Cutoff targets: \"red, blue\", Cutoff weight: 0.5", {"Cutoff targets": "red, blue"}),
    ("FreeU Stages: \"[{\\\"backbone_factor\\\": 1.2}]\", FreeU Schedule: \"0.0, 1.0, 0.0\"",
     {"FreeU Stages": '[{"backbone_factor": 1.2}]'}),
    ("SAG Guidance Scale: 0.75, SAG Mask Threshold: 1", {"SAG Guidance Scale": "0.75"}),
    ("Hypertile U-Net: True, Hypertile VAE: True", {"Hypertile U-Net": "True"}),
    ("NegPiP Active: True, CD Tuner Active: True", {"NegPiP Active": "True"}),
    ('Lora Block Weight: "NONE:0,0,0"', {"Lora Block Weight": "NONE:0,0,0"}),
    ("AnimateDiff: \"enable: True, model: mm_sd.ckpt\"", {"AnimateDiff": "enable: True, model: mm_sd.ckpt"}),
    # forks, programs, sites
    ("Schedule type: Simple, Distilled CFG Scale: 3.5, Model: flux1-dev-bnb-nf4, Version: f2.0.1v1.10.1-previous-2-g1",
     {"Distilled CFG Scale": "3.5"}),
    ("Beta schedule alpha: 0.6, Beta schedule beta: 0.6, Version: f2.0.1v1.10.1, Module 1: ae, Module 2: clip_l",
     {"Module 2": "clip_l"}),
    ("Hires Module 1: Use same choices, Hires CFG Scale: 5, Hires upscale: 2, Hires upscaler: Latent, Version: neo",
     {"Hires CFG Scale": "5"}),
    ("Parser: Full parser, Model: x, Backend: Original, App: SD.Next, Version: 8a9ba09, Operations: txt2img",
     {"App": "SD.Next"}),
    ("Pipeline: SDXLPipeline, Operations: \"txt2img; hires\", App: SD.Next", {"Operations": "txt2img; hires"}),
    (('Clip skip: 2, Created Date: 2024-06-01T10:20:30.1234567Z, Civitai resources: '
     '[{"type":"checkpoint","modelVersionId":290640,"modelName":"Pony","modelVersionName":"V6, XL"}], '
     'Civitai metadata: {}'), {"Created Date": "2024-06-01T10:20:30.1234567Z", "Civitai metadata": "{}"}),
    ('Hashes: {"model": "abcdef1234", "lora:ink": "0123456789"}',
     {"Hashes": '{"model": "abcdef1234", "lora:ink": "0123456789"}'}),
    ('Model: x, Hashes: {"vae": "63aeecb90f", "embed:neg": "c74b4e810b"}, Version: v1.6.0',
     {"Hashes": '{"vae": "63aeecb90f", "embed:neg": "c74b4e810b"}', "Version": "v1.6.0"}),
    ("Model: x, Version: ComfyUI", {"Version": "ComfyUI"}),
    ("Model hash: unknown, Model: x.safetensors, Version: ComfyUI v0.3", {"Model": "x.safetensors"}),
    ('Sharpness: 2, ADM Guidance: "(1.5, 0.8, 0.3)", Model: jug, Version: Fooocus v2.5.5',
     {"ADM Guidance": "(1.5, 0.8, 0.3)"}),
    ("Clip skip: 2, ENSD: 31337", {"ENSD": "31337"}),
    ("Variation seed: 1, Variation seed strength: 0, Model: x", {"Variation seed strength": "0"}),
    ("Empty: , Model: x", {"Model": "x"}),
    ("Model: x, ", {"Model": "x"}),
    ('Note: "broken, Model: x', {"Model": "x"}),
    ("Sampler: DPM++ 2M Karras", {"Sampler": "DPM++ 2M Karras"}),
]  # fmt: skip

# Whole texts: the prompts' own shapes.
WHOLE: list[tuple[str, str, str]] = [
    (f"p\n{LINE}", "p", ""),
    (f"p\nNegative prompt: n\n{LINE}", "p", "n"),
    (f"p1\np2\n\np3\nNegative prompt: n1\nn2\n{LINE}", "p1\np2\n\np3", "n1\nn2"),
    (f"p\r\nNegative prompt: n\r\n{LINE}\r\n", "p", "n"),
    (f"Negative prompt: n\n{LINE}", "", "n"),
    (LINE, "", ""),
    (f"p, Steps: 3, of: a, stair: b\n{LINE}", "p, Steps: 3, of: a, stair: b", ""),
    (f"Steps: 20 of a stair\nin two lines\n{LINE}", "Steps: 20 of a stair\nin two lines", ""),
    (f"p\nNegative prompt:\n{LINE}", "p", ""),
    (f"p\nNegative prompt: a: b, c: d\nNegative prompt: e\n{LINE}", "p", "a: b, c: d\ne"),
    (f"  p  \n   Negative prompt:   n  \n   {LINE}   ", "p", "n"),
    (f"p <lora:x:0.8> (a:1.2) [b:c:0.5] AND d :0.4\n{LINE}", "p <lora:x:0.8> (a:1.2) [b:c:0.5] AND d :0.4", ""),
    ("p\nsubject: a, style: b, light: c", "p\nsubject: a, style: b, light: c", ""),
    ("p\nNegative prompt: n", "p", "n"),
    ("提示词：一只猫，高清\nNegative prompt: 低质量\n" + LINE, "提示词：一只猫，高清", "低质量"),
    (f'p "quoted", \\(escaped\\), {{a|b}}\n{LINE}', 'p "quoted", \\(escaped\\), {a|b}', ""),
]


@pytest.mark.parametrize(("tail", "expected"), TAILS)
def test_a_line_of_parameters_is_read_whole(tail: str, expected: dict[str, str]):
    found = read(f"p\nNegative prompt: n\n{LINE}, {tail}" if tail else f"p\nNegative prompt: n\n{LINE}")
    assert (found.prompt, found.negative) == ("p", "n")
    assert found.fields | expected == dict(found.fields)
    assert found.fields | PLAIN | expected == dict(found.fields)
    # Nothing breaks further on, and writing what was read loses nothing.
    parameters(found)
    init_from(found)
    assert facts_of(found).steps == 20
    assert read(write_pairs(found.prompt, found.negative, found.fields)) == found


@pytest.mark.parametrize(("text", "prompt", "negative"), WHOLE)
def test_prompts_of_all_shapes_are_told_from_the_parameters(text: str, prompt: str, negative: str):
    found = read(text)
    assert (found.prompt, found.negative) == (prompt, negative)
    assert dict(found.fields) in (PLAIN, {})


def test_there_are_a_hundred_of_them():
    assert len(TAILS) + len(WHOLE) >= 115 and len({tail for tail, _ in TAILS}) == len(TAILS) >= 99
    assert read("") == Infotext()
