"""nginx answers the same POST with a fixed 200: the limit of HTTP on this machine."""

import re
import urllib.request

from measure import (NOT_DURABLE, Failed, Peer, Row, Server, Watch, best_of, figures_of, free_port,
                     http_load, listens, version_of)

ANSWER = '{"outcome":"recorded","poll":"peers","receipt":"00000-00000-00000-00000-000000"}'

# `return` answers as soon as the headers are there, and skips the body, which has come in the same
# packet: nothing is waited for and nothing copied, the best case. A request fits into the first
# buffer. No file is touched, no connection ever closed.
CONFIGURATION = """\
daemon off;
worker_processes {workers};
worker_rlimit_nofile 8192;
pid {folder}/pid;
events {{
  worker_connections 4096;
  multi_accept on;
  accept_mutex off;
}}
http {{
  access_log off;
  default_type application/json;
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_header_buffer_size 4k;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096{reuse};
    location / {{
      return 200 '{answer}';
    }}
    location = /count {{
      stub_status;
    }}
  }}
}}
"""


class Nginx(Peer):
    name = "nginx"
    packages = {"nginx": "nginx"}
    builds = ("bench/http_load",)

    def __init__(self, bench):
        super().__init__(bench)
        self.folder = bench.folder / "nginx"
        self.server = None
        self.tried = ""

    def rows(self):
        return [Row(f"nginx/{connections}", f"nginx, fixed 200, {connections} connections",
                    NOT_DURABLE, f"veche/{connections}") for connections in (64, 256)]

    def start(self):
        self.folder.mkdir()
        workers, self.tried = best_of((1, 2), self.try_workers)
        self.launch(workers)

    def try_workers(self, workers):
        self.launch(workers)
        return http_load(self.bench, self.url, "peers", 64, self.bench.trial_s, 1)[
            "counted_per_second"]

    def launch(self, workers):
        self.stop()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        # Two workers get a queue of connections each, so that neither takes them all.
        self.text = CONFIGURATION.format(workers=workers, folder=self.folder, port=port,
                                         answer=ANSWER, reuse=" reuseport" if workers > 1 else "")
        (self.folder / "nginx.conf").write_text(self.text)
        self.server = Server(
            ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", "stderr"],
            self.folder / "output")
        self.server.await_until(lambda: listens(port))

    def measure(self, row, rate):
        self.bench.settle()
        before, watch = self.count(), Watch(self.server.pid)
        report = http_load(self.bench, self.url, "peers", int(row.what))
        handled = self.count() - before - 1  # counting is a request too
        if set(report["outcomes"]) != {"recorded"} or report["counted_in_all"] > handled:
            raise Failed(f"nginx handled {handled} requests, each with 200; heard was: {report}")
        return figures_of(report, peer_us=watch.cpu_us(handled),
                          steal_percent=watch.steal_percent(),
                          proof=f"{report['counted_in_all']} times 200, nothing else; nginx "
                                f"counts {handled}")

    def count(self):
        """Requests since the start of nginx, as it tells."""
        with urllib.request.urlopen(f"{self.url}/count", timeout=10) as answer:
            return int(re.search(rb"\n \d+ \d+ (\d+)", answer.read())[1])

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def configuration(self):
        return f"{self.text}# worker_processes tried at 64 connections: {self.tried}\n"

    def versions(self):
        return {"nginx": version_of("nginx", "-v").split("/")[-1]}

    def matrix(self):
        return {"nginx": ("headers", "no", "no", "no", "no", "a fixed text", "no", "no")}
