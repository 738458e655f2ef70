"""Labels of infotexts by whose they are: for saying what a pasted text names that is not here."""

EXTENSIONS: tuple[tuple[str, str], ...] = (
    ("ADetailer", "ADetailer"), ("Tiled Diffusion", "Tiled Diffusion"),
    ("Tiled VAE", "Tiled VAE"), ("Dynamic thresholding", "Dynamic Thresholding"), ("Mimic ", "Dynamic Thresholding"),
    ("dynthres_", "Dynamic Thresholding"), ("Threshold percentile", "Dynamic Thresholding"),
    ("Separate Feature Channels", "Dynamic Thresholding"), ("Scaling Startpoint", "Dynamic Thresholding"),
    ("Variability Measure", "Dynamic Thresholding"), ("Interpolate Phi", "Dynamic Thresholding"),
    ("CFG mode", "Dynamic Thresholding"), ("CFG scale minimum", "Dynamic Thresholding"), ("RP ", "Regional Prompter"),
    ("Regional Prompter", "Regional Prompter"), ("Latent Couple", "Latent Couple"), ("Cutoff", "Cutoff"),
    ("FreeU", "FreeU"), ("freeu_", "FreeU"), ("SAG ", "Self Attention Guidance"), ("sag_", "Self Attention Guidance"),
    ("Self Attention Guidance", "Self Attention Guidance"), ("PAG ", "Perturbed Attention Guidance"),
    ("Hypertile", "Hypertile"), ("hypertile_", "Hypertile"), ("Token merging", "Token merging"),
    ("Ultimate SD upscale", "Ultimate SD upscale"), ("SD upscale", "SD upscale"), ("LBW", "LoRA Block Weight"),
    ("Lora Block Weight", "LoRA Block Weight"), ("NegPiP", "NegPiP"), ("CD Tuner", "CD Tuner"),
    ("kohya_hrfix", "Kohya hires fix"), ("Kohya Hires", "Kohya hires fix"), ("DeepShrink", "Kohya hires fix"),
    ("ReActor", "ReActor"), ("Roop", "Roop"), ("CFG Rescale", "CFG Rescale"), ("CFG rescale", "CFG Rescale"),
    ("CFG Scheduler", "CFG Scheduler"), ("Face Editor", "Face Editor"), ("face_editor", "Face Editor"),
    ("LLuL", "LLuL"), ("Vec CC", "Vectorscope CC"), ("FABRIC", "FABRIC"), ("fabric_", "FABRIC"),
    ("AnimateDiff", "AnimateDiff"), ("StyleAlign", "StyleAlign"), ("latent_modifier", "Latent Modifier"),
    ("Distilled CFG Scale", "Flux"), ("Module 1", "Forge modules"), ("Face restoration", "Face restoration"),
    ("FP8 weight", "FP8 weight"), ("Hires Module", "Forge modules"), ("Hires CFG Scale", "Hires CFG Scale"),
    ("Aspect ratio", "Aspect ratio"), ("MultiDiffusion", "Tiled Diffusion"), ("Image CFG", ""),
)  # fmt: skip
"""How the labels of extensions and of unbuilt features begin → whose they are; "" for ours."""

OURS = frozenset({
    "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size-1", "Size-2", "Model hash", "Model", "VAE hash",
    "VAE", "Variation seed", "Variation seed strength", "Seed resize from-1", "Seed resize from-2",
    "Denoising strength", "Conditional mask weight", "Init image hash", "RNG", "Tiling", "Version", "User", "Refiner",
    "Refiner switch at",
    "Lora hashes", "TI hashes", "Hashes", "Script", "Template", "Negative Template", "App", "Operations", "Parser",
    "Pipeline", "Created Date", "Civitai resources", "Civitai metadata", "Batch size", "Batch pos", "Original Size-1",
    "Original Size-2", "Hypernet", "Hypernet strength", "Hypernet hash", "Raw prompt", "Raw negative prompt", "Styles",
    "Noise multiplier", "Extra noise", "Time taken", "Software", "Lora weights", "Refiner switch by sampling steps",
    "Eta", "ENSD", "Clip skip", "Emphasis", "NGMS", "Discard penultimate sigma", "workflow", "Workflow",
})  # fmt: skip
OUR_BEGINNINGS = (
    "ControlNet", "Hires ", "Mask", "Inpaint area", "Soft inpainting", "First pass size", "AddNet ", "Postprocess",
    "X Type", "X Values", "Y Type", "Y Values", "Z Type", "Z Values", "Fixed X", "Fixed Y", "Fixed Z", "X/Y",
    "Wildcard", "Prompt ", "Civitai", "Sigma ", "Schedule ", "UniPC ", "Beta schedule", "Image CFG", "NGMS", "VAE ",
    "Pad conds", "Noise Schedule",
)  # fmt: skip
"""Labels that are read here, or that change nothing."""
