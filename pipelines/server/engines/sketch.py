"""The sketch engine: a storyboard card for every request, painted from the words of its prompt."""

import hashlib
import io
import math
import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

from pipelines.common.geometry import Size
from pipelines.endpoints.dialects.flux import ImageRequest
from pipelines.server.engines.palette import Color, Light, Place, Scene, Weather, mix, read_scene

SKETCH_MODEL = "sketch"

# Shapes are drawn at this share of the size and scaled up: quick, and soft at the edges.
_SCALE = 2
_MARGIN = 0.045
_BAND = (14, 16, 22, 176)
_INK = (246, 242, 232)
_FAINT = (206, 200, 188)


class SketchEngine:
    """Paints cards; the same request, count and seed give the same bytes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def paint(self, asked: ImageRequest, size: Size, count: int) -> bytes:
        """Return a PNG of `size` pixels for the `count`th request of this kind: no two are alike."""
        key = f"{self._seed}\n{count}\n{asked.steps}\n{asked.aspect}\n{asked.prompt}"
        rng = random.Random(hashlib.sha256(key.encode(errors="surrogatepass")).digest())  # noqa: S311
        canvas = _Canvas(read_scene(asked.prompt), Size(size.width // _SCALE, size.height // _SCALE), rng)
        picture = canvas.paint().resize((size.width, size.height), Image.Resampling.BILINEAR)
        card = _letter(picture, asked, count)
        out = io.BytesIO()
        # Fast beats small here: the bytes go over loopback.
        card.save(out, "PNG", compress_level=1, compress_type=3)
        return out.getvalue()


class _Canvas:
    """One scene being painted, from the back to the front."""

    def __init__(self, scene: Scene, size: Size, rng: random.Random) -> None:
        self._scene = scene
        self._light: Light = scene.light
        self._w, self._h = size.width, size.height
        self._rng = rng
        self._horizon = int(self._h * rng.uniform(0.5, 0.62))
        self._image = self._sky()
        self._draw = ImageDraw.Draw(self._image)

    def paint(self) -> Image.Image:
        self._lamp()
        places: dict[Place, Callable[[], None]] = {
            Place.SEA: self._sea,
            Place.CITY: self._city,
            Place.FOREST: self._forest,
            Place.DESERT: self._dunes,
            Place.GARDEN: self._garden,
            Place.MOUNTAINS: self._mountains,
            Place.HILLS: self._hills,
        }
        places[self._scene.place]()
        subjects: dict[str, Callable[[], None]] = {
            "cat": self._cat,
            "boat": self._boats,
            "lighthouse": self._lighthouse,
            "bird": self._birds,
            "tree": self._tree,
            "house": self._house,
        }
        for subject in self._scene.subjects:
            subjects[subject]()
        self._weather()
        return self._grain()

    def _sky(self) -> Image.Image:
        ramp = Image.linear_gradient("L").resize((self._w, self._h))
        return ImageOps.colorize(ramp, self._light.top, self._light.horizon, mid=None)

    def _lamp(self) -> None:
        """Draw sun or moon with its glow, and stars where there are any."""
        rng, light = self._rng, self._light
        if light.stars:
            for _ in range(140):
                x, y = rng.randrange(self._w), rng.randrange(self._horizon)
                self._draw.point((x, y), mix(light.top, light.lamp, rng.uniform(0.3, 1)))
        x = int(self._w * rng.uniform(0.18, 0.82))
        y = int(self._horizon * (1 - light.height) + self._h * 0.02)
        radius = int(self._h * rng.uniform(0.045, 0.075))
        glow = Image.new("L", (self._w // 4, self._h // 4))
        reach = radius * 3 // 4
        ImageDraw.Draw(glow).ellipse((x // 4 - reach, y // 4 - reach, x // 4 + reach, y // 4 + reach), fill=150)
        glow = glow.filter(ImageFilter.GaussianBlur(radius / 4)).resize((self._w, self._h))
        self._image.paste(light.lamp, (0, 0), glow)
        if self._scene.weather is not Weather.STORM:
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=light.lamp)

    def _ridge(self, base: float, swing: float, color: Color, *, rough: float = 0.0) -> None:
        """Draw a line of hills across the picture, filled to the bottom."""
        rng = self._rng
        waves = [(rng.uniform(0.6, 3.2), rng.uniform(0, math.tau), rng.uniform(0.3, 1)) for _ in range(4)]
        points: list[tuple[float, float]] = []
        for x in range(0, self._w + 4, 4):
            turn = x / self._w * math.tau
            lift = sum(math.sin(turn * speed + phase) * weight for speed, phase, weight in waves)
            points.append((x, base - swing * lift / 2 + rng.uniform(-rough, rough)))
        self._draw.polygon([*points, (self._w, self._h), (0, self._h)], fill=color)

    def _layers(self, count: int, swing: float, *, rough: float = 0.0) -> None:
        for layer in range(count):
            share = layer / max(1, count - 1)
            base = self._horizon + (self._h - self._horizon) * share * 0.62
            color = mix(mix(self._light.horizon, self._light.far, 0.55 + 0.45 * share), self._light.near, share)
            self._ridge(base, swing * self._h * (1 - 0.4 * share), color, rough=rough)

    def _hills(self) -> None:
        self._layers(4, 0.06)

    def _dunes(self) -> None:
        self._layers(3, 0.05)
        sand = mix(self._light.horizon, (214, 164, 100), 0.6)
        self._ridge(self._h * 0.8, self._h * 0.07, sand)
        self._ridge(self._h * 0.88, self._h * 0.05, mix(sand, self._light.near, 0.45))

    def _mountains(self) -> None:
        rng = self._rng
        for layer, share in enumerate((0.15, 0.5, 0.9)):
            color = mix(mix(self._light.horizon, self._light.far, 0.7), self._light.near, share)
            for _ in range(7 - layer):
                x, width = rng.uniform(0, self._w), self._w * rng.uniform(0.14, 0.3)
                peak = self._horizon - self._h * rng.uniform(0.05, 0.34) * (1 - share * 0.7)
                foot = self._horizon + self._h * 0.12 * (layer + 1)
                self._draw.polygon([(x - width, foot), (x, peak), (x + width, foot)], fill=color)
                snow = width * 0.16
                drop = (foot - peak) * 0.16
                cap = [(x - snow, peak + drop), (x, peak), (x + snow, peak + drop), (x, peak + drop * 0.7)]
                self._draw.polygon(cap, fill=mix(color, (255, 255, 255), 0.6))
        self._ridge(self._h * 0.82, self._h * 0.04, self._light.near)

    def _sea(self) -> None:
        rng, light = self._rng, self._light
        ramp = Image.linear_gradient("L").resize((self._w, self._h - self._horizon))
        water = ImageOps.colorize(ramp, mix(light.horizon, light.far, 0.5), mix(light.near, (16, 40, 62), 0.4))
        self._image.paste(water, (0, self._horizon))
        rough = 3 if self._scene.weather is Weather.STORM else 1
        for _ in range(260):
            depth = rng.random() ** 1.6
            y = self._horizon + depth * (self._h - self._horizon)
            x, length = rng.uniform(0, self._w), self._w * (0.012 + 0.05 * depth)
            bend = rough * 4 * depth
            color = mix(light.far, light.lamp, rng.uniform(0.2, 0.75))
            self._draw.arc((x, y - bend, x + length, y + bend + 1), 190, 350, fill=color, width=1)
        if self._scene.weather is not Weather.STORM:
            self._ridge(self._horizon, self._h * 0.012, mix(light.horizon, light.far, 0.9))
            self._image.paste(water, (0, self._horizon + int(self._h * 0.02)))

    def _city(self) -> None:
        rng, light = self._rng, self._light
        lit = mix(light.lamp, (255, 214, 120), 0.7)
        for share in (0.25, 0.6, 1.0):
            color, x = mix(mix(light.horizon, light.far, 0.8), light.near, share), -8.0
            while x < self._w:
                width = self._w * rng.uniform(0.035, 0.09)
                top = self._h * (0.66 + 0.1 * share) - self._h * rng.uniform(0.05, 0.36) * (1.1 - share * 0.4)
                self._draw.rectangle((x, top, x + width, self._h), fill=color)
                for wx in range(int(x) + 4, int(x + width) - 5, 7):
                    for wy in range(int(top) + 6, int(self._h), 11):
                        if rng.random() < 0.22 * share:
                            self._draw.rectangle((wx, wy, wx + 2, wy + 4), fill=lit)
                x += width + rng.uniform(0, 6)

    def _forest(self) -> None:
        rng = self._rng
        self._layers(2, 0.04)
        for share in (0.3, 0.6, 1.0):
            color = mix(mix(self._light.far, (38, 84, 60), 0.4), self._light.near, share)
            foot = self._horizon + (self._h - self._horizon) * (0.25 + 0.6 * share)
            for _ in range(16):
                self._pine(rng.uniform(0, self._w), foot, self._h * rng.uniform(0.2, 0.38) * (0.6 + 0.6 * share), color)
            self._ridge(foot, self._h * 0.02, color)

    def _pine(self, x: float, foot: float, height: float, color: Color) -> None:
        for tier in range(4):
            width, top = height * (0.1 + 0.06 * tier), foot - height + height * 0.2 * tier
            self._draw.polygon(
                [(x - width, top + height * 0.34), (x, top), (x + width, top + height * 0.34)], fill=color
            )
        self._draw.rectangle((x - 1, foot - height * 0.2, x + 1, foot + 6), fill=color)

    def _garden(self) -> None:
        rng = self._rng
        self._layers(3, 0.035)
        lawn = mix(self._light.near, (86, 132, 70), 0.55)
        self._ridge(self._h * 0.72, self._h * 0.02, lawn, rough=2)
        blooms = [(224, 92, 98), (244, 196, 82), (236, 226, 236), (170, 110, 190), (240, 150, 120)]
        for _ in range(150):
            depth = rng.random()
            x, y = rng.uniform(0, self._w), self._h * (0.74 + 0.26 * depth)
            self._draw.line((x, y, x + rng.uniform(-2, 2), y - 5 - 9 * depth), fill=mix(lawn, (30, 60, 30), 0.5))
            size = 1.5 + 3 * depth
            bloom = mix(self._light.horizon, rng.choice(blooms), 0.75)
            top = y - 5 - 9 * depth
            self._draw.ellipse((x - size, top - size, x + size, top + size), fill=bloom)

    def _tree(self) -> None:
        rng = self._rng
        x, foot, height = self._w * rng.uniform(0.2, 0.8), self._h * 0.8, self._h * rng.uniform(0.34, 0.46)
        bark = mix(self._light.near, (40, 26, 20), 0.6)
        self._draw.polygon(
            [(x - 9, foot), (x - 3, foot - height * 0.6), (x + 3, foot - height * 0.6), (x + 9, foot)], bark
        )
        for _ in range(46):
            turn, reach = rng.uniform(0, math.tau), height * 0.36 * rng.random() ** 0.5
            cx, cy = x + math.cos(turn) * reach, foot - height * 0.74 + math.sin(turn) * reach * 0.7
            size = height * rng.uniform(0.04, 0.1)
            leaf = mix(self._light.far, self._light.horizon, rng.uniform(0, 0.5))
            self._draw.ellipse((cx - size, cy - size, cx + size, cy + size), fill=leaf)

    def _cat(self) -> None:
        """Draw a cat's outline: body, head, two ears and a tail that curls the way it likes."""
        rng = self._rng
        fur = mix(self._light.near, rng.choice([(28, 24, 26), (150, 92, 44), (120, 120, 126)]), 0.75)
        unit = self._h * rng.uniform(0.1, 0.14)
        x, foot = self._w * rng.uniform(0.3, 0.7), self._h * 0.74
        side = rng.choice((-1, 1))
        self._draw.ellipse((x - unit * 0.62, foot - unit * 1.3, x + unit * 0.62, foot), fill=fur)
        head_x, head_y, head = x + side * unit * 0.2, foot - unit * 1.5, unit * 0.42
        self._draw.ellipse((head_x - head, head_y - head, head_x + head, head_y + head), fill=fur)
        for ear in (-1, 1):
            tip = (head_x + ear * head * 0.8, head_y - head * 1.5)
            left, right = (
                (head_x + ear * head * 0.95, head_y - head * 0.2),
                (head_x + ear * head * 0.15, head_y - head * 0.8),
            )
            self._draw.polygon([tip, left, right], fill=fur)
            eye_x = head_x + ear * head * 0.38
            self._draw.ellipse((eye_x - 3, head_y - 3, eye_x + 3, head_y + 3), fill=(232, 206, 92))
        tail = [
            (x - side * unit * (0.5 + 0.5 * step), foot - unit * (0.1 + 0.6 * math.sin(step * 2.4)))
            for step in (number / 12 for number in range(13))
        ]
        self._draw.line(tail, fill=fur, width=max(3, int(unit * 0.16)), joint="curve")

    def _boats(self) -> None:
        rng = self._rng
        for _ in range(rng.randint(2, 4)):
            depth = rng.uniform(0.1, 0.5)
            x, y = self._w * rng.uniform(0.1, 0.9), self._horizon + depth * (self._h - self._horizon)
            length = self._w * (0.02 + 0.07 * depth)
            hull = mix(self._light.near, rng.choice([(60, 30, 30), (26, 40, 60), (70, 60, 50)]), 0.6)
            self._draw.polygon(
                [
                    (x - length, y),
                    (x + length, y),
                    (x + length * 0.7, y + length * 0.32),
                    (x - length * 0.7, y + length * 0.32),
                ],
                fill=hull,
            )
            self._draw.line((x, y, x, y - length * 1.5), fill=hull, width=2)
            sail = mix(self._light.horizon, (255, 250, 240), 0.5)
            self._draw.polygon([(x + 2, y - length * 1.45), (x + 2, y - 4), (x + length * 0.8, y - 4)], fill=sail)

    def _lighthouse(self) -> None:
        x, foot = self._w * self._rng.uniform(0.15, 0.85), self._h * 0.7
        height, stone = self._h * 0.36, mix(self._light.horizon, (250, 246, 240), 0.6)
        self._draw.polygon([(x - 15, foot), (x - 8, foot - height), (x + 8, foot - height), (x + 15, foot)], fill=stone)
        self._draw.polygon([(x - 13, foot - height * 0.4), (x - 11, foot - height * 0.6), (x + 11, foot - height * 0.6),
                            (x + 13, foot - height * 0.4)], fill=(178, 62, 54))  # fmt: skip
        self._draw.rectangle((x - 9, foot - height - 14, x + 9, foot - height), fill=(255, 236, 160))
        self._draw.polygon(
            [(x - 11, foot - height - 14), (x, foot - height - 26), (x + 11, foot - height - 14)], (70, 40, 40)
        )
        self._ridge(foot, self._h * 0.015, self._light.near)

    def _birds(self) -> None:
        rng = self._rng
        for _ in range(rng.randint(4, 9)):
            x, y, size = rng.uniform(0, self._w), rng.uniform(self._h * 0.1, self._horizon * 0.8), rng.uniform(5, 13)
            ink = self._light.near
            self._draw.arc((x - size * 2, y, x, y + size), 200, 340, fill=ink, width=2)
            self._draw.arc((x, y, x + size * 2, y + size), 200, 340, fill=ink, width=2)

    def _house(self) -> None:
        rng = self._rng
        x, foot, width = self._w * rng.uniform(0.15, 0.8), self._h * 0.74, self._w * 0.07
        wall = mix(self._light.near, (236, 220, 196), 0.45)
        self._draw.rectangle((x, foot - width * 0.8, x + width, foot), fill=wall)
        roof = [(x - 6, foot - width * 0.8), (x + width / 2, foot - width * 1.4), (x + width + 6, foot - width * 0.8)]
        self._draw.polygon(roof, fill=mix(self._light.near, (120, 50, 40), 0.6))
        self._draw.rectangle(
            (x + width * 0.3, foot - width * 0.5, x + width * 0.5, foot - width * 0.25), (255, 220, 130)
        )

    def _weather(self) -> None:
        rng = self._rng
        match self._scene.weather:
            case Weather.RAIN | Weather.STORM:
                slant = rng.uniform(4, 12)
                for _ in range(420):
                    x, y, length = rng.uniform(0, self._w), rng.uniform(0, self._h), rng.uniform(8, 20)
                    tone = mix(self._light.horizon, (235, 240, 248), rng.uniform(0.1, 0.6))
                    self._draw.line((x, y, x - slant * length / 20, y + length), fill=tone)
            case Weather.SNOW:
                for _ in range(420):
                    x, y, size = rng.uniform(0, self._w), rng.uniform(0, self._h), rng.uniform(0.6, 2.2)
                    self._draw.ellipse((x - size, y - size, x + size, y + size), fill=(246, 248, 252))
            case Weather.MIST:
                self._mist()
            case Weather.CLEAR:
                pass
        if self._scene.weather is Weather.STORM:
            self._lightning()

    def _mist(self) -> None:
        veil = Image.new("L", (self._w // 8, self._h // 8))
        draw = ImageDraw.Draw(veil)
        for _ in range(14):
            y, height = self._rng.uniform(0.3, 0.9) * veil.height, self._rng.uniform(2, 7)
            x, width = self._rng.uniform(-0.3, 0.8) * veil.width, self._rng.uniform(0.4, 1.1) * veil.width
            draw.ellipse((x, y, x + width, y + height), fill=self._rng.randint(90, 190))
        veil = veil.filter(ImageFilter.GaussianBlur(3)).resize((self._w, self._h), Image.Resampling.BILINEAR)
        self._image.paste(mix(self._light.horizon, (240, 240, 240), 0.4), (0, 0), veil)

    def _lightning(self) -> None:
        x, y = self._w * self._rng.uniform(0.2, 0.8), 0.0
        points = [(x, y)]
        while y < self._horizon:
            x, y = x + self._rng.uniform(-22, 22), y + self._rng.uniform(14, 34)
            points.append((x, y))
        self._draw.line(points, fill=(250, 250, 226), width=2, joint="curve")

    def _grain(self) -> Image.Image:
        """Add a vignette, and the grain of film."""
        shade = Image.radial_gradient("L").resize((self._w, self._h)).point(lambda value: 255 - value * value // 620)
        shaded = ImageChops.multiply(self._image, shade.convert("RGB"))
        width, height = self._w // 2, self._h // 2
        noise = Image.frombytes("L", (width, height), self._rng.randbytes(width * height)).point(
            lambda value: value >> 4
        )
        return ImageChops.add(shaded, noise.resize((self._w, self._h)).convert("RGB"), scale=1, offset=-3)


def _letter(picture: Image.Image, asked: ImageRequest, count: int) -> Image.Image:
    """Set the prompt on a translucent band at the head of the picture, out of the way of captions."""
    margin = int(min(picture.size) * _MARGIN)
    width = picture.width - 4 * margin
    lines, font = _fitted(asked.prompt, width, int(picture.height * 0.3), picture.height)
    spacing = int(font.size * 1.3)
    slate = _type(max(11, picture.height // 46))
    height = spacing * len(lines) + int(slate.size * 1.9) + margin
    top = margin
    band = Image.new("RGBA", (picture.width - 2 * margin, height), (0, 0, 0, 0))
    ImageDraw.Draw(band).rounded_rectangle((0, 0, band.width - 1, height - 1), radius=margin // 2, fill=_BAND)
    picture.paste(band, (margin, top), band)
    draw = ImageDraw.Draw(picture)
    take = f"   no. {count}" if count > 1 else ""
    line = f"SKETCH   {picture.width}x{picture.height}   {asked.aspect}   {asked.steps} steps{take}"
    draw.text((2 * margin, top + margin // 2), line, font=slate, fill=_FAINT)
    for number, text in enumerate(lines):
        place = (2 * margin, top + margin // 2 + int(slate.size * 1.7) + number * spacing)
        draw.text(place, text, font=font, fill=_INK)
    return picture


def _type(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    # Pillow without FreeType has one tiny bitmap font; its wheels all have FreeType.
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _fitted(text: str, width: int, height: int, full: int) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """Wrap the prompt in the largest type that fits; cut it short where none does."""
    words = " ".join(text.split()).split(" ")
    lines: list[str] = []
    for size in (full // 30, full // 38, full // 48):
        font = _type(max(12, size))
        lines = _wrapped(words, font, width)
        room = max(1, int(height / (font.size * 1.3)))
        if len(lines) <= room:
            break
    if len(lines) > room:
        lines = [*lines[: room - 1], f"{lines[room - 1].rstrip()} ..."]
    return lines, font


def _wrapped(words: list[str], font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines, line = [], ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        # A word wider than the card, or a script without spaces, is broken where it must be.
        while font.getlength(word) > width:
            fit = max(1, int(len(word) * width / font.getlength(word)))
            while fit > 1 and font.getlength(word[:fit]) > width:
                fit -= 1
            lines.append(word[:fit])
            word = word[fit:]  # noqa: PLW2901 - the rest of it goes on
        line = word
    return [*lines, line]
