// What the API sends to browsers. The page itself is tested in tests/page.
#include <csignal>
#include <string>
#include <string_view>

#include "http_client.hpp"
#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

TEST_CASE("the page is for links from anywhere, but no other page may frame it or put scripts into it") {
  Scene scene;
  scene.add(task("feed", "probe", "mandatory", idle_probe(), 3));
  Running running = scene.start({"--control", "off", "--listen", "127.0.0.1:0"});
  REQUIRE(running.process().wait_for_err("the API is at http://127.0.0.1:"));
  const int port = port_of(running.process().err());
  const HttpAnswer page = ask(port, "GET", "/", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n");
  CHECK(page.status == 200);
  CHECK(page.body.starts_with("<!doctype html>"));
  for (const char* line : {"Content-Type: text/html; charset=utf-8\r\n", "Cache-Control: no-cache\r\n",
                           "Content-Security-Policy: default-src 'none'; script-src 'sha256-", "frame-ancestors 'none'",
                           "X-Frame-Options: DENY\r\n", "X-Content-Type-Options: nosniff\r\n"}) {
    INFO(line << "\n" << page.head);
    CHECK(page.head.find(line) != std::string::npos);
  }
  CHECK(page.head.find("unsafe") == std::string::npos);
  constexpr std::string_view before = "ETag: ";
  const std::size_t place = page.head.find(before);
  REQUIRE(place != std::string::npos);
  const std::string tag = page.head.substr(place + before.size(), page.head.find('\r', place) - place - before.size());
  const HttpAnswer again = ask(port, "GET", "/", "If-None-Match: " + tag + "\r\n");
  CHECK(again.status == 304);
  CHECK(again.body.empty());
  CHECK(ask(port, "GET", "/", "If-None-Match: \"other\"\r\n").status == 200);
  CHECK(ask(port, "HEAD", "/").body.empty());
  CHECK(ask(port, "POST", "/").status == 405);
  CHECK(ask(port, "GET", "/", "Host: evil.example\r\n").status == 403);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}
