"""The proxies that bench/ measures: one function for each, which writes its configuration.

Each returns the command that runs a proxy on `port` in the foreground, with its files in `directory`. Its `face` is

    reverse   in front of the origin on `origin`, plain on both sides
    tls       the same with TLS 1.3, HTTP/1.1 and HTTP/2 for its clients
    h2up      plain HTTP/1.1 for its clients, HTTP/2 with prior knowledge to the origin
    forward   a forward proxy for any target of 127.0.0.1
    connect   the same, asked for tunnels alone
    socks     the same, by SOCKS5
"""

import os
import shutil

# What any idle or lasting connection needs, and the same for every proxy that has such a limit.
MANY_CONNECTIONS = 20000
MANY_REQUESTS = 100000000
POOL = 1024  # idle connections kept to the origin: more than the load ever needs at a time


# Names of proxies that are not those of their programs.
PROGRAMS = {"trafficserver": "traffic_server", "dante": "danted"}
RELAYS = ("floor", "splice")


def find(program):
    """The path of an installed program, or None; Debian keeps servers in /usr/sbin, which users may lack."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def write(directory, name, text):
    """Writes a configuration and returns its path."""
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def floor_command(bench, directory, port, origin, face):
    """A bare relay. It picks its port itself, see Bench.start."""
    if face == "tls":
        return [bench.built("bench-tlsrelay"), f"127.0.0.1:{origin}", bench.certificate, bench.key]
    answers = {"connect": ["-c"], "socks": ["-5"]}.get(face, [])
    return [bench.built("bench-relay"), *answers, f"127.0.0.1:{origin}"]


def splice_command(bench, directory, port, origin, face):
    """A bare relay that leaves the bytes in the kernel."""
    return [bench.built("bench-relay"), "-s", f"127.0.0.1:{origin}"]


def guise_command(bench, directory, port, origin, face):
    """Guise with its defaults; limits that the load would meet are lifted, as for the peers."""
    text = f"""\
workers: 1
limits:
  connections: {MANY_CONNECTIONS}
  connections_per_address: {MANY_CONNECTIONS}
  requests_per_connection: {MANY_REQUESTS}
log: {{access: off, level: warning}}
"""
    if face in ("forward", "connect", "socks"):
        text += f"""\
forward:
  - listen: 127.0.0.1:{port}
    rules:
      - allow: {{addresses: [127.0.0.0/8]}}
"""
    else:
        tls = f"    tls: {{certificates: [{{certificate: {bench.certificate}, key: {bench.key}}}]}}\n"
        text += f"""\
reverse:
  - listen: 127.0.0.1:{port}
{tls if face == "tls" else ""}    routes:
      - to: origin
upstreams:
  origin:
    servers: ["127.0.0.1:{origin}"]
    keepalive: {POOL}
