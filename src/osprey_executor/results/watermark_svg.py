"""A band over an SVG that says it is of a rehearsal: a picture of ours in which the code's is embedded.

An SVG that stands in another one as an image has its own styles, runs no scripts and draws nothing outside of its place
(SVG 2, section 2.2, "secure animated mode"), so whatever the code wrote into it, the band stays.
"""

from __future__ import annotations

import base64

from osprey_executor.results.watermark import MARK, dots

_WIDTH, _HEIGHT, _BAND = 1000, 750, 40
"""Of ours; what is embedded is shown as large as it fits, whatever size it says."""
_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" width="{width}" height="{whole}">'
    "<title>{mark}</title>"
    '<image y="{band}" width="{width}" height="{height}" href="data:image/svg+xml;base64,{picture}"/>'
    '<rect width="{width}" height="{band}" fill="#ffbf00"/><path transform="translate(20 10) scale(3)" d="{letters}"/>'
    "</svg>\n"
)


def watermarked_svg(svg: bytes | bytearray) -> bytes:
    """Return the picture under a band that says `MARK`, whatever `svg` is."""
    letters = "".join(f"M{column} {row}h1v1h-1z" for column, row in dots())
    picture = base64.b64encode(svg).decode()
    sizes = {"width": _WIDTH, "height": _HEIGHT, "whole": _HEIGHT + _BAND, "band": _BAND}
    return _FRAME.format(mark=MARK, picture=picture, letters=letters, **sizes).encode()
