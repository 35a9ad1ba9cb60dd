"""Two kinds of figure as SVG, written with the standard library: equal numbers give equal files."""
import math

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 46
COLOURS = ["#0b6e99", "#c2410c", "#4d7c0f"]


class Figure:
    """A plot; `x` and `y` map values to 0..1."""

    def __init__(self, title, x_title, y_title, legend=TOP + 16):
        self.legend = legend
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="11" role="img" aria-label="{title}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold" fill="#1f2937">{title}</text>',
        ]
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self.text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 10, x_title)
        self.parts.append(f'<text transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle" '
                          f'fill="#4b5563">{y_title}</text>')
        self.series = 0

    def place(self, x, y):
        return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)

    def text(self, x, y, text, anchor="middle"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#4b5563">{text}</text>')

    def line(self, points, colour, width=1.0, dashes=""):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.place(*point) for point in points))
        dashes = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>')

    def grid(self, x_ticks, y_ticks):
        for at, label in x_ticks:
            self.line([(at, 0), (at, 1)], "#e5e7eb")
            x, y = self.place(at, 0)
            self.text(x, y + 15, label)
        for at, label in y_ticks:
            self.line([(0, at), (1, at)], "#e5e7eb")
            x, y = self.place(0, at)
            self.text(x - 6, y + 4, label, "end")

    def curve(self, name, points, dots=()):
        colour = COLOURS[self.series % len(COLOURS)]
        self.line(points, colour, 2.0)
        for at, radius in dots or ((point, 2.5) for point in points):
            x, y = self.place(*at)
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"/>')
        x, y = WIDTH - RIGHT - 150, self.legend + 16 * self.series
        self.parts.append(f'<rect x="{x - 14}" y="{y - 8}" width="9" height="9" fill="{colour}"/>')
        self.text(x, y, name, "start")
        self.series += 1

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join([*self.parts, "</svg>", ""]))


def round_up(value):
    """The next number whose quarters are short to write."""
    scale = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(scale * step for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10) if scale * step >= value)


def reliability(path, series):
    """`series`: (name, rows of (calls, mean confidence, share right))."""
    figure = Figure("Confidence against truth", "mean confidence of the calls", "share that is right", HEIGHT - BOTTOM - 50)
    ticks = [(n / 5, f"{n / 5:.1f}") for n in range(6)]
    figure.grid(ticks, ticks)
    figure.line([(0, 0), (1, 1)], "#9ca3af", 1.0, "4 4")
    for name, rows in series:
        rows = [row for row in rows if row[0] > 0]
        most = max(row[0] for row in rows)
        dots = [((c, right), 2.0 + 4.0 * (n / most) ** 0.25) for n, c, right in rows]
        figure.curve(name, [(c, right) for _, c, right in rows], dots)
    figure.write(path)


def operating_curve(path, series):
    """`series`: (name, rows of (threshold, false calls per board, share of escaped defects))."""
    figure = Figure("False calls against escaped defects", "false calls per board", "defects that escape, per cent")
    widest = round_up(max(row[1] for _, rows in series for row in rows))
    tallest = round_up(max(row[2] for _, rows in series for row in rows))
    figure.grid([(n / 4, f"{widest * n / 4:.3f}") for n in range(5)],
                [(n / 4, f"{100 * tallest * n / 4:.1f}") for n in range(5)])
    for name, rows in series:
        dots = [((f / widest, e / tallest), 4.5 if abs(t - 0.5) < 1e-9 else 2.0) for t, f, e in rows]
        figure.curve(name, [point for point, _ in dots], dots)
    figure.write(path)
