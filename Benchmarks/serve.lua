-- wrk's requests: short greedy chats with different questions, every fourth one streamed. Counts what is no 200.
local threads, count, bad = {}, 0, 0

function setup(thread) table.insert(threads, thread) end

function init() wrong = 0 end

function request()
    count = count + 1
    local stream = count % 4 == 0 and "true" or "false"
    local body = string.format(
        '{"model": "%s", "messages": [{"role": "user", "content": "What is %d + %d?"}], "temperature": 0, "max_tokens": 16, "stream": %s}',
        os.getenv("SERVED_MODEL"), count % 97, count % 89, stream)
    return wrk.format("POST", "/v1/chat/completions", {["Content-Type"] = "application/json"}, body)
end

function response(status) if status ~= 200 then wrong = wrong + 1 end end

function done(summary, latency)
    for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
    local errors = summary.errors
    io.write(string.format(
        '\nJSON {"requests": %d, "seconds": %.3f, "p50": %.1f, "p99": %.1f, "worst": %.1f, "bad": %d, "socket_errors": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        latency.max / 1e3, bad, errors.connect + errors.read + errors.write + errors.timeout))
end
