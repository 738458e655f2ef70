"""All torch: device, loading, noise, schedules, samplers, denoising, guidance, text encoders, previews.

May import domain, words, settings, prompt, catalog, gallery. `types.py` names the five types everything is made of. A
sampler is a function in `samplers/` and a row in `catalog/samplers.py`; a family is a module in `families/`; what a
model can wear is a module in `patches/`. From file to picture: `weights` (`pickles`, `folders`) reads, `keys` names,
`families` configures, `loading` fills, `model` answers, `cache` keeps.
"""
