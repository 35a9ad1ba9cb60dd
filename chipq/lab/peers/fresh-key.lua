-- A command with a fresh Idempotency-Key in every request, for wrk; the same for every service.
--
--     BEARER_TOKEN=... KEY_PREFIX=... wrk -t 2 -c 64 -d 10s -s fresh-key.lua http://HOST:PORT/v1/inspections
--
-- KEY_PREFIX is new for every run; each thread adds its number, each request another.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(folder .. "report.lua")

local threads = 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

local sent = 0
local key

function init()
  key = os.getenv("KEY_PREFIX") .. "-" .. thread_number .. "-"
  wrk.method = "POST"
  wrk.body = '{"lot":"BENCH","part":"BENCH","station":"BENCH-1"}'
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("BEARER_TOKEN")
end

function request()
  sent = sent + 1
  wrk.headers["Idempotency-Key"] = key .. sent
  return wrk.format()
end
