"""What a picture will need of a device's memory: `catalog.need` reckons it, for headers and loaded modules alike."""

from webui.catalog.need import ATTENDED, DECODED, ENCODED, PLAIN, SPARE, Need, unet_run, vae_run

__all__ = ["ATTENDED", "DECODED", "ENCODED", "PLAIN", "SPARE", "Need", "unet_run", "vae_run"]
