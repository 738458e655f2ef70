"""All torch: device, loading, noise, schedules, samplers, denoising, guidance, text encoders, previews.

May import domain, words, settings, prompt, catalog, gallery. `types.py` names the five types everything is made of. A sampler
is a function in `samplers/` and a row in `catalog/samplers.py`; a family is a module in `families/`.
"""
