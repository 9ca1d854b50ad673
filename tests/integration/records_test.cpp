// What was logged and what has happened, asked for later and followed.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http_client.hpp"
#include "operated_host.hpp"

using namespace taskhost::test;

namespace {

Json idle(const char* name) { return task(name, "probe", "mandatory", idle_probe(), 3); }
Json storm(const char* name) { return task(name, "probe", "detachable", probe_that_ends("error"), 4'000'000'000u); }

// A host without a reader of its events.
class QuietHost {
 public:
  explicit QuietHost(const std::vector<Json>& tasks, int err = -1) : process_(command(tasks, err)) {
    CHECK(eventually([this] { return std::filesystem::exists(socket()); }));
    CHECK(eventually([this] { return get("/v1/host").json()["state"] == "running"; }));
  }

  std::filesystem::path socket() const { return scene_.directory() / "quiet.sock"; }
  HttpAnswer get(std::string_view target, std::string_view head = {}) { return ask(socket(), "GET", target, head); }
  Process& process() { return process_; }
  ProcessEnd stop() {
    process_.send(SIGTERM);
    return process_.wait();
  }

 private:
  Command command(const std::vector<Json>& tasks, int err) {
    for (const Json& entry : tasks) scene_.add(entry);
    Command made = scene_.command({"--control", socket().string()});
    const auto events = std::find(made.arguments.begin(), made.arguments.end(), "--events");
    REQUIRE(events != made.arguments.end());
    made.arguments.erase(events, events + 2);
    made.err_descriptor = err;
    return made;
  }

  Scene scene_;
  Process process_;
};

// Whether each number from the first to the last is there, or counted as missing.
void check_numbers(const std::vector<nlohmann::json>& records) {
  std::uint64_t last = 0;
  for (const nlohmann::json& record : records) {
    const auto number = record.at("seq").get<std::uint64_t>();
    const bool is_gap = record.value("event", "") == "events_lost" && !record.contains("time");
    const std::uint64_t step = is_gap ? record.at("count").get<std::uint64_t>() : 1;
    if (last != 0 && number != last + step) FAIL_CHECK("after " << last << " comes " << record.dump());
    last = number;
  }
}

}  // namespace

TEST_CASE("the log and the events can be read later: all, the last ones, of one task, of a level, or those after one") {
  OperatedHost host(Json::array({idle("feed"), task("weak", "probe", "detachable", probe_that_ends("error"), 1)}));
  host.running().wait_for("task_started", "feed");
  host.running().wait_for("task_discarded", "weak");
  const auto get = [&](const std::string& target) { return ask(host.socket(), "GET", target); };

  const auto events = records_of(get("/v1/events"));
  REQUIRE(events.size() > 5);
  CHECK(events.front()["event"] == "host_started");
  CHECK(
      std::any_of(events.begin(), events.end(), [](const auto& event) { return event["event"] == "task_discarded"; }));
  check_numbers(events);
  CHECK(records_of(get("/v1/events?last=2")).front() == events[events.size() - 2]);
  CHECK(records_of(get("/v1/events?since=" + events[3]["seq"].dump())).front() == events[4]);
  CHECK(records_of(get("/v1/events?since=1h")) == events);
  for (const nlohmann::json& event : records_of(get("/v1/events?task=weak"))) CHECK(event["task"] == "weak");

  const auto lines = records_of(get("/v1/log?task=weak&level=warning"));
  REQUIRE(lines.size() >= 3);
  CHECK(lines.front()["level"] == "warning");
  CHECK(lines.front()["message"].get<std::string>().starts_with("failed"));
  CHECK(lines.back()["task"] == "weak");
  const HttpAnswer missing = get("/v1/log?task=wek");
  CHECK(missing.status == 404);
  CHECK(missing.json()["message"] == "there is no task \"wek\"; did you mean \"weak\"?");
  const HttpAnswer head = ask(host.socket(), "HEAD", "/v1/log?follow");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(host.stop().status() == 0);
}

TEST_CASE("logs -f shows what comes, until the host has stopped, its last lines too") {
  OperatedHost host(Json::array({idle("feed"), idle("side")}));
  Command command = host.command({"logs", "-f"});
  command.out = Wiring::piped;
  Process follower(command);
  std::string line;
  const auto read_until = [&](std::string_view words) {
    while (follower.read_line(line)) {
      if (line.find(words) != std::string::npos) return true;
    }
    return false;
  };
  CHECK(read_until("[side] started"));
  CHECK(host.operate({"restart", "feed"}).status == 0);
  CHECK(read_until("[feed] started (execution 2)"));
  CHECK(host.stop().status() == 0);
  CHECK(read_until("stopped well"));
  const ProcessEnd end = follower.wait();
  CHECK(end.status == 0);
  CHECK(end.err.empty());
}

TEST_CASE("events -f of one task shows that one alone, as JSON if wanted") {
  OperatedHost host(Json::array({idle("feed"), idle("side")}));
  Command command = host.command({"events", "-f", "--json", "-n", "0", "feed"});
  command.out = Wiring::piped;
  Process follower(command);
  // It has begun to follow once the events file's host counts one more connection; an operator's order shows it.
  std::string line;
  std::vector<Json> events;
  CHECK(eventually([&] {
    CHECK(host.operate({"restart", "feed", "side"}).status == 0);
    return follower.read_line(line, std::chrono::seconds(1));
  }));
  events.push_back(Json::parse(line));
  CHECK(host.stop().status() == 0);
  while (follower.read_line(line)) events.push_back(Json::parse(line));
  CHECK(follower.wait().status == 0);
  for (const Json& event : events) CHECK(event["task"] == "feed");
  CHECK(events.back()["event"] == "task_stopped");
}

TEST_CASE("logs and events begin at a local time, also at one that they have printed") {
  OperatedHost host(Json::array({idle("feed")}));
  host.running().wait_for("task_started", "feed");
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // so that what follows has another time
  CHECK(host.operate({"restart", "feed"}).status == 0);
  for (const char* verb : {"logs", "events"}) {
    const std::string all = host.operate({verb}).out;
    const std::string second = lines_with(all, {"execution 2"}).front();
    const std::string time = second.substr(0, std::string("2026-01-31 12:00:00.123").size());
    const std::string rest = host.operate({verb, "--since", time}).out;
    INFO(time << '\n' << all);
    CHECK(all.ends_with(rest));
    CHECK(rest.size() < all.size());
    CHECK(has_line(rest, {second}));
    CHECK(host.operate({verb, "--since", "2020-01-01"}).out == all);
    CHECK(host.operate({verb, "--since", "2020-01-01 12:00", "-n", "1"}).out == lines_with(all, {}).back() + "\n");
  }
  CHECK(host.operate({"logs", "--since", "00:00:00"}).status == 0);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("server-sent events go on where a client was, and a follower is told of the end") {
  OperatedHost host(Json::array({idle("feed")}));
  constexpr std::string_view accept = "Accept: text/event-stream\r\n";
  const HttpAnswer first = ask(host.socket(), "GET", "/v1/events?last=1", accept);
  CHECK(first.head.find("Content-Type: text/event-stream\r\n") != std::string::npos);
  REQUIRE(first.body.starts_with("id: "));
  CHECK(first.body.ends_with("}\n\n"));
  const std::string id = first.body.substr(4, first.body.find('\n') - 4);
  const std::string instance = ask(host.socket(), "GET", "/v1/host").json()["instance"];
  CHECK(id.starts_with(instance + ":"));

  const HttpConnection connection(host.socket());
  CHECK(connection.send("GET /v1/events?follow HTTP/1.1\r\nHost: x\r\n" + std::string(accept) + "Last-Event-ID: " + id +
                        "\r\n\r\n"));
  CHECK(host.operate({"restart", "feed"}).status == 0);
  CHECK(host.stop().status() == 0);
  const std::string bytes = connection.read_all();
  CHECK(bytes.ends_with("\r\n0\r\n\r\n"));  // a whole answer
  const HttpAnswer rest = parse_answer(bytes);
  const std::uint64_t number = std::stoull(id.substr(id.find(':') + 1));
  CHECK(rest.body.starts_with("id: " + instance + ":" + std::to_string(number + 1) + "\ndata: {"));
  CHECK(rest.status == 200);
  CHECK(rest.body.find("\"event\":\"host_stopped\"") != std::string::npos);
}

TEST_CASE("a storm is told as sums, and each of its events once somebody follows") {
  QuietHost host(std::vector{storm("storm")});
  CHECK(eventually([&] { return host.get("/v1/events").body.find("events_summed") != std::string::npos; }));
  const auto kept = records_of(host.get("/v1/events?last=1000"));
  CHECK(kept.size() < 900);  // not each of some ten thousand a second

  const HttpConnection connection(host.socket());
  CHECK(connection.send("GET /v1/events?follow&last=0 HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(eventually([&] { return records_of(host.get("/v1/events")).size() >= 1000; }));
  // The reader has been slow until now. What it did not get is counted.
  const HttpAnswer followed = parse_answer(connection.read_all(500));
  std::string text = followed.body.substr(0, followed.body.rfind('\n') + 1);
  HttpAnswer whole = followed;
  whole.body = text;
  const auto records = records_of(whole);
  CHECK(records.size() > 100);
  check_numbers(records);
  CHECK(host.stop().status == 0);
}

TEST_CASE("when nobody follows any more, a storm is told as sums again") {
  QuietHost host(std::vector{storm("storm")});
  {
    const HttpConnection connection(host.socket());
    CHECK(connection.send("GET /v1/events?follow&last=0 HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK(eventually([&] { return records_of(host.get("/v1/events")).size() >= 1000; }));
  }
  CHECK(eventually([&] {
    const auto last = records_of(host.get("/v1/events?last=1"));
    return !last.empty() && last.front()["event"] == "events_summed";
  }));
  CHECK(host.stop().status == 0);
}

TEST_CASE("the log can be asked for though nobody reads it where it is written") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  const std::string rubbish(4096, '-');
  while (::write(ends[1], rubbish.data(), rubbish.size()) > 0) continue;  // full before the host's first line
  {
    QuietHost host(std::vector{idle("feed")}, ends[1]);
    const auto lines = records_of(host.get("/v1/log?task=feed"));
    REQUIRE(lines.size() == 1);
    CHECK(lines.front()["message"] == "started");
    host.process().send(SIGKILL);
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a follower that does not read does not hold up the host's stop") {
  QuietHost host(std::vector{storm("storm")});
  const HttpConnection connection(host.socket());
  CHECK(connection.send("GET /v1/events?follow HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(eventually([&] { return records_of(host.get("/v1/events")).size() >= 1000; }));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(host.stop().status == 0);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));  // an answer may be taken for 30
}

TEST_CASE("so many clients may follow that others still find room, and one more is told") {
  OperatedHost host(Json::array({idle("feed")}));
  std::vector<std::unique_ptr<HttpConnection>> followers;
  const auto follow = [&] {
    followers.push_back(std::make_unique<HttpConnection>(host.socket()));
    CHECK(followers.back()->send("GET /v1/log?follow HTTP/1.1\r\nHost: x\r\n\r\n"));
  };
  for (int i = 0; i < 32; ++i) follow();
  for (const auto& follower : followers) {
    pollfd ready{.fd = follower->descriptor(), .events = POLLIN, .revents = 0};
    CHECK(::poll(&ready, 1, 120'000) == 1);
  }
  const HttpAnswer refused = ask(host.socket(), "GET", "/v1/events?follow");
  CHECK(refused.status == 503);
  CHECK(refused.json()["message"] ==
        "too many clients follow this host already: end one of them, or ask without follow");
  CHECK(ask(host.socket(), "GET", "/v1/events").status == 200);
  followers.pop_back();
  CHECK(eventually([&] {
    const HttpConnection again(host.socket());
    CHECK(again.send("GET /v1/log?follow HTTP/1.1\r\nHost: x\r\n\r\n"));
    return parse_answer(again.read_all(200)).status == 200;
  }));
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a host that dies while it is followed is told, with status 1") {
  OperatedHost host(Json::array({idle("feed")}));
  Command command = host.command({"logs", "-f"});
  command.out = Wiring::piped;
  Process follower(command);
  std::string line;
  CHECK(follower.read_line(line));
  host.running().expect_cut_short();
  host.running().send(SIGKILL);
  while (follower.read_line(line)) continue;
  const ProcessEnd end = follower.wait();
  CHECK(end.status == 1);
  CHECK(end.err == "taskhost: host \"demo\" went away while it was asked; taskhost ps shows whether it runs\n");
}

TEST_CASE("a follower hears at once that its host was killed, though a child of that keeps the connection open") {
  OperatedHost host(Json::array({task("parent", test_plugin_path("child_stays").string(), "mandatory")}));
  host.running().wait_for("task_started", "parent");
  Command command = host.command({"logs", "-f"});
  command.out = Wiring::piped;
  Process follower(command);
  std::vector<pid_t> children;
  std::string line;
  const auto read_of_child = [&] {
    const std::string_view words = "[parent] child: ";
    while (follower.read_line(line)) {
      const std::size_t at = line.find(words);
      if (at == std::string::npos) continue;
      children.push_back(std::stoi(line.substr(at + words.size())));
      return true;
    }
    return false;
  };
  REQUIRE(read_of_child());
  CHECK(host.operate({"restart", "parent"}).status == 0);
  REQUIRE(read_of_child());  // the second one has the follower's connection
  host.running().expect_cut_short();
  host.running().send(SIGKILL);
  const ProcessEnd end = follower.wait();
  CHECK(end.status == 1);
  CHECK(end.err == "taskhost: host \"demo\" went away while it was asked; taskhost ps shows whether it runs\n");
  for (const pid_t child : children) CHECK(::kill(child, SIGKILL) == 0);
}

TEST_CASE("logs -f ends when nobody reads it any more, though nothing comes") {
  OperatedHost host(Json::array({idle("feed")}));
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  Command command = host.command({"logs", "-f", "-n", "0"});
  command.out_descriptor = ends[1];
  Process follower(command);
  ::close(ends[1]);
  ::close(ends[0]);
  CHECK(follower.wait().status.has_value());
  CHECK(host.stop().status() == 0);
}

TEST_CASE("what is wrong with a wish for records is told, with status 2 or 5") {
  OperatedHost host(Json::array({idle("feed"), idle("side")}));
  const ProcessEnd since = host.operate({"logs", "--since", "yesterday"});
  CHECK(since.status == 2);
  CHECK(since.err.starts_with("taskhost: --since: must be a duration such as"));
  CHECK(since.err.find(", or a local time such as \"14:05\"") != std::string::npos);
  CHECK(host.operate({"logs", "--since", "5"}).status == 2);
  CHECK(host.operate({"logs", "--since", "24:00"}).err.ends_with("; there is no time \"24:00\"\n"));
  const ProcessEnd later = host.operate({"events", "--since", "2999-01-01 00:00"});
  CHECK(later.status == 2);
  CHECK(later.err == "taskhost: --since: \"2999-01-01 00:00\" is still to come\n");
  CHECK(host.operate({"logs", "--level", "loud"}).status == 2);
  CHECK(host.operate({"logs", "--level", "warn"}).status == 0);
  for (const char* number : {"-3", "x", "", "99999999999999999999"}) {
    const ProcessEnd wrong = host.operate({"logs", "-n", number});
    CHECK(wrong.status == 2);
    INFO(wrong.summary());
    CHECK(wrong.err.find("whole number") != std::string::npos);
  }
  const ProcessEnd unknown = host.operate({"logs", "fed"});
  CHECK(unknown.status == 5);
  CHECK(unknown.err.find("did you mean \"feed\"?") != std::string::npos);
  const ProcessEnd several = host.operate({"logs", "-n", "2", "feed", "si*"});
  CHECK(several.status == 0);
  CHECK(count_lines(several.out) == 2);
  CHECK(host.operate({"logs", "-n", "1"}).out == host.operate({"logs", "--last", "1"}).out);
  CHECK(host.stop().status() == 0);
}
