"""Maple WebUI: Stable Diffusion in the browser.

Start at `generate/` for the story of one picture, at `app.py` for how the rooms are wired, at `hooks.py` for what an
extension can change. A module imports only from rooms below its own (the table stands in pyproject.toml).
"""

__version__ = "0.1.0"
