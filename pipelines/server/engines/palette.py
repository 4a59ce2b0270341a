"""Colors of sketches: how two of them mix, and the light of a time of day or a season."""

from dataclasses import dataclass

# Red, green and blue, 0 to 255 each.
Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Light:
    """The colors of a scene under one light.

    Attributes:
        top: of the sky at its top.
        horizon: of the sky where it meets the ground.
        far: of the ground in the distance.
        near: of the ground in front.
        lamp: of the sun or the moon.
        lamp_height: how high the lamp stands between the horizon (0) and the top of the picture (1).
        stars: whether stars are out.
    """

    top: Color
    horizon: Color
    far: Color
    near: Color
    lamp: Color
    lamp_height: float
    stars: bool = False


# Chosen by eye, like every figure in this folder.
LIGHTS = {
    "dawn": Light((66, 84, 140), (255, 196, 160), (126, 116, 150), (46, 44, 72), (255, 226, 180), 0.18),
    "morning": Light((106, 164, 214), (255, 230, 190), (140, 164, 140), (58, 84, 60), (255, 240, 200), 0.4),
    "noon": Light((74, 137, 201), (205, 228, 238), (120, 158, 150), (44, 82, 66), (255, 250, 225), 0.72),
    "golden": Light((90, 110, 160), (255, 190, 92), (170, 120, 84), (74, 48, 40), (255, 222, 140), 0.24),
    "dusk": Light((44, 42, 92), (240, 120, 92), (96, 66, 102), (32, 24, 48), (255, 170, 120), 0.12),
    "night": Light((8, 12, 32), (34, 48, 92), (22, 30, 58), (8, 10, 22), (236, 240, 255), 0.7, stars=True),
    "storm": Light((38, 44, 56), (120, 128, 130), (62, 72, 78), (24, 30, 36), (190, 196, 200), 0.8),
    "winter": Light((130, 156, 186), (232, 236, 240), (178, 190, 204), (110, 124, 142), (255, 250, 240), 0.5),
    "autumn": Light((130, 150, 176), (246, 214, 170), (176, 116, 66), (96, 52, 34), (255, 236, 190), 0.45),
}

NAMED_COLORS: dict[str, Color] = {
    "red": (200, 60, 50),
    "green": (80, 150, 80),
    "blue": (60, 100, 190),
    "gold": (230, 180, 70),
    "pink": (236, 150, 170),
    "purple": (130, 80, 160),
    "orange": (236, 140, 60),
    "white": (235, 235, 235),
    "black": (40, 40, 46),
}

# Of cats.
FURS: dict[str, Color] = {"black": (28, 24, 26), "ginger": (150, 92, 44), "grey": (120, 120, 126)}


def mix(first: Color, second: Color, share: float) -> Color:
    """Return the color that lies `share` (0 to 1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
