#!/usr/bin/env python3
"""A station, as small as it can be: sends one board for inspection and prints its verdict.

    python3 station.py golden.jpg board.jpg --part PCB-7 --lot L-1 --pdf report.pdf

It needs Python 3.9 and nothing else. It signs in with CHIPQ_CLIENT_ID and CHIPQ_CLIENT_SECRET, or with CHIPQ_USER and
CHIPQ_PASSWORD: at the platform, or at the token endpoint of the company's identity provider, where CHIPQ_TOKEN_URL
names one. The platform is at CHIPQ_URL, or --base. The part and its golden sample are registered when they are missing,
by whoever may do so. Exits with the judgement, as `chipq inspect` does: 0 pass, 1 fail, 2 review; with 69 when the
platform refuses or does not answer.

--pdf needs a role that reads reports (`reports:read`), which a station's does not; a report that cannot be had is said
on standard error and changes nothing about how it exits.

What a client of yours should keep of it: one Idempotency-Key for a command, however often it is sent; Retry-After;
which answers are worth another try; and that `detail` of a problem says what to do.
"""

import argparse
import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

ATTEMPTS = 8  # of one request
PAUSE_MAX_S = 30  # between two of them, where the server does not say how long
ANSWER_WITHIN_S = 60  # longer than the server waits for a verdict
VERDICT_WITHIN_S = 300
EXIT_CODES = {"pass": 0, "fail": 1, "review": 2}
EXIT_UNAVAILABLE = 69
# Nothing was decided yet: the same request may be sent again.
WORTH_ANOTHER_TRY = {408, 429, 502, 503, 504}
KEY_IN_PROGRESS = "urn:chipq:problem:idempotency-key-in-progress"


class Problem(Exception):
    """A refusal (RFC 9457), or no answer at all."""

    def __init__(self, status, body):
        self.status, self.type = status, body.get("type", "about:blank")
        text = body.get("detail") or body.get("error_description") or body.get("title") or "no reason given"
        for error in body.get("errors", []):
            text += f"\n  {error['field']}: {error['message']}"
        if "trace_id" in body:
            text += f"\n  (trace {body['trace_id']})"
        super().__init__(f"{status}: {text}")


class Platform:
    """The platform, as one station sees it."""

    def __init__(self, base, sign_in):
        self.base, self.sign_in, self.token = base.rstrip("/"), sign_in, None

    def read(self, path, accept="application/json", **headers):
        """The JSON of a resource, or its bytes when something else is accepted."""
        body, _ = self._send("GET", path, {"Accept": accept, **headers})
        return json.loads(body) if accept == "application/json" else body

    def command(self, path, body=None, **headers):
        """Sends a command, once however often it takes; its answer, and its place in the log."""
        headers["Idempotency-Key"] = str(uuid.uuid4())
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        answer, about = self._send("POST", path, headers, data)
        return json.loads(answer), about.get("X-Log-Position")

    def upload(self, ticket, picture):
        """Sends a picture to where its announcement says. The URL carries its own permission."""
        self._send(ticket["method"], ticket["upload_url"], dict(ticket["headers"]), picture, signed=True)

    def _send(self, method, path, headers, data=None, signed=False):
        url = path if signed else self.base + path
        signed_in_again = False
        for attempt in range(1, ATTEMPTS + 1):
            if not signed and self.token is None:
                self.token = self.sign_in(self.base)
            request = urllib.request.Request(url, data=data, method=method, headers=headers)
            if not signed:
                request.add_header("Authorization", "Bearer " + self.token)
            try:
                with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
                    return answer.read(), answer.headers
            except urllib.error.HTTPError as refusal:
                problem = read_problem(refusal)
                pause = pause_before(attempt + 1, refusal.headers.get("Retry-After"))
                if refusal.code == 401 and not signed and not signed_in_again:
                    # The token has expired.
                    self.token, signed_in_again, pause = None, True, 0
                elif refusal.code not in WORTH_ANOTHER_TRY and problem.type != KEY_IN_PROGRESS:
                    raise problem from None
            except (OSError, http.client.HTTPException) as error:
                # Whether it arrived is unknown: the key makes sure that it is executed once.
                problem, pause = Problem("no answer", {"detail": str(error)}), pause_before(attempt + 1)
            if attempt == ATTEMPTS:
                raise problem
            time.sleep(pause)


def read_problem(refusal):
    try:
        body = json.loads(refusal.read())
    except ValueError:
        body = {}
    return Problem(refusal.code, body if isinstance(body, dict) else {})


def pause_before(attempt, retry_after=None):
    """Seconds: what the server asks for, else twice as long each time."""
    return float(retry_after) if (retry_after or "").isdigit() else min(0.25 * 2**attempt, PAUSE_MAX_S)


def sign_in_by(form):
    """Gets an access token by what this form proves. Whoever signs in otherwise replaces this function alone."""

    def sign_in(base):
        encoded = urllib.parse.urlencode(form).encode()
        endpoint = os.environ.get("CHIPQ_TOKEN_URL") or base + "/v1/token"
        try:
            with urllib.request.urlopen(endpoint, encoded, timeout=ANSWER_WITHIN_S) as answer:
                return json.load(answer)["access_token"]
        except urllib.error.HTTPError as refusal:
            raise read_problem(refusal) from None

    return sign_in


