"""The photo in the story: a glass teapot with a crack along its spout."""

from __future__ import annotations

import base64
import io

from PIL import Image, ImageDraw

_GLASS, _TEA, _TABLE, _CRACK = (203, 222, 226), (196, 126, 52), (244, 238, 228), (60, 60, 66)


def crack() -> str:
    """A PNG as base64."""
    photo = Image.new("RGB", (320, 240), _TABLE)
    draw = ImageDraw.Draw(photo)
    draw.ellipse((90, 80, 230, 210), fill=_GLASS, outline=_CRACK, width=3)
    draw.chord((98, 88, 222, 202), 20, 160, fill=_TEA)
    draw.polygon(((222, 130), (292, 82), (300, 94), (226, 160)), fill=_GLASS, outline=_CRACK)
    draw.arc((52, 100, 120, 190), 90, 270, fill=_CRACK, width=8)
    draw.rounded_rectangle((140, 64, 180, 84), 6, fill=_GLASS, outline=_CRACK, width=3)
    draw.line(((230, 150), (246, 132), (254, 134), (272, 106), (282, 104), (294, 88)), fill=_CRACK, width=3)
    out = io.BytesIO()
    photo.save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()
