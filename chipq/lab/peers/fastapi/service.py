"""What the platform is measured against: two of its endpoints, as a good Python service has them.

`POST /v1/inspections` executes a command once for every Idempotency-Key: key with kept answer, inspection and
outbox row are written in one transaction. `GET /v1/inspections` answers a page of the newest, by keyset. Requests
and answers have the shapes of the platform's own (schemas/openapi.json). `chipq bench peer` starts it:

    PEER_DATABASE_URL=postgres://... PEER_TOKEN=... uvicorn service:app --workers 2 --no-access-log

What it leaves out of the platform's work, all in its own favour: tokens that expire, are signed or can be revoked,
roles and reach, rate limits, an event log with versions, conditional requests, trace context,
metrics, problem documents, security headers, read models that can be rebuilt.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import platform
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Two workers with ten connections each keep more statements under way than a small server has cores.
POOL_SIZE = 10
# Both workers start at once, and one of them makes the tables.
SCHEMA_LOCK = 4711

SCHEMA = """
CREATE TABLE IF NOT EXISTS inspections (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    inspection_id uuid NOT NULL UNIQUE,
    lot text NOT NULL,
    part text NOT NULL,
    station text NOT NULL,
    state text NOT NULL DEFAULT 'open',
    judgement text,
    rules jsonb,
    recipe jsonb NOT NULL DEFAULT '{"revision": 0, "fail_at": 0.5, "review_at": 0.25, "area":
        {"region_of_interest": null, "keep_outs": [], "tolerated": []}, "bend_max_px": 10.0, "views": []}',
    golden_sample_revision integer,
    defect_count integer NOT NULL DEFAULT 0,
    doubtful_count integer NOT NULL DEFAULT 0,
    difference_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    judged_at timestamptz,
    voided_at timestamptz,
    void_reason text,
    version bigint NOT NULL DEFAULT 1
);
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key text PRIMARY KEY,
    fingerprint bytea NOT NULL,
    inspection_id uuid NOT NULL,
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

# Of two requests with one key the second waits here until the first has committed. What is answered is known
# before anything is written, so that it is kept with the key at once: one statement less.
CLAIM_KEY = """
INSERT INTO idempotency_keys (key, fingerprint, inspection_id, answer) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO NOTHING RETURNING true
"""
READ_KEPT = "SELECT fingerprint, inspection_id, answer FROM idempotency_keys WHERE key = $1"
INSERT_INSPECTION = "INSERT INTO inspections (inspection_id, lot, part, station) VALUES ($1, $2, $3, $4)"
INSERT_OUTBOX = "INSERT INTO outbox (topic, payload) VALUES ('inspection-created', $1)"
READ_PAGE = """
SELECT inspection_id, lot, part, station, state, judgement, rules, recipe, golden_sample_revision, defect_count,
       doubtful_count, difference_count, created_at, judged_at, voided_at, void_reason, version, position
FROM inspections WHERE position < $1 ORDER BY position DESC LIMIT $2
"""
BEHIND_ALL = 2**63 - 1


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """Lets JSON pass through as it is: nobody here looks into it."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda text: b"\x01" + text,
        decoder=lambda stored: orjson.Fragment(bytes(stored[1:])),
        format="binary",
    )


async def keep_session(connection: asyncpg.Connection) -> None:
    """Saves the round trip that asyncpg clears a session with: nothing here leaves anything in one."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens the pool, and makes the tables that are missing."""
    url = os.environ["PEER_DATABASE_URL"]
    async with asyncpg.create_pool(
        url, min_size=POOL_SIZE, max_size=POOL_SIZE, init=prepare_connection, reset=keep_session
    ) as pool:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
            await connection.execute(SCHEMA)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)
TOKEN = f"Bearer {os.environ['PEER_TOKEN']}".encode()


class CreateInspection(BaseModel):
    """An inspection to open."""

    model_config = ConfigDict(extra="forbid", strict=True)
    lot: Annotated[str, Field(min_length=1, max_length=64)]
    part: Annotated[str, Field(min_length=1, max_length=64)]
    station: Annotated[str, Field(min_length=1, max_length=64)]


