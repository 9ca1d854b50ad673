// A client of the control socket that sends just the bytes it is given. Every wait has a limit; what goes wrong fails
// the test.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace taskhost::test {

class HttpConnection {
 public:
  explicit HttpConnection(const std::filesystem::path& socket);
  // To this port of 127.0.0.1.
  explicit HttpConnection(int port);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // False if the other side has closed it.
  bool send(std::string_view bytes) const;
  // Until the other side closes it, or for this long.
  std::string read_all(int milliseconds = 10'000) const;
  // What is there, for which it waits; empty if nothing comes, or the other side has closed it.
  std::string read_some(int milliseconds = 10'000) const;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;

  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};
HttpAnswer parse_answer(const std::string& bytes);
// Each line of a body that is a stream of them.
std::vector<nlohmann::json> records_of(const HttpAnswer& answer);

// One request on a connection of its own. `head`: further lines of the head, each with its line end.
HttpAnswer ask(const std::filesystem::path& socket, std::string_view method, std::string_view target,
               std::string_view head = {});
HttpAnswer ask(int port, std::string_view method, std::string_view target, std::string_view head = {});
// Where the API is, as the log says; 0: it does not.
int port_of(const std::string& log);

}  // namespace taskhost::test
