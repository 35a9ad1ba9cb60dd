-- The same read again and again, for wrk; the same for every service.
--
--     BEARER_TOKEN=... wrk -t 2 -c 64 -d 10s -s get.lua 'http://HOST:PORT/v1/inspections?limit=20'

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(folder .. "report.lua")

wrk.headers["Authorization"] = "Bearer " .. os.getenv("BEARER_TOKEN")
