wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"padding":"' .. string.rep("x", 8192 - 14) .. '"}'