async def check_token(authorization: Annotated[str, Header()] = "") -> None:
    """Compares with the one token that there is, in constant time. A signature is not checked, nor are expiry,
    scope, role, reach and revocation, as the platform does: that is left out in favour of this service."""
    if not hmac.compare_digest(authorization.encode(), TOKEN):
        raise HTTPException(401, "send the bearer token", {"WWW-Authenticate": "Bearer"})


def json_response(content: bytes, status: int, headers: dict[str, str] | None = None) -> Response:
    """JSON that is written already."""
    return Response(content, status, headers, media_type="application/json")


@app.post("/v1/inspections", dependencies=[Depends(check_token)])
async def create_inspection(
    request: Request,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
) -> Response:
    """Opens an inspection, once for every key: one transaction, statement after statement, as it is usually written.
    Common table expressions would make a single statement of the three, which saves round trips."""
    body = await request.body()
    try:
        command = CreateInspection.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False, include_input=False)) from error
    fingerprint = hashlib.sha256(body).digest()
    inspection_id = uuid.uuid4()
    answer = orjson.dumps(
        {
            "golden_sample_revision": None,
            "inspection_id": inspection_id,
            "judgement": None,
            "lot": command.lot,
            "part": command.part,
            "state": "open",
            "station": command.station,
            "version": 1,
        }
    )
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            is_new = await connection.fetchval(
                CLAIM_KEY, idempotency_key, fingerprint, inspection_id, answer
            )
            if is_new:
                await connection.execute(
                    INSERT_INSPECTION, inspection_id, command.lot, command.part, command.station
                )
                await connection.execute(INSERT_OUTBOX, answer)
        if not is_new:
            return kept_answer(await connection.fetchrow(READ_KEPT, idempotency_key), fingerprint)
    return json_response(answer, 201, {"Location": f"/v1/inspections/{inspection_id}"})


def kept_answer(kept: asyncpg.Record, fingerprint: bytes) -> Response:
    """What the first request with a key was answered, for one that asks for the same."""
    if not hmac.compare_digest(kept["fingerprint"], fingerprint):
        raise HTTPException(422, "the Idempotency-Key was used for another request; take a new key")
    location = f"/v1/inspections/{kept['inspection_id']}"
    headers = {"Location": location, "Idempotency-Replayed": "true"}
    return json_response(kept["answer"], 201, headers)


@app.get("/v1/inspections", dependencies=[Depends(check_token)])
async def list_inspections(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> Response:
    """A page of the newest, by keyset: as fast at the end of a long list as at its beginning."""
    before = BEHIND_ALL if cursor is None else read_cursor(cursor)
    rows = await request.app.state.pool.fetch(READ_PAGE, before, limit + 1)
    items = [dict(row) for row in rows[:limit]]
    next_cursor = write_cursor(items[-1]["position"]) if len(rows) > limit else None
    page: dict[str, Any] = {"items": items, "next_cursor": next_cursor}
    # asyncpg has a UUID of its own, which orjson does not know.
    return json_response(orjson.dumps(page, default=str, option=orjson.OPT_UTC_Z), 200)


def write_cursor(position: int) -> str:
    """Where the next page begins, in a text that nobody is tempted to compute with."""
    return base64.urlsafe_b64encode(position.to_bytes(8)).decode()


def read_cursor(cursor: str) -> int:
    """The position in a cursor."""
    try:
        position = int.from_bytes(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise HTTPException(400, "this is no cursor; take next_cursor of a page") from error
    return min(position, BEHIND_ALL)


@app.get("/readyz")
async def describe_service() -> Response:
    """What answers, by name and version: a figure is read with it."""
    loop = type(asyncio.get_running_loop()).__module__.split(".")[0]
    parts = [f"{name} {version(name)}" for name in ("fastapi", "asyncpg", "uvicorn", "httptools")]
    text = f"Python {platform.python_version()}, {', '.join(parts)}, event loop of {loop}"
    return Response(text, media_type="text/plain")
