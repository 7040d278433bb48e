-- SPDX-License-Identifier: MIT
-- demo_wrk.lua - wrk's summary as one line of JSON, for tools/demo.
--
-- wrk counts socket errors and answers outside 2xx and 3xx; latencies are in microseconds.

--
-- Usage: wrk ... --script demo_wrk.lua URL -- MILLISECONDS
-- Each connection waits so long before each request; 0: not at all.

function init(args)
    local think_ms = tonumber(args[1])
    if think_ms > 0 then
        function delay()
            return think_ms
        end
    end
end

function done(summary, latency, requests)
    io.write(string.format(
        '{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d,' ..
        '"connect_errors":%d,"read_errors":%d,"write_errors":%d,"timeouts":%d,"status_errors":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9), latency.max, summary.errors.connect, summary.errors.read,
        summary.errors.write, summary.errors.timeout, summary.errors.status))
end