def form_from_environment():
    """A client's id and secret, or a person's name and password."""
    client_id = os.environ.get("CHIPQ_CLIENT_ID")
    if client_id:
        secret = os.environ.get("CHIPQ_CLIENT_SECRET", "")
        return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    username, password = os.environ.get("CHIPQ_USER", "demo"), os.environ.get("CHIPQ_PASSWORD", "demo")
    return {"grant_type": "password", "username": username, "password": password}


def media_type(path):
    return "image/png" if path.lower().endswith(".png") else "image/jpeg"


def announce_and_upload(platform, path, file, **query):
    """Announces a picture and sends its bytes."""
    with open(file, "rb") as opened:
        picture = opened.read()
    query.update(type=media_type(file), bytes=len(picture), sha256=hashlib.sha256(picture).hexdigest())
    ticket, _ = platform.command(f"{path}?{urllib.parse.urlencode(query)}")
    platform.upload(ticket, picture)
    # Changes nothing where the platform took the picture itself; a bucket does not always tell that it did.
    platform.command(f"{path}/{ticket['artifact_id']}/complete")


def register_part(platform, part):
    try:
        platform.command("/v1/parts", {"part": part})
    except Problem as problem:
        # What was registered a moment ago is not read yet.
        if problem.type != "urn:chipq:problem:part-already-registered":
            raise


def ensure_part(platform, part, golden):
    """Registers the part and its golden sample, as far as they are missing."""
    path = "/v1/parts/" + urllib.parse.quote(part, safe="")
    try:
        if platform.read(path)["golden_revision"] is not None:
            return
    except Problem as problem:
        if problem.status != 404:
            raise
        register_part(platform, part)
    announce_and_upload(platform, path + "/golden-sample", golden)


def inspect(platform, board, scale=None, **of):
    """Sends one board and waits for its verdict: the inspection, judged."""
    created, _ = platform.command("/v1/inspections", of)
    path = "/v1/inspections/" + created["inspection_id"]
    announce_and_upload(platform, path + "/artifacts", board, **({"pixels_per_millimetre": scale} if scale else {}))
    platform.command(path + "/infer")
    deadline = time.monotonic() + VERDICT_WITHIN_S
    while time.monotonic() < deadline:
        # Answers when there is a verdict and its report, or after 20 s.
        inspection = platform.read(path, Prefer="wait=20")
        if inspection["judgement"] and inspection["report_id"]:
            return inspection
    raise Problem("no verdict", {"detail": f"{path} is not judged after {VERDICT_WITHIN_S} s"})


def defects(platform, inspection_id):
    """Every defect of an inspection, page by page."""
    query = {"inspection_id": inspection_id, "limit": 200}
    while True:
        page = platform.read("/v1/defects?" + urllib.parse.urlencode(query))
        yield from page["items"]
        if not page.get("next_cursor"):
            return
        query["cursor"] = page["next_cursor"]


def save_report(platform, report_id, path):
    """Saves the report as PDF. The board is judged: what goes wrong here is said, and no more."""
    try:
        report = platform.read("/v1/reports/" + report_id, accept="application/pdf")
        with open(path, "wb") as file:
            file.write(report)
    except (Problem, OSError) as error:
        print(f"station: no report in {path}: {error}", file=sys.stderr)
    else:
        print(f"report: {path}")


def in_millimetres(box):
    """A box on the board, where the picture was announced with its scale."""
    if box is None:
        return ""
    return f" ({box['x']:.3f},{box['y']:.3f} {box['width']:.3f}x{box['height']:.3f} mm)"


def main():
    parser = argparse.ArgumentParser(description="Sends one board for inspection and prints its verdict.")
    parser.add_argument("golden", help="picture of the golden sample, for a part that has none")
    parser.add_argument("board", help="picture of the board, PNG or JPEG")
    parser.add_argument("--part", default="PCB-7")
    parser.add_argument("--lot", default="L-1")
    parser.add_argument("--station", default="AOI-1")
    parser.add_argument("--scale", metavar="PX_PER_MM", help="pixels of the board's picture per millimetre")
    parser.add_argument("--pdf", metavar="FILE", help="save the report here, by a role that reads reports")
    parser.add_argument("--base", default=os.environ.get("CHIPQ_URL") or "http://127.0.0.1:8080")
    args = parser.parse_args()

    platform = Platform(args.base, sign_in_by(form_from_environment()))
    ensure_part(platform, args.part, args.golden)
    inspection = inspect(platform, args.board, args.scale, lot=args.lot, part=args.part, station=args.station)
    print(inspection["judgement"])
    if any(picture["identical_to_golden_sample"] for picture in inspection["artifacts"]):
        print("  note: the picture is the golden sample, byte for byte; was the right file sent?")
    for defect in defects(platform, inspection["inspection_id"]):
        box = defect["box"]
        print(f"  {defect['class']} {defect['confidence']:.2f} {defect['grade']} at "
              f"{box['x']},{box['y']} {box['width']}x{box['height']}" + in_millimetres(defect["box_mm"]))
    if args.pdf:
        save_report(platform, inspection["report_id"], args.pdf)
    return EXIT_CODES.get(inspection["judgement"], EXIT_CODES["review"])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Problem, OSError) as error:
        print(f"station: {error}", file=sys.stderr)
        sys.exit(EXIT_UNAVAILABLE)
