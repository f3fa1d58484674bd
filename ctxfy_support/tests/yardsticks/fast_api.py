"""FastAPI with psycopg's pool, two statements by hand."""

import hashlib
import os
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI, Header, HTTPException
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

FIND = """
SELECT a.id, a.plan_id, a.token_balance FROM yardstick_key k
JOIN yardstick_account a ON a.id = k.account_id JOIN yardstick_plan p ON p.slug = a.plan_id
WHERE k.digest = %s AND k.revoked_at IS NULL AND a.is_active
"""
STORE = """
INSERT INTO yardstick_ticket VALUES (%s, %s, %s, %s, %s, %s, %s, 'stored', %s, %s)
"""
pool = AsyncConnectionPool(
    os.environ["DATABASE_URL"], min_size=8, max_size=8, open=False, kwargs={"autocommit": True}
)


class NewTicket(BaseModel):
    type: str = Field(min_length=1, max_length=64)
    reply_address: str = Field(min_length=1, max_length=320)
    message: str = Field(min_length=1, max_length=20_000)


@asynccontextmanager
async def lifespan(app):
    async with pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/support/tickets", status_code=201)
async def create(new: NewTicket, authorization: str = Header("")):
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    async with pool.connection() as connection:
        found = await (await connection.execute(FIND, [digest])).fetchone()
        if found is None:
            raise HTTPException(401)
        account, plan, balance = found
        ticket, now = uuid.uuid4(), datetime.now(UTC)
        said = (new.type.strip(), new.reply_address.strip(), new.message)
        await connection.execute(STORE, [ticket, account, *said, plan, balance, now, now])
    return {"id": ticket, "created_at": now}
