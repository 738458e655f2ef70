"""The demo model, from nothing: pictures drawn from specs, a VAE, a text encoder and a UNet trained on them, the
checkpoint they make, and the judge that says how well it follows a prompt.

    drawings     spec → picture, caption, facts, keypoints, true lines; what is held back from training
    maps         spec → what a ControlNet is shown: lines, skeletons
    judge        picture + what was asked → verdict; tables of verdicts
    eyes         a figure's joints and a picture's edges, by geometry alone
    control_effects   what the ControlNets do, measured by these eyes
    figures      the tiny pose detector that is shipped
    pictures     the drawn set and its latents as cached arrays
    course       a training loop that saves, resumes bit for bit and is shared by processes
    vae, text, unet   the three parts: their configs and how each is trained
    controls     both ControlNets, and the course in which the checkpoint learns on with them
    layout, checkpoint   diffusers' names → a Stable Diffusion 1 file, and the header that describes it
    sample       prompts → pictures by the shortest way, for looking while training

May import torch and diffusers, `webui.domain` and `webui.prompt`. A new kind of picture is a branch of `drawings.Spec`:
a drawer, words for its caption, a share in `KINDS`. A new demo model is a module beside `unet`, a step in `__main__`.
`python -m webui.demo all` trains and writes the checkpoint in models/Stable-diffusion; docs/demo-model.md tells how.
"""
