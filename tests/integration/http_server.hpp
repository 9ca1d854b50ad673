// An HTTP server of the test's own, as good or bad as a test wants it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace taskhost::test {

// What a connection gets after its request.
struct Answer {
  enum After {
    close,  // the connection
    hold,   // it, in silence, until the other side closes it
    drip,   // a byte now and then, for ever
    flood,  // bytes as fast as possible, for ever
  };
  std::vector<std::string> parts;  // sent one by one
  After after = close;
};

// "200" and a body, with its length.
Answer answer(const std::string& status, const std::string& body = "ok\n", const std::string& headers = "");

class HttpServer {
 public:
  using Handler = std::function<Answer(const std::string& request)>;  // called from several threads

  explicit HttpServer(Handler handler, const std::string& unix_socket = "");  // else a free port of the loopback
  explicit HttpServer(const Answer& always) : HttpServer([always](const std::string&) { return always; }) {}
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(const std::string& path = "/", const std::string& user = "") const;
  unsigned port() const { return port_; }
  std::vector<std::string> requests();  // so far
  std::string first_request();          // empty if there is none
  std::size_t open_connections();

 private:
  void accept_all();
  void serve(int connection);

  Handler handler_;
  unsigned port_ = 0;  // before the socket that it is asked of
  int listener_ = -1;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::list<int> connections_;
  std::vector<std::thread> threads_;
  bool closing_ = false;
  std::thread acceptor_;
};

// A port on which nobody listens, as long as this exists.
class ClosedPort {
 public:
  ClosedPort();
  ~ClosedPort();
  ClosedPort(const ClosedPort&) = delete;
  ClosedPort& operator=(const ClosedPort&) = delete;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  unsigned port_ = 0;  // before the socket that it is asked of
  int socket_ = -1;
};

}  // namespace taskhost::test
