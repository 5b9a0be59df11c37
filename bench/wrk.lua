-- Driven by bench/run: sets an absolute target for forward proxies, and prints wrk's summary as one JSON line.
local target = os.getenv("BENCH_TARGET")

if target then
	wrk.path = target
	wrk.headers["Host"] = os.getenv("BENCH_HOST")
end

function done(summary, latency)
	local errors = summary.errors
	io.stdout:write(string.format(
	    '{"requests": %d, "bytes": %d, "microseconds": %d, "connect": %d, "read": %d, "write": %d, ' ..
	    '"status": %d, "timeout": %d, "p50": %d, "p99": %d}\n',
	    summary.requests, summary.bytes, summary.duration, errors.connect, errors.read, errors.write,
	    errors.status, errors.timeout, latency:percentile(50), latency:percentile(99)))
end