"""
        text += '    http: "2"\n' if face == "h2up" else ""
    return [bench.guise, "run", "-c", write(directory, "guise.yaml", text)]


def nginx_command(bench, directory, port, origin, face):
    """nginx with one worker, a pool to the origin and no logs; buffering and the rest as by default."""
    user = "user root;\n" if os.getuid() == 0 else ""
    tls = f"""
        ssl_certificate {bench.certificate};
        ssl_certificate_key {bench.key};
        ssl_protocols TLSv1.3;""" if face == "tls" else ""
    text = f"""\
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile {MANY_CONNECTIONS};
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log crit;
events {{ worker_connections {MANY_CONNECTIONS}; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests {MANY_REQUESTS};
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive {POOL};
        keepalive_requests {MANY_REQUESTS};
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096{" ssl http2" if tls else ""};{tls}
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
    config = write(directory, "nginx.conf", text)
    return [find("nginx"), "-e", f"{directory}/nginx-error.log", "-p", directory, "-c", config]


def haproxy_command(bench, directory, port, origin, face):
    """HAProxy with one thread and no logs; http-reuse always, since the default opens more connections."""
    tls = f" ssl crt {bench.certificate_and_key} alpn h2,http/1.1 ssl-min-ver TLSv1.3" if face == "tls" else ""
    text = f"""\
global
    nbthread 1
    maxconn {MANY_CONNECTIONS // 2 - 500}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend front
    bind 127.0.0.1:{port} backlog 4096{tls}
    default_backend back
backend back
    server origin 127.0.0.1:{origin}{" proto h2" if face == "h2up" else ""}
"""
    return [find("haproxy"), "-db", "-f", write(directory, "haproxy.cfg", text)]


def h2o_command(bench, directory, port, origin, face):
    """H2O with one thread; its pool to the origin is off by default, its helper process that keeps the key is on."""
    user = "user: root\n" if os.getuid() == 0 else ""
    tls = f"""
  ssl:
    certificate-file: {bench.certificate}
    key-file: {bench.key}
    minimum-version: TLSv1.3
    ocsp-update-interval: 0
    neverbleed: OFF""" if face == "tls" else ""
    text = f"""\
{user}num-threads: 1
max-connections: {MANY_CONNECTIONS}
listen:
  host: 127.0.0.1
  port: {port}{tls}
proxy.timeout.keepalive: 60000
hosts:
  default:
    paths:
      "/":
        proxy.reverse.url: "http://127.0.0.1:{origin}/"
"""
    return [find("h2o"), "-c", write(directory, "h2o.yaml", text)]


def tinyproxy_command(bench, directory, port, origin, face):
    """Tinyproxy; it closes every connection after one request, by design."""
    text = f"""\
Port {port}
Listen 127.0.0.1
Timeout 600
MaxClients {MANY_CONNECTIONS // 2}
LogFile "{directory}/tinyproxy.log"
LogLevel Critical
"""
    return [find("tinyproxy"), "-d", "-c", write(directory, "tinyproxy.conf", text)]


def squid_command(bench, directory, port, origin, face):
    """Squid without its cache and its logs, one process."""
    user = ""
    if os.getuid() == 0:  # it refuses to work as root
        user = "cache_effective_user nobody\n"
        os.chmod(bench.directory, 0o755)
        os.chmod(directory, 0o777)
    text = f"""\
{user}http_port 127.0.0.1:{port}
acl local src 127.0.0.0/8
http_access allow local
cache deny all
access_log none
cache_log {directory}/squid-cache.log
pid_filename {directory}/squid.pid
coredump_dir {directory}
shutdown_lifetime 0 seconds
max_filedescriptors {MANY_CONNECTIONS}
pinger_enable off
"""
    name = f"guisebench{os.getpid()}x{bench.starts}"  # its shared memory is named after it
    return [find("squid"), "-N", "-f", write(directory, "squid.conf", text), "-n", name]


def trafficserver_command(bench, directory, port, origin, face):
    """Traffic Server as a forward proxy without its cache and its logs, one thread for the network."""
    etc = os.path.join(directory, "etc")
    for name in ("etc", "run", "log", "cache"):
        os.mkdir(os.path.join(directory, name))
    user = "CONFIG proxy.config.admin.user_id STRING #-1\n" if os.getuid() == 0 else ""
    write(etc, "records.config", f"""\
CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.cache.threads_per_disk INT 1
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.reverse_proxy.enabled INT 0
CONFIG proxy.config.url_remap.remap_required INT 0
CONFIG proxy.config.http.connect_ports STRING *
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.net.connections_throttle INT {MANY_CONNECTIONS}
CONFIG proxy.config.net.per_client.max_connections_in INT 0
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 60
CONFIG proxy.config.proxy_binary_opts STRING -M
{user}""")
    write(etc, "storage.config", "")
    write(etc, "remap.config", "")
    write(etc, "ip_allow.yaml", """\
ip_allow:
  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}
""")
    runroot = write(directory, "runroot.yaml", f"""\
prefix: {directory}
exec_prefix: /usr
bindir: /usr/bin
sbindir: /usr/sbin
sysconfdir: {etc}
datadir: {directory}/cache
includedir: /usr/include
libdir: /usr/lib
libexecdir: /usr/lib/trafficserver/modules
localstatedir: {directory}
runtimedir: {directory}/run
logdir: {directory}/log
cachedir: {directory}/cache
""")
    return [find("traffic_server"), f"--run-root={runroot}"]


def privoxy_command(bench, directory, port, origin, face):
    """Privoxy without actions, filters and logs."""
    text = f"""\
listen-address 127.0.0.1:{port}
toggle 0
keep-alive-timeout 60
connection-sharing 1
socket-timeout 60
max-client-connections {MANY_CONNECTIONS // 2}
listen-backlog 4096
debug 0
"""
    return [find("privoxy"), "--no-daemon", write(directory, "privoxy.conf", text)]


def dante_command(bench, directory, port, origin, face):
    """Dante (Debian calls its server danted) without logs."""
    user = "nobody" if os.getuid() == 0 else ""
    text = f"""\
logoutput: {directory}/dante.log
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
{f"user.unprivileged: {user}" if user else ""}
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
"""
    return [find("danted"), "-f", write(directory, "danted.conf", text), "-p", f"{directory}/danted.pid"]


def microsocks_command(bench, directory, port, origin, face):
    """Microsocks: a thread for each connection; it has no switch for its log."""
    return [find("microsocks"), "-i", "127.0.0.1", "-p", str(port)]


COMMANDS = {
    "floor": floor_command,
    "splice": splice_command,
    "guise": guise_command,
    "nginx": nginx_command,
    "haproxy": haproxy_command,
    "h2o": h2o_command,
    "tinyproxy": tinyproxy_command,
    "squid": squid_command,
    "trafficserver": trafficserver_command,
    "privoxy": privoxy_command,
    "dante": dante_command,
    "microsocks": microsocks_command,
}
